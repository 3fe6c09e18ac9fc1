"""The state behind the answers: the vehicles of a seed, and what has been created since the last reset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any

from roadster_sandbox.answers import Refused

from .dealers import DEALERS, SandboxDealer
from .inventory import VEHICLES_PER_DEALER, Vehicle, stock
from .templates import FormTemplate, first_templates

FIRST_CUSTOMER_ID = 1_650_260
FIRST_DOCUMENT_ID = 1_602_287


@dataclass
class World:
    """The records are as the grading endpoint shows them; each holds its dealer's dpid."""

    seed: int
    vehicles: Mapping[str, dict[str, Vehicle]] = field(init=False)
    customers: list[dict[str, Any]] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    trade_offers: list[dict[str, Any]] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)
    templates: list[FormTemplate] = field(init=False)
    forms: list[dict[str, Any]] = field(default_factory=list)
    shipments: list[dict[str, Any]] = field(default_factory=list)
    """As Roadie shows them: it knows no dealers."""
    events_sent: int = 0
    contents: dict[int, str] = field(default_factory=dict)
    """Of each document ever uploaded, in base64, by id: never shown, and no id is given twice."""

    def __post_init__(self) -> None:
        self.vehicles = _vehicles_of(self.seed)
        self.templates = first_templates(self.seed)
        self._from_the_start = len(self.templates)

    @property
    def created_templates(self) -> list[dict[str, Any]]:
        return [template.graded() for template in self.templates[self._from_the_start :]]

    def templates_of(self, dealer: SandboxDealer) -> dict[int, FormTemplate]:
        """The dealer's, deleted ones too, by id."""
        return {template.id: template for template in self.templates if template.dpid == dealer.dpid}

    def vehicle(self, dealer: SandboxDealer, vin: str) -> Vehicle:
        """Raises Refused(404) where this dealer has no such vehicle, whoever else may have it."""
        vehicle = self.vehicles[dealer.dpid].get(vin)
        if vehicle is None:
            raise Refused(404)
        return vehicle

    def customer(self, dealer: SandboxDealer, customer_id: str) -> dict[str, Any]:
        """Raises Refused(404) for an unknown customer and for one of another dealer alike."""
        for customer in self.customers:
            if str(customer["id"]) == customer_id and customer["dpid"] == dealer.dpid:
                return customer
        raise Refused(404)

    def customer_of(self, dealer: SandboxDealer, email: str) -> dict[str, Any] | None:
        """The dealer's customer with that email address, which is what makes two of them one."""
        return next(
            (
                customer
                for customer in self.customers
                if customer["dpid"] == dealer.dpid and customer["email"].lower() == email.lower()
            ),
            None,
        )

    def add_customer(self, dealer: SandboxDealer, **given: Any) -> dict[str, Any]:
        customer = {"id": FIRST_CUSTOMER_ID + len(self.customers), "dpid": dealer.dpid, **given}
        self.customers.append(customer)
        return customer

    def documents_of(self, customer: dict[str, Any]) -> dict[int, dict[str, Any]]:
        """What is in the customer's binder, by id."""
        return {document["id"]: document for document in self.documents if document["customer_id"] == customer["id"]}


@lru_cache(maxsize=4)
def _vehicles_of(seed: int) -> Mapping[str, dict[str, Vehicle]]:
    """By dealer and VIN. Nothing changes a vehicle, so worlds of one seed share theirs: making them takes longest."""
    random = Random(seed)  # noqa: S311  # a made-up stock, no secret
    return {dealer.dpid: stock(dealer, 1 + index * VEHICLES_PER_DEALER, random) for index, dealer in enumerate(DEALERS)}

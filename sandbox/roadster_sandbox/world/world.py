"""The state behind the answers: the vehicles of a seed, and all that was created since the last reset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any

from roadster_sandbox.answers import Refused

from .dealers import DEALERS, SandboxDealer
from .ids import FirstIds, first_ids
from .inventory import VEHICLES_PER_DEALER, Vehicle, make_stock
from .service_records import ServiceCustomer, make_service_customers
from .templates import FormTemplate, make_templates


@dataclass
class World:
    """All data of one sandbox. Records are as the grading endpoint shows them, each with the dpid of its dealer."""

    seed: int
    vehicles_per_dealer: int = VEHICLES_PER_DEALER
    first_ids: FirstIds = field(init=False)
    vehicles: Mapping[str, dict[str, Vehicle]] = field(init=False)
    service_customers: Mapping[str, tuple[ServiceCustomer, ...]] = field(init=False)
    """The customers of each dealer at myKaarma, by dpid."""
    customers: list[dict[str, Any]] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    trade_offers: list[dict[str, Any]] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)
    templates: list[FormTemplate] = field(init=False)
    forms: list[dict[str, Any]] = field(default_factory=list)
    shipments: list[dict[str, Any]] = field(default_factory=list)
    """They are as Roadie shows them, without a dpid, because Roadie knows no dealers."""
    events_sent: int = 0
    contents: dict[int, str] = field(default_factory=dict)
    """Base64 of each document ever uploaded, by its id. No id is used twice, so a deleted document stays here."""

    def __post_init__(self) -> None:
        self.first_ids = first_ids(self.seed)
        self.service_customers = make_service_customers(self.seed)
        self.vehicles = _make_vehicles(self.seed, self.vehicles_per_dealer)
        self.templates = make_templates(self.seed)
        self._initial_templates = len(self.templates)

    @property
    def created_templates(self) -> list[dict[str, Any]]:
        """The templates that were created since the last reset, as the grading endpoint shows them."""
        return [template.to_record() for template in self.templates[self._initial_templates :]]

    def templates_of(self, dealer: SandboxDealer) -> dict[int, FormTemplate]:
        """Returns the dealer's templates by id, including the deleted ones."""
        return {template.id: template for template in self.templates if template.dpid == dealer.dpid}

    def require_vehicle(self, dealer: SandboxDealer, vin: str) -> Vehicle:
        """Returns the dealer's vehicle. Raises Refused(404) if this dealer has no vehicle with that VIN."""
        vehicle = self.vehicles[dealer.dpid].get(vin)
        if vehicle is None:
            raise Refused(404)
        return vehicle

    def require_customer(self, dealer: SandboxDealer, customer_id: str) -> dict[str, Any]:
        """Returns the dealer's customer. Raises Refused(404) for an unknown customer and for another dealer's."""
        for customer in self.customers:
            if str(customer["id"]) == customer_id and customer["dpid"] == dealer.dpid:
                return customer
        raise Refused(404)

    def find_customer(self, dealer: SandboxDealer, email: str) -> dict[str, Any] | None:
        """Returns the dealer's customer with that email address in any case. At a dealer, an address is unique."""
        return next(
            (
                customer
                for customer in self.customers
                if customer["dpid"] == dealer.dpid and customer["email"].lower() == email.lower()
            ),
            None,
        )

    def add_customer(self, dealer: SandboxDealer, **fields: Any) -> dict[str, Any]:
        """Adds a customer with a new id, and returns it."""
        customer = {"id": self.first_ids.customer + len(self.customers), "dpid": dealer.dpid, **fields}
        self.customers.append(customer)
        return customer

    def documents_of(self, customer: dict[str, Any]) -> dict[int, dict[str, Any]]:
        """Returns the documents in the customer's binder, by id."""
        return {document["id"]: document for document in self.documents if document["customer_id"] == customer["id"]}


@lru_cache(maxsize=4)
def _make_vehicles(seed: int, count: int) -> Mapping[str, dict[str, Vehicle]]:
    """Returns the vehicles by dpid and VIN, `count` of each dealer.

    Worlds of one seed share their vehicles. Making them takes longer than all the rest, and no call changes them.
    """
    random = Random(seed)  # noqa: S311  # no secret, only invented vehicles
    return {dealer.dpid: make_stock(dealer, 1 + index * count, count, random) for index, dealer in enumerate(DEALERS)}

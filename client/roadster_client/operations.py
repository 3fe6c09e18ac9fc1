"""The documented operations of the three upstreams: method, path, answer, and how certain each is.

The API reference lost most of its paths, so each operation has a certainty:

- `stated`: the reference states the path.
- `published`: Roadster's public OpenAPI 1.0.0 (2021) stated it.
- `inferred`: no public source states it.

The configuration can give each of Roadster's operations another route (`[roadster.operations]`).
docs/reference/operations.md lists them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # for start time: a server reads no answer until a tool is called
    from pydantic import TypeAdapter

Certainty = Literal["stated", "published", "inferred"]
ApiName = Literal["roadster", "roadie", "mykaarma"]

_ROUTE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/[A-Za-z0-9._~{}/-]*)")


@dataclass(frozen=True)
class Operation:
    """One upstream operation."""

    name: str
    method: str
    path: str
    certainty: Certainty
    answer: str
    """The model of the answer's JSON, as MODULE.NAME in `models`, with `[]` behind it for an array of such answers."""
    writes: bool
    """True forbids a second attempt if the first may have been sent."""
    deadline: float = 15.0
    """Seconds for the whole call, with its waits and its attempts."""
    api: ApiName = "roadster"
    empty_statuses: tuple[int, ...] = ()
    """The HTTP statuses with which an answer without a body is one."""

    @cached_property
    def answer_type(self) -> Any:
        """The documented shape of the answer's JSON: a type that pydantic can read. Loaded when it is first used."""
        module, _, name = self.answer.removesuffix("[]").partition(".")
        model = getattr(import_module(f"{__package__}.models.{module}"), name)
        return tuple[model, ...] if self.answer.endswith("[]") else model  # type: ignore[valid-type]

    @cached_property
    def answer_adapter(self) -> TypeAdapter[Any]:
        """Reads `answer_type`. Made at the first answer, because making it takes longer than a whole call."""
        from pydantic import TypeAdapter  # noqa: PLC0415 - for start time

        return TypeAdapter(self.answer_type)

    @property
    def longest_wait(self) -> float:
        """Seconds that a request may wait before it is sent.

        The rest of the deadline is for the answer. A write gets more of it, because a write that is cut off leaves
        open whether it was done.
        """
        return self.deadline / 2 if self.writes else max(self.deadline - 1, self.deadline / 2)

    @property
    def path_parameters(self) -> frozenset[str]:
        return frozenset(re.findall(r"{(\w+)}", self.path))

    def with_route(self, route: str) -> Operation:
        """Returns the operation at another `METHOD /path`.

        Raises ValueError where `route` has another form, or other path parameters.
        """
        match = _ROUTE.fullmatch(route)
        if match is None:
            raise ValueError(f"expected METHOD /path, for instance {self.method} {self.path}")
        operation = replace(self, method=match[1], path=match[2])
        if operation.path_parameters != self.path_parameters:
            names = ", ".join(sorted(f"{{{name}}}" for name in self.path_parameters)) or "none"
            raise ValueError(f"the path must have these parameters: {names}")
        return operation


_read = partial(Operation, writes=False)
_write = partial(Operation, writes=True)

OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for operation in (
        _read("list_dealers", "GET", "/dealers", "published", "dealers.Dealer[]"),
        _read("get_dealer", "GET", "/dealers/{dpid}", "inferred", "dealers.DealerDetails"),
        _read("list_inventory", "GET", "/vehicles", "inferred", "vehicles.InventoryPage"),
        _read("get_vehicle", "GET", "/vehicles/{vin}", "inferred", "vehicles.VehicleDetails"),
        _read("quote_payments", "POST", "/payments", "inferred", "quotes.Quote", deadline=30.0),
        _read("list_plans", "GET", "/plans", "inferred", "plans.PlanCatalogue", deadline=30.0),
        _read("create_link", "POST", "/links", "published", "links.LinkCreated"),
        _write("create_customer", "POST", "/customers", "stated", "customers.CustomerCreated", deadline=30.0),
        _write("update_customer", "PUT", "/customers", "inferred", "customers.CustomerUpdated"),
        _write(
            "submit_trade_valuation", "POST", "/create_tradein_offer", "published", "trades.TradeValued", deadline=30.0
        ),
        _read("list_documents", "GET", "/customers/{customer_id}/documents", "inferred", "documents.Document[]"),
        _write(
            "upload_document",
            "POST",
            "/customers/{customer_id}/documents",
            "inferred",
            "documents.DocumentUploaded",
            deadline=60.0,
        ),
        _read(
            "get_document",
            "GET",
            "/customers/{customer_id}/documents/content",
            "inferred",
            "documents.DocumentContents",
            deadline=60.0,
        ),
        _write(
            "delete_documents", "DELETE", "/customers/{customer_id}/documents", "inferred", "documents.DocumentsDeleted"
        ),
        _read("list_templates", "GET", "/templates", "inferred", "templates.Template[]"),
        _read("get_template", "GET", "/templates/details", "inferred", "templates.Template"),
        _read("get_template_file", "GET", "/templates/file", "inferred", "values.FileContents", deadline=60.0),
        _write("create_template", "POST", "/templates", "inferred", "templates.TemplateReceipt", deadline=60.0),
        _write("create_forms", "POST", "/orders/{order_id}/forms", "inferred", "forms.FormsCreated", deadline=30.0),
        _write("create_shipment", "POST", "/shipments", "stated", "deliveries.Shipment", deadline=30.0, api="roadie"),
        _read("get_shipment", "GET", "/shipments/{shipment_id}", "stated", "deliveries.Shipment", api="roadie"),
        _write("update_shipment", "PATCH", "/shipments/{shipment_id}", "stated", "deliveries.Shipment", api="roadie"),
        _write(
            "cancel_shipment",
            "DELETE",
            "/shipments/{shipment_id}",
            "stated",
            "deliveries.Shipment",
            api="roadie",
            empty_statuses=(200, 204),
        ),
        _read(
            "get_customer_record",
            "POST",
            "/customer/{customer_uuid}",
            "stated",
            "customer_records.CustomerRecord",
            api="mykaarma",
            empty_statuses=(204,),
        ),
    )
}
"""All operations by id. The POSTs among the reads change nothing upstream."""


def operations_with(routes: Mapping[str, str]) -> Mapping[str, Operation]:
    """Returns `OPERATIONS` with other routes for some of Roadster's, given as `METHOD /path` by id.

    Raises KeyError for an id that is not Roadster's, and ValueError for a route that cannot be used.
    """
    return {**OPERATIONS, **{name: operations_of("roadster")[name].with_route(route) for name, route in routes.items()}}


def operations_of(api: ApiName) -> Mapping[str, Operation]:
    """Returns the operations of one API by id."""
    return {name: operation for name, operation in OPERATIONS.items() if operation.api == api}

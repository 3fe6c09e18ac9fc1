"""The documented operations: method, path, and how sure the documents are of them.

`stated` stands in the API reference; `published` stood in Roadster's public OpenAPI 1.0.0 (2021);
`inferred` has no public source, because the reference lost its paths. Every one of Roadster's can be
overridden in the configuration (`[roadster.operations]`); docs/reference/operations.md lists them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from .models.customer_records import CustomerRecord
from .models.customers import CustomerCreated, CustomerUpdated
from .models.dealers import Dealer, DealerDetails
from .models.deliveries import Shipment
from .models.documents import Document, DocumentContents, DocumentsDeleted, DocumentUploaded
from .models.forms import FormsCreated
from .models.links import LinkCreated
from .models.plans import PlanCatalogue
from .models.quotes import Quote
from .models.templates import Template, TemplateReceipt
from .models.trades import TradeValued
from .models.values import FileContents
from .models.vehicles import InventoryPage, VehicleDetails

Certainty = Literal["stated", "published", "inferred"]
ApiName = Literal["roadster", "roadie", "mykaarma"]

_ROUTE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/[A-Za-z0-9._~{}/-]*)")


@dataclass(frozen=True)
class Operation:
    """One upstream operation. `deadline` is in seconds, for the whole call, waiting included.

    `writes` forbids repeating what may have been sent.
    """

    name: str
    method: str
    path: str
    certainty: Certainty
    answer_type: Any
    """The documented shape of the answer's JSON, for pydantic to read it as."""
    writes: bool
    deadline: float = 15.0
    api: ApiName = "roadster"
    may_be_empty: bool = False
    """Whether a 2xx without a body is an answer."""

    @property
    def begins_within(self) -> float:
        """Seconds that an exchange may wait before it begins: a write begun late often ends with its outcome open."""
        return self.deadline / 2 if self.writes else max(self.deadline - 1, self.deadline / 2)

    @property
    def path_parameters(self) -> frozenset[str]:
        return frozenset(re.findall(r"{(\w+)}", self.path))

    def with_route(self, route: str) -> Operation:
        """The same operation at another `METHOD /path`. Raises ValueError where that cannot work."""
        match = _ROUTE.fullmatch(route)
        if match is None:
            raise ValueError(f"expected METHOD /path, for instance {self.method} {self.path}")
        moved = replace(self, method=match[1], path=match[2])
        if moved.path_parameters != self.path_parameters:
            wanted = ", ".join(sorted(f"{{{name}}}" for name in self.path_parameters)) or "none"
            raise ValueError(f"the path must have these parameters: {wanted}")
        return moved


_read = partial(Operation, writes=False)
_write = partial(Operation, writes=True)

OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for operation in (
        _read("list_dealers", "GET", "/dealers", "published", tuple[Dealer, ...]),
        _read("get_dealer", "GET", "/dealers/{dpid}", "inferred", DealerDetails),
        _read("list_inventory", "GET", "/vehicles", "inferred", InventoryPage),
        _read("get_vehicle", "GET", "/vehicles/{vin}", "inferred", VehicleDetails),
        _read("quote_payments", "POST", "/payments", "inferred", Quote, deadline=30.0),
        _read("list_plans", "GET", "/plans", "inferred", PlanCatalogue, deadline=30.0),
        _read("create_link", "POST", "/links", "published", LinkCreated),
        _write("create_customer", "POST", "/customers", "stated", CustomerCreated, deadline=30.0),
        _write("update_customer", "PUT", "/customers", "inferred", CustomerUpdated),
        _write("submit_trade_valuation", "POST", "/create_tradein_offer", "published", TradeValued, deadline=30.0),
        _read("list_documents", "GET", "/customers/{customer_id}/documents", "inferred", tuple[Document, ...]),
        _write(
            "upload_document", "POST", "/customers/{customer_id}/documents", "inferred", DocumentUploaded, deadline=60.0
        ),
        _read(
            "get_document",
            "GET",
            "/customers/{customer_id}/documents/content",
            "inferred",
            DocumentContents,
            deadline=60.0,
        ),
        _write("delete_documents", "DELETE", "/customers/{customer_id}/documents", "inferred", DocumentsDeleted),
        _read("list_templates", "GET", "/templates", "inferred", tuple[Template, ...]),
        _read("get_template", "GET", "/templates/details", "inferred", Template),
        _read("get_template_file", "GET", "/templates/file", "inferred", FileContents, deadline=60.0),
        _write("create_template", "POST", "/templates", "inferred", TemplateReceipt, deadline=60.0),
        _write("create_forms", "POST", "/orders/{order_id}/forms", "inferred", FormsCreated, deadline=30.0),
        _write("create_shipment", "POST", "/shipments", "stated", Shipment, deadline=30.0, api="roadie"),
        _read("get_shipment", "GET", "/shipments/{shipment_id}", "stated", Shipment, api="roadie"),
        _write("update_shipment", "PATCH", "/shipments/{shipment_id}", "stated", Shipment, api="roadie"),
        _write(
            "cancel_shipment", "DELETE", "/shipments/{shipment_id}", "stated", Shipment, api="roadie", may_be_empty=True
        ),
        _read(
            "get_customer_record",
            "POST",
            "/customer/{customer_uuid}",
            "stated",
            CustomerRecord,
            api="mykaarma",
            may_be_empty=True,
        ),
    )
}
"""By operation id. `quote_payments`, `create_link` and `get_customer_record` are POSTs that change nothing."""


def operations_with(routes: Mapping[str, str]) -> Mapping[str, Operation]:
    """`OPERATIONS` with the configured routes of Roadster's in place. Raises KeyError and ValueError."""
    return {**OPERATIONS, **{name: operations_of("roadster")[name].with_route(route) for name, route in routes.items()}}


def operations_of(api: ApiName) -> Mapping[str, Operation]:
    """Those of one API, by operation id."""
    return {name: operation for name, operation in OPERATIONS.items() if operation.api == api}

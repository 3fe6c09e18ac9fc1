"""The documented operations: method, path, and how sure the documents are of them.

`stated` stands in the API reference; `published` stood in Roadster's public OpenAPI 1.0.0 (2021);
`inferred` has no public source, because the reference lost its paths. Every one of Roadster's can be
overridden in the configuration (`[roadster.operations]`), and the README lists them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

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
    writes: bool = False
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

    def routed(self, route: str) -> Operation:
        """The same operation at another `METHOD /path`. Raises ValueError where that cannot work."""
        match = _ROUTE.fullmatch(route)
        if match is None:
            raise ValueError(f"expected METHOD /path, for instance {self.method} {self.path}")
        moved = replace(self, method=match[1], path=match[2])
        if moved.path_parameters != self.path_parameters:
            wanted = ", ".join(sorted(f"{{{name}}}" for name in self.path_parameters)) or "none"
            raise ValueError(f"the path must have these parameters: {wanted}")
        return moved


OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for operation in (
        Operation("list_dealers", "GET", "/dealers", "published"),
        Operation("get_dealer", "GET", "/dealers/{dpid}", "inferred"),
        Operation("list_inventory", "GET", "/vehicles", "inferred"),
        Operation("get_vehicle", "GET", "/vehicles/{vin}", "inferred"),
        Operation("quote_payments", "POST", "/payments", "inferred", deadline=30.0),
        Operation("list_plans", "GET", "/plans", "inferred", deadline=30.0),
        Operation("create_link", "POST", "/links", "published"),
        Operation("create_customer", "POST", "/customers", "stated", writes=True, deadline=30.0),
        Operation("update_customer", "PUT", "/customers", "inferred", writes=True),
        Operation("submit_trade_valuation", "POST", "/create_tradein_offer", "published", writes=True, deadline=30.0),
        Operation("list_documents", "GET", "/customers/{customer_id}/documents", "inferred"),
        Operation("upload_document", "POST", "/customers/{customer_id}/documents", "inferred", True, 60.0),
        Operation("get_document", "GET", "/customers/{customer_id}/documents/content", "inferred", deadline=60.0),
        Operation("delete_documents", "DELETE", "/customers/{customer_id}/documents", "inferred", writes=True),
        Operation("list_templates", "GET", "/templates", "inferred"),
        Operation("get_template", "GET", "/templates/details", "inferred"),
        Operation("get_template_file", "GET", "/templates/file", "inferred", deadline=60.0),
        Operation("create_template", "POST", "/templates", "inferred", writes=True, deadline=60.0),
        Operation("create_forms", "POST", "/orders/{order_id}/forms", "inferred", writes=True, deadline=30.0),
        Operation("create_shipment", "POST", "/shipments", "stated", writes=True, deadline=30.0, api="roadie"),
        Operation("get_shipment", "GET", "/shipments/{shipment_id}", "stated", api="roadie"),
        Operation("update_shipment", "PATCH", "/shipments/{shipment_id}", "stated", writes=True, api="roadie"),
        Operation(
            "cancel_shipment", "DELETE", "/shipments/{shipment_id}", "stated", True, api="roadie", may_be_empty=True
        ),
    )
}
"""By operation id. `quote_payments` and `create_link` are POSTs that change nothing."""


def overridden(routes: Mapping[str, str]) -> Mapping[str, Operation]:
    """`OPERATIONS` with the configured routes of Roadster's in place. Raises KeyError and ValueError."""
    return {**OPERATIONS, **{name: operations_of("roadster")[name].routed(route) for name, route in routes.items()}}


def operations_of(api: ApiName) -> Mapping[str, Operation]:
    """Those of one API, by operation id."""
    return {name: operation for name, operation in OPERATIONS.items() if operation.api == api}

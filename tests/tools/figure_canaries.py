"""Canaries for the dealer's own figures: values that occur nowhere else, planted in each answer and event.

The names of the fields stand here, and not in the models, so that a field whose class is lost is noticed.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import httpx2

from roadster_client.json_text import parse_lenient_json
from tests.conftest import Answering, World, response
from tests.server.events.hooks import event

FIGURES = {
    name: 91_004_170.25 + number * 1_000
    for number, name in enumerate(
        (
            "invoice",
            "invoice_price",
            "profit",
            "dealer_cash",
            "total_contribution",
            "total_cost",
            "total_financed_before_subsidy",
            "standard",
            "special",
            "lender_money_factor",
            # Names that no document has, for an upstream that sends more than it documents.
            "holdback",
            "dealer_reserve",
        )
    )
}
"""The canary of each figure, by the name of its field."""

DOCUMENTED = FIGURES.keys() - {"holdback", "dealer_reserve"}
FLAG = "backend_profit"
"""A field that is true or false. Its name is its canary."""
REMARK = "Zorblatt pays two points of reserve"
"""In a lender's comments, which are for the dealer."""
DEALERS_ROWS: Mapping[str, list[dict[str, Any]]] = {
    "rebates": [
        {"id": 1, "program_id": "Z-1", "name": "Zorblatt Volume Bonus", "cash": 92_000_001, "recipient": "Dealer"},
        {"id": 2, "program_id": "Z-2", "name": "Zorblatt Bonus of nobody", "cash": 92_000_002},
    ],
    "incentives": [
        {"name": "zorblatt", "display_name": "Zorblatt Stair Step", "cash": 92_000_003, "recipient": "dealer"}
    ],
}
"""Rows that are not for the customer, by the name of their list."""

_CANARIES = {
    **{name: f"{value:.0f}" for name, value in FIGURES.items()},
    FLAG: FLAG,
    "remark": "Zorblatt pays",
    "rebate": "Zorblatt Volume",
    "rebate amount": "92000001",
    "rebate without a recipient": "92000002",
    "incentive": "92000003",
}
ALL_LEAKS = _CANARIES.keys()


def leaks(text: str) -> set[str]:
    """Returns the names of the canaries in a text, in which amounts may have signs between their thousands."""
    plain = text.replace(",", "").replace("\N{NARROW NO-BREAK SPACE}", "")
    return {name for name, canary in _CANARIES.items() if canary in plain}


def plant(node: Any) -> Any:
    """Returns a JSON document with the canaries in each of its objects and lists."""
    match node:
        case list():
            return [plant(item) for item in node]
        case dict():
            fields = {name: plant(value) for name, value in node.items()}
            rows = {name: [*fields[name], *DEALERS_ROWS[name]] for name in DEALERS_ROWS.keys() & fields.keys()}
            return {**fields, **rows, **FIGURES, FLAG: True, "comments": REMARK}
        case _:
            return node


class FiguresUpstream(httpx2.AsyncBaseTransport):
    """The sandbox with canaries in each of its answers. With `status`, all answers are refusals that repeat them."""

    def __init__(self, world: World, status: int | None = None) -> None:
        self._sandbox = Answering(world, lambda _request: None)
        self._status = status

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._sandbox.handle_async_request(request)
        content = b"".join([part async for part in answer.aiter_raw()])
        if self._status is not None:
            return response({"status": "error", "error": f"{REMARK} {FIGURES}", **plant({})}, self._status)
        if not content:
            return httpx2.Response(answer.status_code, headers=answer.headers, stream=httpx2.ByteStream(content))
        return response(plant(parse_lenient_json(content)), answer.status_code)


def event_with_figures(customer_id: int) -> str:
    """Returns the documented event of a customer at umazda, with the canaries in it."""
    sample = copy.deepcopy(event())
    sample["customer"]["id"] = customer_id
    # An id with a canary would be another dealer's or customer's event.
    return json.dumps({**plant(sample), "event_id": "e-figures"})

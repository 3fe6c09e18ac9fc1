"""What the tools cost a model that reads them: their definitions, and the largest answers of the sandbox.

    .venv/bin/python bench/tokens.py            the table
    .venv/bin/python bench/tokens.py --write    writes it into docs/reference/tokens.md; `make generate` does that

A token is four bytes of compact UTF-8 JSON, or of text. That is near enough to compare by, and needs
no model's own tokenizer. The budgets are below; tests/tools/test_budgets.py holds the tools to them.

`upstream` is what the same answer takes as Roadster sends it, over all requests of the call.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp_types import CallToolResult, ListToolsResult

from roadster_sandbox import SandboxTransport, create_app
from roadster_sandbox.http.events import EventBody, make_event
from roadster_sandbox.world.world import World
from roadster_server.calls.results import text_of
from roadster_server.protocol.server import build_server, mcp_tool
from roadster_server.runtime import open_calls
from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.defaults import LOCAL_CALLER
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections import CallerSettings
from roadster_server.store import open_store
from roadster_server.store.records import NewEvent
from roadster_tools import TOOLS, Access, Tool

# The budgets: definitions

MOST_ON_AVERAGE = 150
"""Tokens of name, description and input schema, over the whole catalogue."""

MOST_OF_ONE = 320
"""The same of any one tool."""

MOST_BYTES_OF_THE_LIST = 48_000
"""`tools/list` as sent to a caller who may use everything."""

# The budgets: answers

VIN = "JM3KKBHA7R1194195"  # of umazda's, the one with the longest quote
PLANS = [{"id": 6160}, {"id": 1614}, {"id": 1619}]
STEVE = {"first_name": "Steve", "last_name": "McQueen", "email": "steve.mcqueen@example.com", "phone": "+14155556666"}
CUSTOMER = 1650260
DOCUMENT = 1602287
LARGEST_SHOWN = base64.b64encode(b"\x89PNG\r\n\x1a\n".ljust(64 * 1024, b"\0")).decode()
TEMPLATE = "278"
FIELD = {"x": 96, "y": 555, "name": "vehicleYear_1", "type": "vehicleYear", "width": 40, "height": 12}
FORM = {
    "name": "Insurance Acknowledgement",
    "file_name": "insurance.pdf",
    "form_definition": {"pages": [{"fields": [FIELD]}]},
    "contents": base64.b64encode(b"%PDF-1.4 a blank form").decode(),
}
SHIPMENT = 152040
DELIVERY = {
    "items": [
        {
            "description": "Four winter tires",
            "value": 800,
            "length": 27,
            "width": 27,
            "height": 36,
            "weight": 100,
            "quantity": 1,
        }
    ],
    "delivery_location": {
        "address": {"street1": "456 Central Avenue", "city": "San Mateo", "state": "CA", "zip": "94402"},
        "contact": {"name": "Carlos Silva", "phone": "4155550123"},
        "notes": "The bell is broken",
    },
    "pickup_after": "2099-01-31T09:00:00-08:00",
    "deliver_between": {"start": "2099-01-31T10:00:00-08:00", "end": "2099-01-31T18:00:00-08:00"},
}
RECORD = "c0000000-0000-4000-8a00-000000000001"
FINANCED = {"deal_type": "finance", "apr_percent": 4.9, "term_months": 60, "amount_financed": 30000}


@dataclass(frozen=True)
class Budget:
    """The tokens that the text of a tool's answer may take, for arguments that make the sandbox's largest.

    `full` is the bound with `arguments_for_full` as well; `times` says how often the call is made.
    """

    brief: int
    arguments: Mapping[str, Any] = field(default_factory=dict)
    full: int | None = None
    arguments_for_full: Mapping[str, Any] = field(default_factory=lambda: {"detail": "full"})
    times: int = 1


BUDGETS: Mapping[str, Budget] = {
    "list_dealers": Budget(100),
    "get_dealer": Budget(120),
    "list_inventory": Budget(1_300, {"limit": 20}, 4_200, {"limit": 100, "detail": "full"}),
    "get_vehicle": Budget(60, {"vin": VIN}),
    "quote_payments": Budget(450, {"vin": VIN, "plans": PLANS}, 2_000),
    "list_protection_plans": Budget(250, {"vin": VIN, **FINANCED}, 400),
    "create_customer": Budget(60, {"customer": STEVE, "vehicle": {"vin": VIN}}),
    "assign_agent": Budget(30, {"customer_id": CUSTOMER, "agent": {"id": "ID9876"}}),
    "submit_trade_valuation": Budget(60, {"email": STEVE["email"], "vin": "4T1C11AK0LU322811", "value": 9000}),
    # A customer's link takes 85, give or take one: encrypted, no two are alike.
    "build_deep_link": Budget(100, {"vin": VIN, "utm_source": "email", "utm_campaign": "spring"}),
    "upload_document": Budget(
        30,
        {
            "customer_id": CUSTOMER,
            "document_type": "license",
            "document_name": "DL Front",
            "file_name": "license.png",
            "relationship": "self",
            "contents": LARGEST_SHOWN,
        },
        times=20,
    ),
    "list_documents": Budget(1_100, {"customer_id": CUSTOMER}),
    # A file of 64 KiB in base64, the largest that is shown.
    "get_document": Budget(60, {"customer_id": CUSTOMER, "document_id": DOCUMENT}, 22_000),
    "delete_documents": Budget(120, {"customer_id": CUSTOMER, "document_ids": [*range(DOCUMENT, DOCUMENT + 20)]}),
    "list_templates": Budget(250, {"limit": 100}),
    "get_template": Budget(120, {"template_id": TEMPLATE}, 1_500),
    "get_template_file": Budget(120, {"template_id": TEMPLATE}),
    "create_template": Budget(80, FORM),
    "create_forms": Budget(60, {"order_id": "367101", "title": "Please sign", "template_ids": [TEMPLATE]}),
    "list_customer_events": Budget(2_000, {}, 8_000),
    "get_customer": Budget(600, {"customer_id": CUSTOMER}, 1_200),
    "create_delivery": Budget(150, DELIVERY),
    "get_delivery": Budget(150, {"delivery_id": SHIPMENT}, 350),
    "update_delivery": Budget(150, {"delivery_id": SHIPMENT, "reference_id": "RO-4712"}),
    "cancel_delivery": Budget(30, {"delivery_id": SHIPMENT}),
    "get_crm_customer": Budget(300, {"customer_uuid": RECORD}, 900),
}
"""By tool, in the order of the calls: what one needs is made by those before it."""


# Measuring


def tokens(text: str) -> int:
    return -(-len(text.encode()) // 4)


def compact(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def definition_tokens(tool: Tool) -> int:
    """Of what most hosts put before a model: name, description, input schema."""
    return tokens(tool.name + tool.description + compact(tool.input_schema))


def bytes_of_the_list() -> int:
    result = ListToolsResult(tools=[mcp_tool(tool) for tool in TOOLS.values()])
    return len(compact(result.model_dump(mode="json", by_alias=True, exclude_none=True)).encode())


@dataclass(frozen=True)
class Measured:
    """One answer; `upstream` counts tokens too."""

    tool: str
    detail: str
    most: int
    result: CallToolResult
    upstream: int

    @property
    def text(self) -> str:
        return text_of(self.result)

    @property
    def structured(self) -> str:
        return compact(self.result.structured_content)


async def measured() -> list[Measured]:
    """The answer to each call of the budgets, brief and full."""
    answers = []
    async with _session() as (client, weighed):
        for tool, budget in BUDGETS.items():
            dealer = {"dealer": "umazda"} if TOOLS[tool].of_one_dealer else {}
            calls = [("brief", budget.brief, budget.arguments)]
            if budget.full is not None:
                calls.append(("full", budget.full, {**budget.arguments, **budget.arguments_for_full}))
            for detail, most, arguments in calls:
                for _ in range(budget.times):
                    weighed.bytes = 0
                    result = await client.call_tool(tool, {**dealer, **arguments})
                answers.append(Measured(tool, detail, most, result, -(-weighed.bytes // 4)))
    return answers


class _Weighed(httpx2.AsyncBaseTransport):
    """The sandbox as the network, which counts the bytes of its answers."""

    def __init__(self) -> None:
        self._sandbox = SandboxTransport(create_app())
        self.bytes = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._sandbox.handle_async_request(request)
        content = await response.aread()
        await response.aclose()
        self.bytes += len(content)
        return httpx2.Response(response.status_code, headers=response.headers, stream=httpx2.ByteStream(content))


async def _receive_events(store_url: str) -> None:
    """As many as one answer shows by default, as the web hook would keep them."""
    world = World(seed=7)
    order = EventBody(url="http://127.0.0.1", key="key", customer_id=CUSTOMER, message="Is the blue one still there?")
    events = []
    for _ in range(20):
        event = make_event(world, order)
        world.events_sent += 1
        events.append(
            NewEvent(
                source="roadster",
                event_id=event["event_id"],
                event_type=event["event_type"],
                dealer=order.dealer,
                customer=str(CUSTOMER),
                order=str(event["order"]["id"]),
                delivery=None,
                happened_at=datetime.fromisoformat(event["event_time"]),
                body=json.dumps(event),
            )
        )
    async with open_store(store_url) as store:
        await store.add_events(events, dealers=[order.dealer], now=events[-1].happened_at)


@asynccontextmanager
async def _session() -> AsyncIterator[tuple[Client, _Weighed]]:
    weighed = _Weighed()
    everything = CallerSettings(
        dealers=["umazda", "hyundaidemo"], access=dict.fromkeys(TOOLS, Access.WRITE), personal_data="contact"
    )
    with TemporaryDirectory() as folder:
        settings = sandbox_settings(f"sqlite:///{folder}/store.db")
        await _receive_events(settings.store.url.get_secret_value())
        live = LiveSettings(settings.model_copy(update={"callers": {LOCAL_CALLER: everything}}))
        async with (
            open_calls(live, local=True, transport=weighed) as calls,
            Client(build_server(calls, lambda: live.current.caller(LOCAL_CALLER))) as client,
        ):
            yield client, weighed


# Showing


def table(answers: list[Measured]) -> str:
    """In Markdown. Figures are tokens; the bound of an answer's text stands behind it."""
    found = {(answer.tool, answer.detail): answer for answer in answers}
    lines = [
        "| tool | definition | answer | structured | full answer | structured | upstream |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, tool in TOOLS.items():
        brief, full = found[name, "brief"], found.get((name, "full"))
        cells = [
            f"`{name}`",
            f"{definition_tokens(tool)}",
            f"{tokens(brief.text):,} (≤ {brief.most:,})",
            f"{tokens(brief.structured):,}",
            f"{tokens(full.text):,} (≤ {full.most:,})" if full else "-",
            f"{tokens(full.structured):,}" if full else "-",
            f"{(full or brief).upstream:,}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    costs = [definition_tokens(tool) for tool in TOOLS.values()]
    average = sum(costs) / len(costs)
    definitions = (
        f"Definitions: {average:.0f} tokens on average (≤ {MOST_ON_AVERAGE}), {max(costs)} the largest "
        f"(≤ {MOST_OF_ONE}), {sum(costs):,} in all. `tools/list`: {bytes_of_the_list():,} bytes "
        f"(≤ {MOST_BYTES_OF_THE_LIST:,})."
    )
    return "\n".join([*lines, "", definitions])


DOCUMENT = Path(__file__).parent.parent / "docs" / "reference" / "tokens.md"
SHOWN = re.compile(r"(<!-- tokens -->\n).*?(\n<!-- /tokens -->)", re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table into docs/reference/tokens.md")
    shown = table(anyio.run(measured))
    if parser.parse_args().write:
        text = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(SHOWN.sub(lambda found: f"{found[1]}{shown}{found[2]}", text), encoding="utf-8")
    else:
        print(shown)


if __name__ == "__main__":
    main()

"""What the tools cost a model that reads them: their definitions, and the largest answers of the sandbox.

    .venv/bin/python -m bench.tokens            the table
    .venv/bin/python -m bench.tokens --write    writes it into docs/reference/tokens.md; `make generate` does that

A token is four bytes of compact UTF-8 JSON, or of text. That is near enough to compare by, and needs
no model's own tokenizer. The budgets of definitions are below, those of answers in tests/tool_examples.py;
tests/tools/test_budgets.py holds the tools to them.

`upstream` is what the same answer takes as Roadster sends it, over all requests of the call.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp_types import CallToolResult, ListToolsResult
from tests.tool_examples import CUSTOMER_ID, TOOL_EXAMPLES

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
    limit: int
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
        for tool, example in TOOL_EXAMPLES.items():
            budget = example.budget
            dealer = {"dealer": "umazda"} if TOOLS[tool].of_one_dealer else {}
            arguments = {**dealer, **example.arguments, **budget.largest}
            calls = [("brief", budget.brief, arguments)]
            if budget.full is not None:
                calls.append(("full", budget.full, {**arguments, "detail": "full", **budget.largest_full}))
            for detail, limit, arguments in calls:
                for _ in range(budget.calls):
                    weighed.bytes = 0
                    result = await client.call_tool(tool, arguments)
                answers.append(Measured(tool, detail, limit, result, -(-weighed.bytes // 4)))
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
    order = EventBody(
        url="http://127.0.0.1", key="key", customer_id=CUSTOMER_ID, message="Is the blue one still there?"
    )
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
                customer=str(CUSTOMER_ID),
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
            f"{tokens(brief.text):,} (≤ {brief.limit:,})",
            f"{tokens(brief.structured):,}",
            f"{tokens(full.text):,} (≤ {full.limit:,})" if full else "-",
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

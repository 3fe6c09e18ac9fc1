"""The tokens that a model reads: the definitions of the tools, and the largest answers of the sandbox.

    .venv/bin/python -m bench.tokens            prints the table
    .venv/bin/python -m bench.tokens --write    writes it into docs/reference/tokens.md, as `make generate` does

A token is four bytes of compact UTF-8 JSON, or of text. This is good enough for comparing, and needs no tokenizer of a
model. The budgets of definitions are below, and those of answers in tests/tool_examples.py. tests/tools/test_budgets.py
fails if a tool exceeds one.

The column `upstream` counts the same answer as Roadster sends it, over all requests of the call.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
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
from roadster_server.settings.sections.callers import CallerSettings
from roadster_server.store.lazy import LazyStore
from roadster_server.store.records import NewEvent
from roadster_tools import TOOLS, Access, Tool

MOST_ON_AVERAGE = 160
"""Tokens of name, description and input schema, over the whole catalogue."""

MOST_OF_ONE = 460
"""Tokens of the same, for each tool."""

MOST_BYTES_OF_THE_LIST = 48_000
"""Bytes of `tools/list` for a caller who may use everything."""


def count_tokens(text: str) -> int:
    return -(-len(text.encode()) // 4)


def compact(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def count_definition_tokens(tool: Tool) -> int:
    """Returns the tokens of the parts that most hosts show a model: name, description, input schema."""
    return count_tokens(tool.name + tool.description + compact(tool.input_schema))


def count_list_bytes() -> int:
    result = ListToolsResult(tools=[mcp_tool(tool) for tool in TOOLS.values()])
    return len(compact(result.model_dump(mode="json", by_alias=True, exclude_none=True)).encode())


@dataclass(frozen=True)
class Measurement:
    """One answer, its budget in `limit`, and the tokens of the `upstream` answers to it."""

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


async def measure_answers() -> list[Measurement]:
    """Calls each tool by its example, brief and full. Returns the answers."""
    answers = []
    async with _session() as (client, network):
        for tool, example in TOOL_EXAMPLES.items():
            budget = example.budget
            dealer = {"dealer": "umazda"} if TOOLS[tool].of_one_dealer else {}
            arguments = {**dealer, **example.arguments, **budget.largest}
            calls = [("brief", budget.brief, arguments)]
            if budget.full is not None:
                calls.append(("full", budget.full, {**arguments, "detail": "full", **budget.largest_full}))
            if budget.refused is not None:
                calls.append(("refused", budget.refused, {**arguments, **budget.largest_refused}))
            for detail, limit, arguments in calls:
                for _ in range(budget.calls):
                    network.bytes = 0
                    result = await client.call_tool(tool, arguments)
                answers.append(Measurement(tool, detail, limit, result, -(-network.bytes // 4)))
    return answers


class _CountingTransport(httpx2.AsyncBaseTransport):
    """The sandbox as the network. It counts the bytes of the answers."""

    def __init__(self) -> None:
        self._sandbox = SandboxTransport(create_app())
        self.bytes = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._sandbox.handle_async_request(request)
        content = await response.aread()
        await response.aclose()
        self.bytes += len(content)
        return httpx2.Response(response.status_code, headers=response.headers, stream=httpx2.ByteStream(content))


async def _receive_events(store: LazyStore) -> None:
    """Stores as many events as one answer shows by default, as the web hook would store them."""
    world = World(seed=7)
    request = EventBody(
        url="http://127.0.0.1", key="key", customer_id=CUSTOMER_ID, message="Is the blue one still there?"
    )
    events = []
    for _ in range(20):
        event = make_event(world, request)
        world.events_sent += 1
        events.append(
            NewEvent(
                source="roadster",
                event_id=event["event_id"],
                event_type=event["event_type"],
                dealer=request.dealer,
                customer=str(CUSTOMER_ID),
                order=str(event["order"]["id"]),
                delivery=None,
                happened_at=datetime.fromisoformat(event["event_time"]),
                body=json.dumps(event),
            )
        )
    await store.add_events(events, dealers=[request.dealer], now=datetime.now(UTC))


@asynccontextmanager
async def _session() -> AsyncIterator[tuple[Client, _CountingTransport]]:
    network = _CountingTransport()
    everything = CallerSettings(
        dealers=["umazda", "hyundaidemo"],
        access=dict.fromkeys(TOOLS, Access.WRITE),
        personal_data="contact",
        dealer_figures=True,
    )
    with TemporaryDirectory() as folder:
        settings = sandbox_settings(f"sqlite:///{folder}/store.db")
        live = LiveSettings(settings.model_copy(update={"callers": {LOCAL_CALLER: everything}}))
        async with (
            open_calls(live, local=True, transport=network) as calls,
            Client(build_server(calls, lambda: live.current.caller(LOCAL_CALLER))) as client,
        ):
            await _receive_events(calls.services.store)
            yield client, network


def make_table(answers: list[Measurement]) -> str:
    """Returns a Markdown table of tokens. The budget of an answer, in parentheses, is that of both its forms."""
    by_call = {(answer.tool, answer.detail): answer for answer in answers}
    lines = [
        "| tool | definition | answer | structured | full answer | structured | upstream |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, tool in TOOLS.items():
        brief, full = by_call[name, "brief"], by_call.get((name, "full"))
        cells = [
            f"`{name}`",
            f"{count_definition_tokens(tool)}",
            f"{count_tokens(brief.text):,} (≤ {brief.limit:,})",
            f"{count_tokens(brief.structured):,}",
            f"{count_tokens(full.text):,} (≤ {full.limit:,})" if full else "-",
            f"{count_tokens(full.structured):,}" if full else "-",
            f"{(full or brief).upstream:,}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
        if (refused := by_call.get((name, "refused"))) is not None:
            text, structured = count_tokens(refused.text), count_tokens(refused.structured)
            lines.append(
                f"| the same, wishes not carried | - | {text:,} (≤ {refused.limit:,}) | {structured:,} | - | - "
                f"| {refused.upstream:,} |"
            )
    costs = [count_definition_tokens(tool) for tool in TOOLS.values()]
    average = sum(costs) / len(costs)
    definitions = (
        f"Definitions: {average:.0f} tokens on average (≤ {MOST_ON_AVERAGE}), {max(costs)} the largest "
        f"(≤ {MOST_OF_ONE}), {sum(costs):,} in all. `tools/list`: {count_list_bytes():,} bytes "
        f"(≤ {MOST_BYTES_OF_THE_LIST:,})."
    )
    return "\n".join([*lines, "", definitions])


DOCUMENT = Path(__file__).parent.parent / "docs" / "reference" / "tokens.md"
TABLE_PLACE = re.compile(r"(<!-- tokens -->\n).*?(\n<!-- /tokens -->)", re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table into docs/reference/tokens.md")
    table = make_table(anyio.run(measure_answers))
    if parser.parse_args().write:
        text = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(TABLE_PLACE.sub(lambda match: f"{match[1]}{table}{match[2]}", text), encoding="utf-8")
    else:
        print(table)


if __name__ == "__main__":
    main()

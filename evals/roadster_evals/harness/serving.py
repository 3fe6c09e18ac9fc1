"""The world of one scenario as an MCP server of its own, for a harness that starts servers by a command.

The harness sees what the scenario's caller sees: tools, resources, prompts. A client in the same process makes its
calls, and the person of the scenario answers the questions about writes. So the harness needs no way to ask a person.
Where the scenario has pages for people, they have a port of this machine, and the person opens them with `reply`,
which finds its key beside the record.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import uvicorn
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolRequestParams, ReadResourceRequestParams

from roadster_evals.runs.trial import Trial, open_trial, open_workspace
from roadster_evals.scenario_files.scenario import Scenario

from .page_keys import write_page_key
from .record import RecordWriter

MCP_PATH = "/mcp"
"""The path of the server over HTTP."""


@asynccontextmanager
async def open_server(scenario: Scenario, record: RecordWriter | None) -> AsyncIterator[Server[Any]]:
    """Yields the server of a new world. Raises ScenarioError if the world cannot be made."""
    async with (
        open_workspace() as workspace,
        open_trial(workspace, scenario, listens=True) as trial,
        anyio.create_task_group() as tasks,
    ):
        if record:
            tasks.start_soon(_record_decisions, trial, record)
            if trial.page_key:
                write_page_key(record.path, trial.page_key)
        yield _server_of(trial, record)
        tasks.cancel_scope.cancel()


async def _record_decisions(trial: Trial, record: RecordWriter) -> None:
    while True:
        await trial.writes.change()
        record.decide(trial.observe())


async def serve_stdio(scenario: Scenario, record: RecordWriter | None) -> None:
    """Serves until stdin ends."""
    async with open_server(scenario, record) as server, stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


async def serve_http(scenario: Scenario, record: RecordWriter | None, host: str, port: int) -> None:
    """Serves until a signal comes. All connections share the world."""
    async with open_server(scenario, record) as server:
        app = server.streamable_http_app(streamable_http_path=MCP_PATH, host=host)
        await uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="warning")).serve()


def _server_of(trial: Trial, record: RecordWriter | None) -> Server[Any]:
    """Returns the server of the harness. It is the real one in all but calls of tools and reads."""

    async def with_person(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        match ctx.method:
            case "tools/call":
                call = CallToolRequestParams.model_validate(ctx.params, by_name=False)
                with _record_call(call.name, trial, record):
                    return await trial.client.call_tool(call.name, call.arguments or {})
            case "resources/read":
                resource = ReadResourceRequestParams.model_validate(ctx.params, by_name=False)
                with _record_call(ctx.method, trial, record):
                    return await trial.client.read_resource(resource.uri)
        return await call_next(ctx)

    server = trial.make_server()
    server.middleware.append(with_person)
    server.get_tool_input_schema = None  # no proxy is on the way, which would want arguments in headers
    return server


@contextmanager
def _record_call(name: str, trial: Trial, record: RecordWriter | None) -> Iterator[None]:
    """Writes that a call begins, and what it did when it ends. A call that is cancelled does not end."""
    if record is None:
        yield
        return
    number = record.begin(name)
    try:
        yield
    except MCPError:
        record.end(number, trial.observe())
        raise
    record.end(number, trial.observe())

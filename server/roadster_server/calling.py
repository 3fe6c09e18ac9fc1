"""Single calls from the command line: through the same server and client as an assistant's."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any, TextIO

import anyio.to_thread
from mcp.client.client import Client
from mcp.client.session import ClientRequestContext, ElicitationFnT
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult, ErrorData

from roadster_tools import TOOLS, FailureKind, dealer_verdict, verdict

from .backend import Backend
from .calls import FAILURE_META
from .settings import ConfigurationError, Settings

EXIT_CODES: dict[FailureKind, int] = {
    "invalid_arguments": 1,
    "not_found": 1,
    "not_configured": 2,
    "refused": 3,
    "not_confirmed": 3,
    "limited": 3,
    "unrecorded": 4,
    "upstream": 4,
    "outcome_unknown": 5,
}


def read_arguments(given: str, stdin: TextIO) -> dict[str, Any]:
    """The JSON object in `given`, in the file behind its `@`, or on stdin for `-`. Raises ConfigurationError."""
    try:
        source = stdin.read() if given == "-" else given
        if given.startswith("@"):
            source = Path(given[1:]).read_text(encoding="utf-8")
        arguments = json.loads(source, parse_constant=_no_constant)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{given}: cannot be read ({type(error).__name__})"]) from None
    except json.JSONDecodeError as error:
        raise ConfigurationError([f"the arguments are not JSON: {error}"]) from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError([f"the arguments cannot be read ({type(error).__name__})"]) from None
    if not isinstance(arguments, dict):
        raise ConfigurationError(['the arguments are not a JSON object; write them as {"name": value}'])
    return arguments


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


async def call_once(backend: Backend, caller: str, tool: str, arguments: dict[str, Any], yes: bool) -> tuple[str, int]:
    """The result as JSON, and the exit code. `yes`, or a person at the terminal, confirms what wants confirming."""

    async def confirm(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        del context  # the terminal is asked, whatever the call
        # A thread that waits for a line cannot be cancelled: Ctrl-C ends the program here, and nothing was sent.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if yes or await anyio.to_thread.run_sync(_person_agrees, params.message):
            return ElicitResult(action="accept", content={"confirm": True})
        return ElicitResult(action="decline")

    can_ask: ElicitationFnT | None = confirm if yes or sys.stdin.isatty() else None
    async with (
        backend.open_server(caller) as (server, _),
        Client(server, elicitation_callback=can_ask) as client,
    ):
        result = await client.call_tool(tool, arguments)
    if not result.is_error:
        return json.dumps(result.structured_content, ensure_ascii=False), 0
    kind: FailureKind = (result.meta or {})[FAILURE_META]
    if kind == "not_confirmed" and can_ask is None:
        sys.stderr.write("roadster-mcp: what wants confirming needs a terminal, or --yes\n")
    return json.dumps({"error": kind, "message": _text(result)}, ensure_ascii=False), EXIT_CODES[kind]


def _person_agrees(question: str) -> bool:
    sys.stderr.write(f"{question}\nSend exactly this? Type yes: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def explain_policy(settings: Settings, caller: str, tool: str, dealer: str) -> str:
    """One line: the verdict, and the setting it comes from. Raises ConfigurationError for an unknown tool or caller."""
    if tool not in TOOLS:
        raise ConfigurationError([f"{tool}: no such tool; there are: {', '.join(TOOLS)}"])
    who = settings.caller(caller)
    by_tool = verdict(who, TOOLS[tool])
    if not by_tool.allowed:
        return f"refused: {by_tool.reason}"
    by_dealer = dealer_verdict(who, dealer)
    if TOOLS[tool].of_one_dealer and not by_dealer.allowed:
        return f"refused: {by_dealer.reason}"
    return f"allowed: {by_tool.said}, and {by_dealer.setting} names {dealer}"


def _text(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if block.type == "text")

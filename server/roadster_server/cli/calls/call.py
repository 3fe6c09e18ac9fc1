"""`call`: one call from the command line, through the same server and client as an assistant's."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

import anyio.to_thread
from mcp.client.client import Client
from mcp.client.session import ClientRequestContext, ElicitationFnT
from mcp_types import CallToolResult, ElicitRequestParams, ElicitRequestURLParams, ElicitResult, ErrorData

from roadster_server.backend import Backend
from roadster_server.calls.calls import Calls
from roadster_server.calls.questions.form import yes_to
from roadster_server.calls.results import FAILURE_META, WAITING_META, text_of
from roadster_server.cli.options import print_notice
from roadster_server.cli.plain_json import read_json
from roadster_server.settings.errors import ConfigurationError
from roadster_server.telemetry.logs import hold_logs
from roadster_tools import FailureKind

MAX_TEXT = 16 * 1024 * 1024
"""Characters of a script, or of the arguments of one call."""

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
    "waiting": 6,
}

_WAY_ON = "At the command line: decide on the page, where --yes is no yes, then make the same call again."


@dataclass(frozen=True)
class Outcome:
    """The answer of a call, or the kind of its failure. `message` is the text for the caller."""

    answer: dict[str, Any] | None = None
    kind: FailureKind | None = None
    message: str = ""
    waiting: Mapping[str, str] = field(default_factory=dict)
    """The page and its end, of a call that waits for a person."""

    @classmethod
    def from_result(cls, result: CallToolResult) -> Outcome:
        if not result.is_error:
            return cls(answer=result.structured_content, message=text_of(result))
        meta = result.meta or {}
        waiting = meta.get(WAITING_META, {})
        message = f"{text_of(result)} {_WAY_ON}" if "approval_id" in waiting else text_of(result)
        return cls(kind=meta[FAILURE_META], message=message, waiting=waiting)

    @property
    def code(self) -> int:
        return 0 if self.kind is None else EXIT_CODES[self.kind]

    @property
    def document(self) -> dict[str, Any] | None:
        """Returns the JSON object to print."""
        if self.kind is None:
            return self.answer
        waiting = {"waiting": self.waiting} if self.waiting else {}
        return {"error": self.kind, "message": self.message, **waiting}


def load_arguments(text: str, stdin: TextIO) -> dict[str, Any]:
    """Reads a JSON object from `text`, from the file behind its `@`, or from stdin for `-`.

    Raises ConfigurationError.
    """
    source = read_text(text.removeprefix("@"), stdin) if text == "-" or text.startswith("@") else text
    try:
        arguments = read_json(source)
    except ValueError as error:
        raise ConfigurationError([f"the arguments are {error}"]) from None
    if not isinstance(arguments, dict):
        raise ConfigurationError(['the arguments are not a JSON object; write them as {"name": value}'])
    return arguments


def read_text(name: str, stdin: TextIO) -> str:
    """Reads the file, or stdin for `-`. The file may be a pipe of the shell. Raises ConfigurationError."""
    try:
        if name == "-":
            text = stdin.read(MAX_TEXT + 1).removeprefix("\ufeff")
        else:
            with Path(name).open(encoding="utf-8-sig") as file:
                text = file.read(MAX_TEXT + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{name}: cannot be read ({type(error).__name__})"]) from None
    if len(text) > MAX_TEXT:
        raise ConfigurationError([f"{name}: is longer than {MAX_TEXT:,} characters"])
    return text


@asynccontextmanager
async def open_client(
    backend: Backend, caller: str, confirm: ElicitationFnT | None
) -> AsyncIterator[tuple[Client, Calls]]:
    """Opens the real server in this process, with a client of it. Yields the client and the server's calls.

    `confirm` answers the question that precedes a write, None where nobody can answer it.
    """
    async with (
        backend.open_server(caller) as (server, calls),
        Client(server, elicitation_callback=confirm) as client,
    ):
        yield client, calls


async def agree(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
    """Confirms every write, for `--yes`. What only a person can do, on a page, is shown on stderr."""
    del context
    if isinstance(params, ElicitRequestURLParams):
        print_notice(f"{params.message} {params.url}")
    return yes_to(params)


async def _ask_at_the_terminal(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
    del context  # the question is complete without it
    if isinstance(params, ElicitRequestURLParams):
        print_notice(f"{params.message} {params.url}")
        print_notice("this command waits a while for you; after Ctrl-C the page is still good")
        return ElicitResult(action="accept")
    # A thread that waits for a line cannot be cancelled: Ctrl-C ends the program here, and nothing was sent.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if await anyio.to_thread.run_sync(_person_agrees, params.message):
        return yes_to(params)
    return ElicitResult(action="decline")


async def call_once(backend: Backend, caller: str, tool: str, arguments: dict[str, Any], yes: bool) -> Outcome:
    """Makes one call. `yes` confirms a write, or else a person at the terminal does."""
    confirm: ElicitationFnT | None = None
    if yes:
        confirm = agree
    elif sys.stdin.isatty():
        confirm = _ask_at_the_terminal
    async with open_client(backend, caller, confirm) as (client, _):
        outcome = Outcome.from_result(await client.call_tool(tool, arguments))
    if outcome.kind == "not_confirmed" and confirm is None:
        return replace(outcome, message=f"{outcome.message} At the command line: call from a terminal, or add --yes.")
    return outcome


def show_outcome(tool: str, outcome: Outcome) -> None:
    """Prints an outcome for a person: a quote with its deals side by side, anything else as its text."""
    from rich.console import Console

    from .quote_table import quote_table

    console = Console()
    if tool == "quote_payments" and outcome.answer is not None:
        console.print(quote_table(outcome.answer, outcome.message))
    else:
        console.print(outcome.message, markup=False, highlight=False, soft_wrap=True)


def _person_agrees(question: str) -> bool:
    with hold_logs():
        sys.stderr.write(f"{question}\nSend exactly this? Type yes: ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

"""Options that several commands share, and the way in which every command opens its backend, runs and ends."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar, TypeVarTuple

import typer

from roadster_server.settings.defaults import DEFAULT_CONFIG
from roadster_server.settings.errors import ConfigurationError

if TYPE_CHECKING:
    from roadster_server.backend import Backend
    from roadster_server.settings.settings import Settings

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

USAGE_ERROR = 2

INTERRUPTED = 130
"""The exit code that shells give a program that Ctrl-C ended."""

_ALL_GENERATIONS = 2
"""The name that the garbage collector gives to a collection that looks at everything."""
_FIRST_COLLECTIONS = 8


class Transport(StrEnum):
    STDIO = "stdio"
    HTTP = "http"
    SSE = "sse"


class Format(StrEnum):
    MCP = "mcp"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    MARKDOWN = "markdown"


class Host(StrEnum):
    """An application that starts a server."""

    CLAUDE_DESKTOP = "claude-desktop"
    CLAUDE_CODE = "claude-code"
    VSCODE = "vscode"
    CURSOR = "cursor"
    CODEX = "codex"
    GEMINI_CLI = "gemini-cli"
    COPILOT_CLI = "copilot-cli"
    OPENCODE = "opencode"
    GOOSE = "goose"
    ZED = "zed"


Config = Annotated[Path | None, typer.Option(help="The configuration file.", show_default="roadster.toml")]
Sandbox = Annotated[bool, typer.Option("--sandbox", help="Use the embedded sandbox, which needs no configuration.")]
Seed = Annotated[
    int | None, typer.Option(help="The sandbox's world. The same seed gives the same answers.", show_default="7")
]
Record = Annotated[Path | None, typer.Option(help="Record the exchange with the upstreams in this file, masked.")]
Replay = Annotated[
    Path | None, typer.Option(help="Answer from this recording. It needs no credentials, and nothing is sent.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Confirm each write without asking.")]
CallerName = Annotated[str, typer.Option("--caller", help="A caller of the configuration.")]


@contextmanager
def exit_on_mistakes() -> Iterator[None]:
    """Ends the command with 2 after a mistake of configuration or usage, with one line on stderr for each."""
    try:
        yield
    except ConfigurationError as error:
        print_problems(error)
        raise typer.Exit(USAGE_ERROR) from None


def print_problems(error: ConfigurationError) -> None:
    for problem in error.problems:
        print_notice(problem)


def print_notice(line: str) -> None:
    """Writes a line for the person at the terminal to stderr."""
    typer.echo(f"roadster-mcp: {line}", err=True)


def open_backend(
    config: Path | None,
    *,
    sandbox: bool,
    seed: int | None = None,
    record: Path | None = None,
    replay: Path | None = None,
) -> AbstractContextManager[Backend]:
    """Opens the backend that the options name, and loads the server for it. `--help` needs no server."""
    from roadster_server.backend import open_backend

    return open_backend(config, sandbox=sandbox, seed=seed, record=record, replay=replay)


def load_settings(config: Path | None) -> Settings:
    """Loads the configuration of a command that calls no upstream. Raises ConfigurationError."""
    from roadster_server.settings.loading import load

    return load(config or DEFAULT_CONFIG)


def run_async(work: Callable[[*Arguments], Awaitable[Result]], *arguments: *Arguments) -> Result:
    """Runs `work` to its end. Everything is loaded by now, so garbage is collected from here on: see `__main__`."""
    import anyio

    collect_garbage()
    return anyio.run(work, *arguments)


def collect_garbage() -> None:
    """Has garbage collected again, but never looked for among the loaded modules."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
        gc.callbacks.append(_FirstSurvivors().leave_out)


class _FirstSurvivors:
    """Leaves the objects that outlive the first full collections out of later ones, such as schemas and modules.

    They last as long as the process. To look through them takes 30 to 60 ms, in which nothing is served.
    """

    def __init__(self) -> None:
        self._collections = 0

    def leave_out(self, phase: str, details: Mapping[str, int]) -> None:
        if phase == "stop" and details["generation"] == _ALL_GENERATIONS:
            gc.freeze()
            self._collections += 1
            if self._collections == _FIRST_COLLECTIONS:
                gc.callbacks.remove(self.leave_out)

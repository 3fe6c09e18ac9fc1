"""Options that several commands share, and how a mistake ends a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from roadster_server.settings.errors import ConfigurationError

USAGE_ERROR = 2


INTERRUPTED = 130
"""By Ctrl-C, as shells have it."""


class Transport(StrEnum):
    STDIO = "stdio"
    HTTP = "http"
    SSE = "sse"


class Format(StrEnum):
    MCP = "mcp"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    MARKDOWN = "markdown"


Config = Annotated[Path | None, typer.Option(help="The configuration file.", show_default="roadster.toml")]


Sandbox = Annotated[bool, typer.Option("--sandbox", help="Use the embedded sandbox; needs no configuration.")]


Seed = Annotated[int | None, typer.Option(help="The sandbox's world: one seed answers alike.", show_default="7")]


Record = Annotated[Path | None, typer.Option(help="Write down what is exchanged with the upstreams, masked.")]


Replay = Annotated[Path | None, typer.Option(help="Answer from a recording; needs no credentials, sends nothing.")]


Yes = Annotated[bool, typer.Option("--yes", help="Confirm each write without being asked.")]


CallerName = Annotated[str, typer.Option("--caller", help="A caller of the configuration.")]


@contextmanager
def exit_on_mistakes() -> Iterator[None]:
    """A mistake in the configuration or the usage: one line each, exit 2."""
    try:
        yield
    except ConfigurationError as error:
        print_problems(error)
        raise typer.Exit(USAGE_ERROR) from None


def print_problems(error: ConfigurationError) -> None:
    for problem in error.problems:
        typer.echo(f"roadster-mcp: {problem}", err=True)

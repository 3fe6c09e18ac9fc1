"""The reference of the command line: the help of every command, from the Typer application."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from roadster_server.cli.app import app


def commands() -> str:
    """Returns the page's generated part: for each command, a heading and what `--help` prints."""
    return "\n".join(f"## {' '.join(words)}\n\n```text\n{_help(words)}```\n" for words in _leaves(get_command(app)))


def _leaves(command: Any, *words: str) -> Iterator[tuple[str, ...]]:
    """Yields the words of each command that does something, not of those that only hold others."""
    if not hasattr(command, "commands"):
        yield words
        return
    for name, inner in command.commands.items():
        yield from _leaves(inner, *words, name)


def _help(words: tuple[str, ...]) -> str:
    result = CliRunner().invoke(app, [*words, "--help"], prog_name="roadster-mcp", env={"COLUMNS": "80"})
    lines = (line.rstrip() for line in result.output.strip().splitlines())
    return "".join(f"{line}\n" for line in lines)

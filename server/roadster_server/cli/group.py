"""Help that fits the terminal, and a quiet end where nobody reads the output any more."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

Function = TypeVar("Function", bound=Callable[..., Any])

BROKEN_PIPE = 141
"""The exit code that shells give a program whose reader has left, as in `roadster-mcp tools | head -1`."""

_WIDEST = 80
"""Columns. Longer lines are hard to read."""
_NARROW = 60
"""Columns. Below this width there is no room for two columns, so a description stands under its option."""
_NARROW_INDENT = 8


class CommandGroup(typer.Typer):
    """A Typer application with plain help. Rich help would load rich at every start, also that of a stdio server."""

    def __init__(self, summary: str, cls: type[Group] | None = None, **settings: Any) -> None:
        super().__init__(
            help=summary,
            cls=cls or Group,
            no_args_is_help=True,
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
            **settings,
        )

    def command(self, *arguments: Any, **settings: Any) -> Callable[[Function], Function]:
        return super().command(*arguments, cls=_Command, **settings)


class _Command(TyperCommand):
    def format_help(self, ctx: Any, formatter: Any) -> None:
        _fit(formatter)
        super().format_help(ctx, formatter)


class Group(TyperGroup):
    """A group of commands."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _fit(formatter)
        super().format_help(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the whole first sentence of each command's help, where Typer would cut it."""
        del ctx
        rows = [(name, command.get_short_help_str(sys.maxsize)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: Any) -> Any:
        try:
            try:
                return super().invoke(ctx)
            finally:
                if not sys.stdout.closed:  # the SDK closes it at the end of a stdio server
                    sys.stdout.flush()
        except* BrokenPipeError:
            # At the exit, Python writes out what is left, and would complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(BROKEN_PIPE)


def _fit(formatter: Any) -> None:
    formatter.width = min(shutil.get_terminal_size().columns, _WIDEST) - 2
    if formatter.width < _NARROW:
        formatter.write_dl = partial(formatter.write_dl, col_max=_NARROW_INDENT)

"""Exit codes, and mistakes of the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

FAILED, USAGE_ERROR = 1, 2
"""Exit codes: what was tried or compared is worse than it must be, and a mistake in the options or files."""


class UsageError(Exception):
    """A mistake in the options or files. The text says what to do."""


@contextmanager
def usage_errors() -> Iterator[None]:
    """Ends the command with a sentence if the user has made a mistake."""
    try:
        yield
    except UsageError as error:
        typer.echo(error, err=True)
        raise typer.Exit(USAGE_ERROR) from None

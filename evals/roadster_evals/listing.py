"""The command that lists the scenarios."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .scenario_files.folder import OWN_SCENARIOS, read_folder
from .usage import USAGE_ERROR, usage_errors


def list_scenarios(
    scenarios: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="A folder with scenarios of your own.", show_default="those of the project"
        ),
    ] = None,
    only: Annotated[
        str, typer.Option(metavar="TEXT", help="Only those that have this in their name or their tags.")
    ] = "",
) -> None:
    """Lists the scenarios: name, title and tags.

    Exit codes: 0 done, 2 there is none, or a file has a mistake.
    """
    with usage_errors():
        contents = read_folder(scenarios or OWN_SCENARIOS)
    rows = [(each.name, each.fields["title"], each.fields["tags"]) for each in contents.templates]
    rows = [row for row in rows if any(only in text for text in (row[0], *row[2]))]
    width = max((len(name) for name, _title, _tags in rows), default=0)
    for name, title, tags in rows:
        typer.echo(f"{name:<{width}}  {title} [{', '.join(tags)}]")
    if not rows:
        typer.echo(f"--only {only}: no scenario has this in its name or its tags", err=True)
    for problem in contents.problems:
        typer.echo(problem, err=True)
    if contents.problems or not rows:
        raise typer.Exit(USAGE_ERROR)

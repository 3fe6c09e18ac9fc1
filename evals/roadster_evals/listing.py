"""The command that lists the scenarios."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .scenario_files.folder import OWN_SCENARIOS, read_folder, select
from .usage import USAGE_ERROR, usage_errors


def list_scenarios(
    scenarios: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="A folder with scenarios of your own.", show_default="those of the project"
        ),
    ] = None,
    only: Annotated[
        str, typer.Option(metavar="TEXT", help="Only scenarios with this in their name, or as a tag.")
    ] = "",
) -> None:
    """Lists the scenarios: name, title and tags.

    Exit codes: 0 done, 2 there is none, or a file has a mistake.
    """
    with usage_errors():
        contents = read_folder(scenarios or OWN_SCENARIOS)
        for problem in contents.problems:
            typer.echo(problem, err=True)
        templates = select(contents.templates, only) if contents.templates else []
    rows = [(each.name, each.fields["title"], each.fields["tags"]) for each in templates]
    width = max((len(name) for name, _title, _tags in rows), default=0)
    for name, title, tags in rows:
        typer.echo(f"{name:<{width}}  {title} [{', '.join(tags)}]")
    if contents.problems:
        raise typer.Exit(USAGE_ERROR)

"""The names in a scenario's file that nothing has. Each would otherwise be a check or a right without effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError

from roadster_sandbox import DEALERS, EmbeddedSandbox
from roadster_tools import TOOLS, name_choices, read_arguments
from roadster_tools.problems import names_at

SANDBOX_DEALERS = tuple(dealer.dpid for dealer in DEALERS)


@cache
def collections() -> tuple[str, ...]:
    """Returns the collections of the sandbox's state."""
    return tuple(EmbeddedSandbox().state())


def unknown(kind: str, names: Iterable[str], choices: Iterable[str]) -> list[str]:
    """Returns a text for each name that is none of the choices. The file is the reader's own, so it is repeated."""
    options = [*choices]
    return [
        f"no {kind} is called {name}; it is {name_choices(options, name)}" for name in sorted({*names} - {*options})
    ]


def unknown_arguments(tool: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yields a text for each argument that the tool does not have, at every depth. Values may be wrong or missing."""
    if tool not in TOOLS:
        return
    model = TOOLS[tool].arguments
    try:
        model.model_validate(read_arguments(arguments, model).values)
    except ValidationError as error:
        for details in error.errors(include_url=False, include_input=False):
            if details["type"] == "extra_forbidden":
                *place, name = details["loc"]
                path = ".".join(map(str, details["loc"]))
                yield f"no argument of {tool} is called {path}; it is {name_choices(names_at(place, model), str(name))}"

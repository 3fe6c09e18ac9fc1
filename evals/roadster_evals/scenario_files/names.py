"""The names in a scenario's file that nothing has, and the arguments of a call as its tool reads them.

A name that nothing has would otherwise be a check or a right without effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError

from roadster_sandbox import DEALERS, EmbeddedSandbox
from roadster_tools import TOOLS, name_choices, read_arguments
from roadster_tools.arguments.problems import names_at

SANDBOX_DEALERS = tuple(dealer.dpid for dealer in DEALERS)


@cache
def collections() -> tuple[str, ...]:
    """Returns the collections of the sandbox's state."""
    return tuple(EmbeddedSandbox().state())


WRITE_OPERATIONS: Mapping[str, str] = {
    **{name: name for name, tool in TOOLS.items() if tool.writes},
    "assign_agent": "update_customer",
    "create_delivery": "create_shipment",
    "update_delivery": "update_shipment",
    "cancel_delivery": "cancel_shipment",
}
"""The upstream operation of each tool that writes. Most have the name of the tool."""


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


def arguments_as_read(tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments as the tool reads them, so that 5, 5.0 and "5" are alike. Those that it refuses stay."""
    if tool not in TOOLS:
        return dict(arguments)
    model = TOOLS[tool].arguments
    try:
        return model.model_validate(read_arguments(arguments, model).values).model_dump(mode="json", exclude_unset=True)
    except ValidationError:
        return dict(arguments)

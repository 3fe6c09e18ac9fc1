"""The mistakes in what a test asks of the sandbox, in plain words."""

from __future__ import annotations

from pydantic import ValidationError


def describe_mistake(error: ValidationError) -> str:
    """Returns the first mistake with its place, for instance `customer_id: expected greater than 0`."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    match first["type"]:
        case "extra_forbidden":
            problem = "there is no such field"
        case "missing":
            problem = "is missing"
        case _:
            problem = first["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    return f"{place}: {problem}" if place else problem

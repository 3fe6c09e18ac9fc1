"""Placeholders in the texts of a scenario: `{car.vin}`, or `{deal.monthly_payment:,.2f}` with a format of Python.

A text that is one placeholder and nothing else becomes the value itself, which can be a number or a list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any

from roadster_tools import near_names, some_of


class PlaceholderError(ValueError):
    """A placeholder names no fact. The text says which there are."""


def fill_in(node: Any, facts: Mapping[str, Any]) -> Any:
    """Returns a copy of the JSON with the facts in the place of the placeholders. Raises PlaceholderError."""
    match node:
        case str():
            return _fill_text(node, facts)
        case Mapping():
            return {name: fill_in(value, facts) for name, value in node.items()}
        case Sequence():
            return [fill_in(item, facts) for item in node]
    return node


def _fill_text(text: str, facts: Mapping[str, Any]) -> Any:
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise PlaceholderError(f"{text!r}: {error}; a brace that is no placeholder is written twice") from None
    match parts:
        case [("", str(name), "" | None, None)]:
            return _look_up(name, facts)
    return "".join(literal + _format(name, specification, facts) for literal, name, specification, _ in parts)


def _format(name: str | None, specification: str | None, facts: Mapping[str, Any]) -> str:
    if name is None:
        return ""
    value = _look_up(name, facts)
    try:
        return format(value, specification or "")
    except (TypeError, ValueError) as error:
        raise PlaceholderError(f"{{{name}:{specification}}}: {error}") from None


def _look_up(path: str, facts: Mapping[str, Any]) -> Any:
    value: Any = facts
    for step in path.split("."):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, Sequence) and not isinstance(value, str) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            names = [*map(str, value)] if isinstance(value, Mapping) else [type(value).__name__]
            choices = some_of(near_names(names, step) or names) if names else "nothing"
            raise PlaceholderError(f"{{{path}}}: there is no {step or 'name'}; there is {choices}")
    return value

"""Expectations with one thing less."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from roadster_evals.scenario_files.scenario import Expectation

Way = tuple[str | int, ...]

_MATCHERS = {"absent", "contains", "any_order", "one_of"}


def weaker_expectations(expect: Expectation) -> Iterator[tuple[str, Expectation]]:
    """Yields the name of each thing that is expected, and the expectation without it."""
    content = json.loads(expect.model_dump_json(exclude_defaults=True))
    for way in _ways(expect, content):
        less = json.loads(json.dumps(content))
        node = less
        for step in way[:-1]:
            node = node[step]
        del node[way[-1]]
        yield ".".join(map(str, way)), Expectation.model_validate(less)
    if expect.refusals:
        yield "refusals", expect.model_copy(update={"refusals": expect.refusals + 1})


def _ways(expect: Expectation, content: Mapping[str, Any]) -> Iterator[Way]:
    """Yields the way to each thing that can be left out.

    A tool whose arguments or link are expected must be called anyway. `called` lists it because it counts as covered.
    """
    answer = content.get("answer", {})
    for number, tool in enumerate(expect.called):
        if tool not in expect.arguments and tool != expect.answer.link_of:
            yield "called", number
    yield from (("not_called", number) for number in range(len(expect.not_called)))
    yield from (("requests", name) for name in expect.requests)
    for part in ("state", "arguments"):
        for name, rows in content.get(part, {}).items():
            yield from _fields(rows, part, name)
    for part in ("numbers", "says", "tells", "never_says"):
        yield from (("answer", part, number) for number in range(len(answer.get(part, ()))))
    for number, value in enumerate(answer.get("numbers", ())):
        yield from [("answer", "numbers", number, "wish")] if "wish" in value else []
    yield from (("answer", name) for name in ("only_known_numbers", "link_of", "asks") if name in answer)


def _fields(node: Any, *way: str | int) -> Iterator[Way]:
    """Yields the way to each field with a value. The fields of objects and rows count one by one."""
    if isinstance(node, dict) and not (node.keys() & _MATCHERS):
        for name, value in node.items():
            yield from _fields(value, *way, name)
    elif isinstance(node, list) and node and isinstance(node[0], dict):
        for number, row in enumerate(node):
            yield from _fields(row, *way, number)
    elif isinstance(way[-1], str):
        yield way

"""What is wrong with arguments is told in plain words: no class of ours, no word of the library that checks them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from roadster_tools import TOOLS, InvalidArguments, Tool

WRONG: list[Any] = [
    None,
    "",
    "x" * 3000,
    "\x00",
    -1,
    0,
    1.5,
    10**30,
    float("inf"),
    True,
    [],
    [None] * 200,
    {},
    {"x": {}},
]
LIBRARY = re.compile(r"[Ii]nput|instance of|Tuple|List|String|[Dd]ictionary|parse|validation|Field|Request|Value")


def mistakes(tool: Tool) -> Iterator[dict[str, Any]]:
    """Each argument with each wrong value, and each value inside each object that an argument may be."""
    schema = tool.arguments.model_json_schema()
    for name in schema["properties"]:
        for value in WRONG:
            yield {name: value}
        for definition in schema.get("$defs", {}).values():
            for inner in definition.get("properties", {}):
                for value in WRONG:
                    yield {name: {inner: value}}
                    yield {name: [{inner: value}]}


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_no_mistake_is_told_in_the_librarys_words(tool: Tool) -> None:
    """Whatever is wrong in whatever argument, the sentence is one of ours."""
    for given in mistakes(tool):
        told = problem(tool.arguments, given)
        assert LIBRARY.search(told) is None, told
        assert "is not what is expected here" not in told, "a kind of mistake has no words"
        assert "is not written as it must be" not in told, "a pattern has no words"


def problem(arguments: type[BaseModel], given: dict[str, Any]) -> str:
    try:
        arguments.model_validate(given)
    except ValidationError as error:
        return InvalidArguments.from_validation(error, arguments).message()
    return ""


def test_a_list_is_not_called_empty_where_only_what_is_in_it_is_wrong() -> None:
    """One mistake is one problem, named by its place."""
    arguments = TOOLS["create_forms"].arguments
    told = problem(arguments, {"order_id": "1", "title": "t", "template_ids": ["x"]})
    assert told == (
        "Invalid arguments: template_ids.0: expected a whole number above 0. "
        "Nothing was sent; correct them and call again."
    )


def test_an_unknown_name_inside_an_object_is_answered_with_the_names_there_are() -> None:
    """Also in a list, and where the schema that is published does not spell the object out."""
    told = problem(TOOLS["create_delivery"].arguments, {"items": [{"size": 1}], "delivery_location": {"zip": "1"}})
    assert "items.0.size: no such argument; there are: description, value, length, width, height," in told
    told = problem(TOOLS["update_delivery"].arguments, {"delivery_id": 1, "pickup_location": {"zip": "1"}})
    assert "pickup_location.zip: no such argument; there are: address, contact, notes" in told

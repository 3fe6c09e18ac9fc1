"""Problems of arguments are told in plain words, without names of classes or words of the library that checks them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from roadster_tools import TOOLS, InvalidArguments, Tool
from roadster_tools.arguments.problems import problems_in

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
    """Yields each argument with each wrong value, and each wrong value inside each object."""
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
def test_problems_use_none_of_the_librarys_words(tool: Tool) -> None:
    """Each wrong value of each argument gets a sentence of ours."""
    for values in mistakes(tool):
        message = problem(tool.arguments, values)
        assert LIBRARY.search(message) is None, message
        assert "is not what is expected here" not in message, "a kind of mistake has no words"
        assert "is not written as it must be" not in message, "a pattern has no words"


def problem(arguments: type[BaseModel], values: dict[str, Any]) -> str:
    try:
        arguments.model_validate(values)
    except ValidationError as error:
        return InvalidArguments(problems_in(error, arguments)).message()
    return ""


def test_problems_call_no_list_empty_for_a_wrong_item() -> None:
    """One mistake is one problem, and its place is its name."""
    arguments = TOOLS["create_forms"].arguments
    message = problem(arguments, {"order_id": "1", "title": "t", "template_ids": ["x"]})
    assert message == (
        "Invalid arguments: template_ids.0: expected a whole number above 0. "
        "Nothing was sent; correct them and call again."
    )


def test_problems_name_the_choices_for_an_unknown_name() -> None:
    """The object may stand in a list, or the published schema may leave its fields out."""
    message = problem(TOOLS["create_delivery"].arguments, {"items": [{"size": 1}], "delivery_location": {"zip": "1"}})
    assert "items.0.size: no such argument; there are: description, value, length, width, height," in message
    message = problem(TOOLS["update_delivery"].arguments, {"delivery_id": 1, "pickup_location": {"zip": "1"}})
    assert "pickup_location.zip: no such argument; there are: address, contact, notes" in message

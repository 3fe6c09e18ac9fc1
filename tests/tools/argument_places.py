"""The places of the tools' arguments, at every depth, for rules that hold for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError

from roadster_tools import TOOLS, Tool, read_arguments
from tests.conftest import Connect, World, answer_of, kind_of, own_delivery, text_of
from tests.tool_examples import every_call

every_tool = pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)


@dataclass(frozen=True)
class Place:
    """One argument, or one field of an object in an argument. A step of 0 is the first item of a list."""

    steps: tuple[str | int, ...]
    expected: Any
    is_optional: bool

    def __str__(self) -> str:
        return ".".join(map(str, self.steps))

    @property
    def is_container(self) -> bool:
        return self.is_object or get_origin(self.expected) in (list, tuple)

    @property
    def is_object(self) -> bool:
        return isinstance(self.expected, type) and issubclass(self.expected, BaseModel)

    def arguments(self, value: Any = ..., **beside: Any) -> dict[str, Any]:
        """Returns arguments with this value at the place, and with nothing else except what stands `beside` it."""
        node = beside if value is ... else {self.steps[-1]: value, **beside}
        for step in reversed(self.steps[:-1]):
            node = [node] if step == 0 else {step: node}
        return node


def places(model: type[BaseModel], above: tuple[str | int, ...] = ()) -> Iterator[Place]:
    for name, field in model.model_fields.items():
        place = Place((*above, name), bare(field.annotation), not field.is_required())
        yield place
        if place.is_object:
            yield from places(place.expected, place.steps)
        elif place.is_container:
            item = bare(get_args(place.expected)[0])
            if isinstance(item, type) and issubclass(item, BaseModel):
                yield from places(item, (*place.steps, 0))


def bare(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not NoneType]
        return bare(members[0]) if len(members) == 1 else annotation
    return annotation


def plain_arguments(arguments: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Returns the arguments in their plain form."""
    return read_arguments(arguments, model).values


def problems(tool: Tool, arguments: dict[str, Any]) -> set[str]:
    """Returns the places of the arguments that the tool refuses."""
    read = read_arguments(arguments, tool.arguments)
    try:
        tool.arguments.model_validate(read.values)
    except ValidationError as error:
        return {".".join(map(str, details["loc"])) for details in error.errors()} | read.problems.keys()
    return {*read.problems}


async def results(connect: Connect, store_url: str, world: World, tool: str, *calls: dict[str, Any]) -> list[Any]:
    """Returns the requests and the failures of each call."""
    await own_delivery(store_url)
    results = []
    async with connect(personal_data="contact") as client:
        answer_of(await client.call_tool("create_customer", every_call("umazda")["create_customer"]))
        for arguments in calls:
            before = len(await world.requests())
            result = await client.call_tool(tool, arguments)
            requests = [{**request, "n": None} for request in (await world.requests())[before:]]
            results.append((requests, kind_of(result), text_of(result) if result.is_error else None))
    return results

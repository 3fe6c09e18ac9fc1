"""One tool: a typed function, and everything that can be derived from its signature."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from .arguments.parameters import IdempotencyKey
from .schemas import compact, load_schemas

if TYPE_CHECKING:  # for start time
    from .answers import ToolAnswer

_DOUBTFUL = {"contents", "vin"}
"""The names of arguments that can be doubtful and still be used, wherever they stand."""

ToolFunction = Callable[..., Awaitable["ToolAnswer"]]
"""The grant comes first, then the tool's arguments."""


@dataclass(frozen=True)
class Tool:
    """One tool of the catalogue. A decorator makes it from its function, and the catalogue sets `toolset`.

    A tool `of_one_dealer` takes the argument `dealer`, and its function takes a `Grant`. A tool that `writes` changes
    something upstream, and `if_unknown` tells how to find out whether a write with a lost answer was done.
    """

    name: str
    title: str
    description: str
    module: str
    """The module in which `name` is the tool with its function."""
    of_one_dealer: bool
    writes: bool = False
    destructive: bool = False
    if_unknown: str = ""
    toolset: str = ""
    follows_writes: bool = False
    """Says that the tool only shows what became of writes that wait for a person. It needs no level of its own."""
    own_function: ToolFunction | None = field(default=None, repr=False, compare=False)
    """None in a tool that was read from `schemas.json`."""

    @cached_property
    def function(self) -> ToolFunction:
        """The typed function. Its module is loaded when it is first used, because lists and rights do not need it.

        Raises RuntimeError where the tool that was read is not that of the module.
        """
        if self.own_function is not None:
            return self.own_function
        definition: Tool = getattr(import_module(self.module), self.name)
        if definition.own_function is None or replace(definition, toolset=self.toolset) != self:
            raise RuntimeError(f"schemas.json does not have {self.name} as it is; run make generate")
        return definition.own_function

    def prepare(self) -> None:
        """Loads the function, and builds the models of the arguments and of the answer."""
        self.arguments.model_rebuild()
        answer: type[BaseModel] = self._hints["return"]
        answer.model_rebuild()

    def beside(self, name: str) -> Callable[..., Awaitable[Any]]:
        """Returns another function of the tool's module."""
        function: Callable[..., Awaitable[Any]] = getattr(import_module(self.module), name)
        return function

    @cached_property
    def arguments(self) -> type[BaseModel]:
        """The model of the arguments, `dealer` included. It refuses arguments that it does not name."""
        parameters: dict[str, Any] = {}
        if self.of_one_dealer:
            parameters["dealer"] = (str, Field(default=None, min_length=1))
        for name, parameter in list(inspect.signature(self.function).parameters.items())[1:]:
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            parameters[name] = (self._hints[name], default)
        if self.writes:
            parameters["idempotency_key"] = (IdempotencyKey | None, None)
        return create_model(
            self.name, __config__=ConfigDict(extra="forbid", defer_build=True, allow_inf_nan=False), **parameters
        )

    @property
    def input_schema(self) -> dict[str, Any]:
        return self._schemas["input"]

    @property
    def output_schema(self) -> dict[str, Any]:
        """The schema of the answer. Nothing is required of a write's, because a preview has none of its fields."""
        return self._schemas["output"]

    def as_json(self) -> dict[str, Any]:
        """Returns what `schemas.json` has of the tool: its fields but the name and the function, and its schemas."""
        names = {each.name for each in fields(self)} - {"name", "own_function"}
        return {"facts": {name: getattr(self, name) for name in sorted(names)}, **self.derived_schemas()}

    def derived_schemas(self) -> dict[str, dict[str, Any]]:
        """Derives the input and output schema from the signature. `schemas.json` stores them."""
        from .answers import ANSWER_PROPERTIES, NOTICE_PROPERTIES, WRITE_PROPERTIES  # noqa: PLC0415 - for start time

        answer: type[BaseModel] = self._hints["return"]
        output = compact(answer.model_json_schema(mode="serialization"))
        output["properties"] |= ANSWER_PROPERTIES
        arguments = compact(self.arguments.model_json_schema(mode="validation"))
        if not _DOUBTFUL.isdisjoint(_property_names(arguments)):
            output["properties"] |= NOTICE_PROPERTIES
        if self.writes:
            output["properties"] |= WRITE_PROPERTIES
            output.pop("required", None)
        return {"input": arguments, "output": output}

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.function, include_extras=True)

    @cached_property
    def _schemas(self) -> dict[str, dict[str, Any]]:
        return load_schemas().get(self.name) or self.derived_schemas()


def _property_names(schema: Any) -> Iterator[str]:
    """Returns the names of the properties in a schema, at every depth."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for part in schema.values():
            yield from _property_names(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _property_names(part)

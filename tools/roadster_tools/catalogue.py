"""A tool: one typed function, and everything about it that can be derived from its signature.

    @tool("Details of one vehicle")
    async def get_vehicle(grant: Grant, vin: Vin) -> VehicleAnswer:
        \"\"\"When to use it, and when not: what a model reads.\"\"\"

The first parameter says what the tool is granted: a `Grant` makes it a tool of one dealer, and gives
it the argument `dealer`; an `AccountGrant` makes it one of the account. The others are its arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from .access import AccountGrant, Caller, Gate, Grant
from .answers import ToolAnswer
from .failures import InvalidArguments
from .parameters import DEALER_DESCRIPTION

ToolFunction = Callable[..., Awaitable[ToolAnswer]]


@dataclass(frozen=True)
class Tool:
    """One tool of the catalogue. `writes` changes something upstream; `toolset` is set by the catalogue."""

    function: ToolFunction
    title: str
    writes: bool
    destructive: bool
    toolset: str = ""

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def description(self) -> str:
        return " ".join((self.function.__doc__ or "").split())

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.function, include_extras=True)

    @cached_property
    def of_one_dealer(self) -> bool:
        first = next(iter(inspect.signature(self.function).parameters))
        return bool(self._hints[first] is Grant)

    @cached_property
    def arguments(self) -> type[BaseModel]:
        """The closed model of the arguments, `dealer` included."""
        fields: dict[str, Any] = {}
        if self.of_one_dealer:
            fields["dealer"] = (str, Field(default=None, min_length=1, description=DEALER_DESCRIPTION))
        for name, parameter in list(inspect.signature(self.function).parameters.items())[1:]:
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            fields[name] = (self._hints[name], default)
        return create_model(self.name, __config__=ConfigDict(extra="forbid", defer_build=True), **fields)

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        return compact(self.arguments.model_json_schema(mode="validation"))

    @cached_property
    def output_schema(self) -> dict[str, Any]:
        answer: type[ToolAnswer] = self._hints["return"]
        return compact(answer.model_json_schema(mode="serialization"))

    async def call(self, gate: Gate, caller: Caller, arguments: Mapping[str, Any]) -> ToolAnswer:
        """Typed arguments, then the gate, then the body. Raises ToolFailure and ClientError."""
        try:
            given = self.arguments.model_validate(arguments)
        except ValidationError as error:
            raise InvalidArguments.from_validation(error) from None
        values = {name: getattr(given, name) for name in type(given).model_fields}
        if self.of_one_dealer:
            grant: Grant | AccountGrant = gate.admit(caller, self, values.pop("dealer"))
        else:
            grant = gate.admit_to_account(caller, self)
        return await self.function(grant, **values)


def tool(title: str, *, writes: bool = False, destructive: bool = False) -> Callable[[ToolFunction], Tool]:
    """Makes a tool of a function; its docstring is the description that a model reads."""
    return lambda function: Tool(function, title, writes, destructive)


def catalogue(**toolsets: tuple[Tool, ...]) -> dict[str, Tool]:
    """The tools by name, in order, each with the name of its toolset."""
    return {
        listed.name: replace(listed, toolset=toolset)
        for toolset, listed_tools in toolsets.items()
        for listed in listed_tools
    }


def compact(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` as short as it can be with the same meaning to a model.

    Titles repeat names; `null` is how an optional field is left out, and answers never hold it; a
    reference is something that not every host resolves.
    """
    definitions = schema.pop("$defs", {})

    def shorten(node: Any) -> Any:
        if isinstance(node, list):
            return [shorten(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return shorten(
                {**definitions[node["$ref"].rpartition("/")[2]], **{k: v for k, v in node.items() if k != "$ref"}}
            )
        if "anyOf" in node:
            branches = [branch for branch in node["anyOf"] if branch != {"type": "null"}]
            rest = {key: value for key, value in node.items() if key != "anyOf"}
            if len(branches) == 1:
                return shorten({**branches[0], **rest})
        return {
            key: {name: shorten(value) for name, value in value.items()} if key == "properties" else shorten(value)
            for key, value in node.items()
            if not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None)
        }

    shortened: dict[str, Any] = shorten(schema)
    return shortened

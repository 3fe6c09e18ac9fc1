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
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from .access import AccountGrant, Caller, Gate, Grant, Oversight
from .answers import WRITE_PROPERTIES, ToolAnswer
from .failures import InvalidArguments
from .parameters import MOST, PLAUSIBLE, IdempotencyKey
from .problems import told_name
from .schemas import written_schemas

_LONGEST_TEXT = 1000
_LONGEST_LIST = 100

ToolFunction = Callable[..., Awaitable[ToolAnswer]]
_GivenT = TypeVar("_GivenT")


@dataclass(frozen=True)
class Tool:
    """One tool of the catalogue. `writes` changes something upstream; `toolset` is set by the catalogue.

    `if_unknown` says how to find out whether a write whose answer was lost was done.
    """

    function: ToolFunction
    title: str
    writes: bool
    destructive: bool
    if_unknown: str
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
            fields["dealer"] = (str, Field(default=None, min_length=1))
        for name, parameter in list(inspect.signature(self.function).parameters.items())[1:]:
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            fields[name] = (self._hints[name], default)
        if self.writes:
            fields["idempotency_key"] = (IdempotencyKey | None, None)
        return create_model(
            self.name, __config__=ConfigDict(extra="forbid", defer_build=True, allow_inf_nan=False), **fields
        )

    @property
    def input_schema(self) -> dict[str, Any]:
        return self._schemas["input"]

    @property
    def output_schema(self) -> dict[str, Any]:
        """The answer's; that of a write may hold a preview in its place, and then none of its fields."""
        return self._schemas["output"]

    @cached_property
    def _schemas(self) -> dict[str, dict[str, Any]]:
        return written_schemas().get(self.name) or self.derived_schemas()

    def derived_schemas(self) -> dict[str, dict[str, Any]]:
        """What `schemas.json` holds, from the signature."""
        answer: type[ToolAnswer] = self._hints["return"]
        output = compact(answer.model_json_schema(mode="serialization"))
        if self.writes:
            output["properties"] |= WRITE_PROPERTIES
            output.pop("required", None)
        return {"input": compact(self.arguments.model_json_schema(mode="validation")), "output": output}

    def admit(self, gate: Gate, caller: Caller, arguments: Mapping[str, Any], oversight: Oversight) -> Admitted:
        """The tool, its typed arguments, the dealer. Raises AccessRefused and InvalidArguments; nothing was sent."""
        gate.require(caller, self)
        _require_bounded(arguments)
        try:
            # Models write null for what they leave out.
            given = self.arguments.model_validate(
                {
                    name: given
                    for name, given in arguments.items()
                    if given is not None or name not in self.arguments.model_fields
                }
            )
        except ValidationError as error:
            raise InvalidArguments.from_validation(error, self.arguments) from None
        values = {name: getattr(given, name) for name in type(given).model_fields}
        key = values.pop("idempotency_key", None)
        if not self.of_one_dealer:
            return Admitted(self, gate.admit_to_account(caller, self), values, None, key)
        grant = gate.admit(caller, self, values.pop("dealer"), oversight)
        return Admitted(self, grant, values, grant.roadster.dpid, key)


@dataclass(frozen=True)
class Admitted:
    """A call that has passed the gate: the tool, its grant, and its typed arguments."""

    tool: Tool
    grant: Grant | AccountGrant
    values: Mapping[str, Any]
    dealer: str | None
    idempotency_key: str | None

    async def run(self) -> ToolAnswer:
        """The tool's body. Raises ToolFailure, ClientError and Previewed."""
        return await self.tool.function(self.grant, **self.values)

    async def run_as(self, body: Callable[..., Awaitable[_GivenT]], **values: Any) -> _GivenT:
        """What another function makes of the same grant, where the tool's answer is not what is asked for."""
        return await body(self.grant, **values)


def _require_bounded(arguments: Mapping[str, Any]) -> None:
    """No list that a tool takes is long, and no text but a file's: what is, is refused before it costs anything."""
    if len(arguments) > _LONGEST_LIST:
        raise InvalidArguments({"arguments": "are too many"})
    unseen: list[tuple[str, Any]] = [(name, value) for name, value in arguments.items() if name != "contents"]
    while unseen:
        name, value = unseen.pop()
        longest = _LONGEST_TEXT if isinstance(value, str) else _LONGEST_LIST
        if isinstance(value, str | list | dict) and len(value) > longest:
            raise InvalidArguments({told_name(name): "is too long"})
        if isinstance(value, list):
            unseen += [(name, item) for item in value]
        elif isinstance(value, dict):
            unseen += [(name, item) for item in value.values()]


def tool(title: str) -> Callable[[ToolFunction], Tool]:
    """Makes a tool of a function that changes nothing; its docstring is the description that a model reads."""
    return lambda function: Tool(function, title, writes=False, destructive=False, if_unknown="")


def write_tool(title: str, *, if_unknown: str, destructive: bool = False) -> Callable[[ToolFunction], Tool]:
    """The same for a function that writes."""
    return lambda function: Tool(function, title, writes=True, destructive=destructive, if_unknown=if_unknown)


def catalogue(**toolsets: tuple[Tool, ...]) -> dict[str, Tool]:
    """The tools by name, in order, each with the name of its toolset."""
    return {
        listed.name: replace(listed, toolset=toolset)
        for toolset, listed_tools in toolsets.items()
        for listed in listed_tools
    }


def compact(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` as short as it can be with the same meaning to a model.

    A reference is something that not every host resolves, and `null` is how an optional field is left
    out; answers never hold it. A nested class's docstring is for who reads the code: what a model needs
    to know stands with the field. What is left out of the rest is in `_says_nothing`.
    """
    definitions = schema.pop("$defs", {})

    def shorten(node: Any) -> Any:
        if isinstance(node, list):
            return [shorten(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            definition = {**definitions[node["$ref"].rpartition("/")[2]], "description": None}
            return shorten({**definition, **{key: value for key, value in node.items() if key != "$ref"}})
        if "anyOf" in node:
            branches = [branch for branch in node["anyOf"] if branch != {"type": "null"}]
            rest = {key: value for key, value in node.items() if key != "anyOf"}
            if len(branches) == 1:
                return shorten({**branches[0], **rest})
        return {
            key: {name: shorten(part) for name, part in value.items()} if key == "properties" else shorten(value)
            for key, value in node.items()
            if not _says_nothing(key, value, node)
        }

    shortened: dict[str, Any] = shorten(schema)
    return {"additionalProperties": False, **shortened}


def _says_nothing(key: str, value: Any, node: dict[str, Any]) -> bool:
    """Whether a model knows what it should without `key`. All of it is checked all the same.

    Titles repeat names, and a text's default is the first of its choices. That nested objects take no
    other properties is what a model does unasked; so are bounds that nobody would cross. A pattern is
    for programs: where the name does not say it, the description does in words.
    """
    match key:
        case "title":
            return isinstance(value, str)
        case "description":
            return value is None
        case "default":
            return value is None or isinstance(value, str) or "const" in node
        case "additionalProperties":
            return isinstance(value, bool)
        case "pattern" | "maxLength":
            return True
        case "minLength" | "minItems":
            return value in (0, 1)
        case "minimum" | "exclusiveMinimum":
            return value in (0, 1) or PLAUSIBLE in node
        case "maximum":
            return bool(value >= MOST) or PLAUSIBLE in node
        case _:
            return key == PLAUSIBLE

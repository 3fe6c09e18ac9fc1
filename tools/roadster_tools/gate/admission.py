"""Admission: checks and types a call's arguments, and asks the gate, before a tool runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from roadster_client import LeftOut
from roadster_tools.answers import ToolAnswer
from roadster_tools.arguments.problems import problems_in, safe_name
from roadster_tools.arguments.raw_arguments import ReadArguments
from roadster_tools.arguments.vins import check_vins
from roadster_tools.failures import InvalidArguments
from roadster_tools.tool import Tool

from .access import Caller
from .gate import AccountGrant, CallOversight, Gate, Grant

_LONGEST_TEXT = 1000
"""Characters of each text in the arguments, except a file's contents."""

_LONGEST_LIST = 100
"""Items of each list or object in the arguments."""

_ResultT = TypeVar("_ResultT")


@dataclass(frozen=True)
class AdmittedCall:
    """A call that has passed the gate: the tool, its grant, and its typed arguments."""

    tool: Tool
    grant: Grant | AccountGrant
    arguments: BaseModel
    dealer: str | None

    @property
    def idempotency_key(self) -> str | None:
        return getattr(self.arguments, "idempotency_key", None)

    @cached_property
    def plain_arguments(self) -> dict[str, Any]:
        """The arguments as JSON, with the defaults of those that were left out. One call has one spelling."""
        return self.arguments.model_dump(mode="json", exclude_none=True)

    @cached_property
    def values(self) -> dict[str, Any]:
        """The arguments of the tool's function."""
        names = self.tool.arguments.model_fields.keys() - {"dealer", "idempotency_key"}
        return {name: getattr(self.arguments, name) for name in names}

    @property
    def left_out(self) -> Counter[LeftOut]:
        """The values that could not be read of the answers so far."""
        return self.grant.left_out

    @property
    def notices(self) -> list[str]:
        """The sentences that the call has added for its caller so far."""
        return self.grant.notices if isinstance(self.grant, Grant) else []

    def with_file(self, handle: str) -> AdmittedCall:
        """Returns the call with a file that a person handed over meanwhile."""
        return replace(self, arguments=self.arguments.model_copy(update={"upload": handle}))

    async def run(self) -> ToolAnswer:
        """Runs the tool. Raises ToolFailure, ClientError and WritePreview."""
        if isinstance(self.grant, Grant):
            await check_vins(self.grant, self.values, writes=self.tool.writes)
        return await self.tool.function(self.grant, **self.values)

    async def run_as(self, body: Callable[..., Awaitable[_ResultT]], **values: Any) -> _ResultT:
        """Runs `body` with the grant instead of the tool, for a resource's file or for a completion."""
        return await body(self.grant, **values)


def admit(tool: Tool, gate: Gate, caller: Caller, arguments: ReadArguments, oversight: CallOversight) -> AdmittedCall:
    """Checks a call and asks the gate. Raises AccessRefused and InvalidArguments, and nothing was sent then.

    The caller's right to the tool is checked first, so that a caller without it learns nothing about the arguments.
    """
    gate.require(caller, tool)
    _require_bounded(arguments.values)
    try:
        model = tool.arguments.model_validate(arguments.values)
    except ValidationError as error:
        raise InvalidArguments({**problems_in(error, tool.arguments), **arguments.problems}) from None
    if arguments.problems:
        raise InvalidArguments(arguments.problems)
    if not tool.of_one_dealer:
        return AdmittedCall(tool, gate.admit_to_account(caller, tool), model, None)
    grant = gate.admit(caller, tool, getattr(model, "dealer"), oversight)  # noqa: B009 - the model is made at run time
    return AdmittedCall(tool, grant, model, grant.roadster.dpid)


def _require_bounded(arguments: Mapping[str, Any]) -> None:
    """Raises InvalidArguments for long texts and lists, before they cost anything. No tool takes any, except a file."""
    if len(arguments) > _LONGEST_LIST:
        raise InvalidArguments({"": f"there are more than {_LONGEST_LIST}"})
    queue: list[tuple[str, Any]] = [(name, value) for name, value in arguments.items() if name != "contents"]
    while queue:
        name, value = queue.pop()
        longest = _LONGEST_TEXT if isinstance(value, str) else _LONGEST_LIST
        if isinstance(value, str | list | dict) and len(value) > longest:
            raise InvalidArguments({safe_name(name): "is too long"})
        if isinstance(value, list):
            queue += [(name, item) for item in value]
        elif isinstance(value, dict):
            queue += [(name, item) for item in value.values()]

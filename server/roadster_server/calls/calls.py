"""One use of a tool from end to end: limits, the gate, done once for its key, confirmed, recorded.

`tools/call` is one way in, `Calls.use` the way of all others: resources and completions pass the same
limits and the same gate, and leave the same records.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn, TypeVar

import anyio
from mcp_types import (
    CallToolRequestParams,
    InputResponseRequestParams,
)

from roadster_client import ClientError
from roadster_server.store import StoreError
from roadster_server.telemetry.logs import log_crash
from roadster_tools import TOOLS, AdmittedCall, Failure, InvalidArguments, Tool, ToolFailure

from .call import Call
from .context import CallResult, CallServices, Context, WhoIsCalling
from .results import failed_result

_ResultT = TypeVar("_ResultT")


class Calls:
    """Carries out every call of one server."""

    def __init__(self, services: CallServices) -> None:
        self.services = services
        self._in_flight: set[anyio.CancelScope] = set()
        self._one_ended = anyio.Event()

    async def answer(self, who: WhoIsCalling, ctx: Context, params: CallToolRequestParams) -> CallResult:
        """What `tools/call` is answered with; a failure is an answer too, because a model reads it."""
        tool = TOOLS.get(params.name)
        if tool is None:
            return failed_result(await self.refuse(who, ctx, {"name": "there is no such tool; tools/list shows yours"}))
        call = Call(self.services, who, ctx, tool, params.arguments or {}, params)
        outcome = await self._ended(call, lambda: call.carry_out(tool))
        return failed_result(outcome) if isinstance(outcome, Failure) else outcome

    async def use(
        self,
        who: WhoIsCalling,
        ctx: Context,
        tool: Tool,
        arguments: Mapping[str, Any],
        give: Callable[[AdmittedCall], Awaitable[_ResultT]],
    ) -> _ResultT | Failure:
        """What `give` makes of a tool that reads, once the call has passed the gate."""
        call = Call(self.services, who, ctx, tool, arguments, InputResponseRequestParams())

        async def given() -> _ResultT:
            return await give(await call.admit(tool))

        return await self._ended(call, given)

    async def refuse(self, who: WhoIsCalling, ctx: Context, problem: Mapping[str, str]) -> Failure:
        """What is told of a request for what is not here. It counts, and is on record, like any other."""
        call = Call(self.services, who, ctx, None, {}, InputResponseRequestParams())

        async def refused() -> NoReturn:
            await self.services.limiter.count_call(call.caller())
            raise InvalidArguments(problem)

        return await self._ended(call, refused)

    def interrupt(self) -> None:
        """Ends the calls in flight, because the server stops: their upstream requests too."""
        for scope in self._in_flight:
            scope.cancel()

    async def idle(self) -> None:
        """Returns once no call is in flight."""
        while self._in_flight:
            if self._one_ended.is_set():
                self._one_ended = anyio.Event()
            await self._one_ended.wait()

    async def _ended(self, call: Call, work: Callable[[], Awaitable[_ResultT]]) -> _ResultT | Failure:
        """What `work` gives, also where `interrupt` ends it. Each call ends with one audit record."""
        scope = anyio.CancelScope()
        self._in_flight.add(scope)
        try:
            with scope:
                return await self._outcome(call, work)
            return call.interrupted()
        finally:
            self._in_flight.discard(scope)
            self._one_ended.set()

    async def _outcome(self, call: Call, work: Callable[[], Awaitable[_ResultT]]) -> _ResultT | Failure:
        """The one boundary at which errors become failures to tell."""
        outcome: _ResultT | Failure
        try:
            outcome = await work()
        except (ToolFailure, ClientError) as error:
            outcome = call.failed(error)
        except StoreError as error:
            outcome = call.unrecorded(error)
        except Exception as error:  # noqa: BLE001 - a defect of ours: the caller learns that, the log where
            log_crash(error, tool=call.tool_name)
            outcome = call.broke()
        except BaseException:
            call.outcome = "cancelled"
            await call.end()
            raise
        return await call.end() or outcome

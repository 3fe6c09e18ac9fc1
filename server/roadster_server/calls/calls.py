"""Carries out calls: limits, gate, idempotency, confirmation, audit record.

`tools/call` comes in by `Calls.answer`. Resources, completions and subscriptions come in by `Calls.use`, pass the same
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
from roadster_server.store.waiting import one_wait
from roadster_server.telemetry.logs import log_crash
from roadster_tools import (
    TOOLS,
    AdmittedCall,
    Caller,
    Failure,
    InvalidArguments,
    Tool,
    ToolFailure,
    name_choices,
    verdict,
)

from .call import Call
from .context import CallContext, CallResult, CallServices, CurrentCaller
from .progress import reported_progress
from .results import failed_result

_ResultT = TypeVar("_ResultT")


class Calls:
    """Carries out every call of one server."""

    def __init__(self, services: CallServices) -> None:
        self.services = services
        self._in_flight: set[anyio.CancelScope] = set()
        self._call_ended = anyio.Event()

    async def answer(
        self, current_caller: CurrentCaller, ctx: CallContext, params: CallToolRequestParams
    ) -> CallResult:
        """Returns the result of `tools/call`. A failure is a result too, because a model reads it."""
        tool = TOOLS.get(params.name)
        if tool is None:
            problem = {"name": f"there is no such tool; {_tool_choices(current_caller(), params.name)}"}
            return failed_result(await self.refuse(current_caller, ctx, problem))
        call = Call(self.services, current_caller, ctx, tool, params.arguments or {}, params)
        outcome = await self.carry_out(call, tool)
        return failed_result(outcome) if isinstance(outcome, Failure) else outcome

    async def carry_out(self, call: Call, tool: Tool) -> CallResult | Failure:
        """Returns the result of a call of the tool."""
        return await self._run(call, lambda: call.carry_out(tool))

    async def use(
        self,
        current_caller: CurrentCaller,
        ctx: CallContext,
        tool: Tool,
        arguments: Mapping[str, Any],
        work: Callable[[AdmittedCall], Awaitable[_ResultT]],
    ) -> _ResultT | Failure:
        """Admits a call of a tool that reads, and returns the result of `work` instead of the tool's answer."""
        call = Call(self.services, current_caller, ctx, tool, arguments, InputResponseRequestParams())

        async def admit_and_work() -> _ResultT:
            return await work(await call.admit(tool))

        return await self._run(call, admit_and_work)

    async def refuse(self, current_caller: CurrentCaller, ctx: CallContext, problem: Mapping[str, str]) -> Failure:
        """Returns the failure for a tool or an address that does not exist. It counts and is recorded like a call."""
        call = Call(self.services, current_caller, ctx, None, {}, InputResponseRequestParams())

        async def count_and_refuse() -> NoReturn:
            await call.count()
            raise InvalidArguments(problem)

        return await self._run(call, count_and_refuse)

    def interrupt(self) -> None:
        """Ends the calls in flight, and their upstream requests. For a server that stops."""
        for scope in self._in_flight:
            scope.cancel()

    async def wait_until_idle(self) -> None:
        """Returns when no call is in flight."""
        while self._in_flight:
            if self._call_ended.is_set():
                self._call_ended = anyio.Event()
            await self._call_ended.wait()

    async def _run(self, call: Call, work: Callable[[], Awaitable[_ResultT]]) -> _ResultT | Failure:
        """Returns the result of `work`, or a failure. `interrupt` ends the call. Each call leaves one audit record."""
        scope = anyio.CancelScope()
        self._in_flight.add(scope)
        try:
            with scope, one_wait():
                async with reported_progress(call.ctx, self.services.timing.progress_seconds):
                    return await self._outcome(call, work)
            return call.interruption()
        finally:
            self._in_flight.discard(scope)
            self._call_ended.set()

    async def _outcome(self, call: Call, work: Callable[[], Awaitable[_ResultT]]) -> _ResultT | Failure:
        """Turns errors into failures. This happens nowhere else."""
        outcome: _ResultT | Failure
        try:
            outcome = await work()
        except (ToolFailure, ClientError) as error:
            outcome = call.failure(error)
        except StoreError as error:
            outcome = call.store_failure(error)
        except Exception as error:  # noqa: BLE001 - a defect: the caller learns that it happened, the log where
            log_crash(error, tool=call.record.tool_name)
            outcome = call.defect()
        except BaseException:
            call.record.outcome = "cancelled"
            await call.record.end()
            raise
        return await call.record.end() or outcome


def _tool_choices(caller: Caller, typed: str) -> str:
    """Returns which tools to choose from, only those that the caller may use."""
    names = [tool.name for tool in TOOLS.values() if verdict(caller, tool).is_allowed]
    return f"{name_choices(names, typed)}; tools/list shows yours" if names else "this caller may use none"

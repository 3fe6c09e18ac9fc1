"""One call of a tool from end to end: limits, the gate, done once for its key, confirmed, recorded."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

import anyio
from mcp.server.context import ServerRequestContext
from mcp_types import CallToolRequestParams, CallToolResult, InputRequiredResult, TextContent

from roadster_client import Answer, ClientError, MalformedAnswer, OutcomeUnknown
from roadster_tools import (
    TOOLS,
    AccessRefused,
    Admitted,
    Caller,
    Failure,
    Gate,
    InvalidArguments,
    KeyOutcomeUnknown,
    Limited,
    PendingWrite,
    Previewed,
    Seal,
    Tool,
    ToolFailure,
    Unrecorded,
    Unsealable,
    failure,
    verdict,
)

from .confirmation import Ask, Confirmation
from .keys import Keys
from .limiter import Limiter
from .logs import log, log_crash
from .opening import LazyStore
from .recording import Recorder
from .store import AuditRecord, Claim, Conflict, InProgress, Replay, Store, StoreError

FAILURE_META = "roadster-mcp/failure"
"""The key in a failed result's `_meta` that holds the stable kind of the failure."""

_LONGEST_ANSWER = 200_000
"""Characters, far above anything documented: what is longer is not an answer but an accident."""

_WAIT_FOR_THE_FIRST = 30.0
_POLL = 0.1

WhoIsCalling = Callable[[], Caller]
CallResult = CallToolResult | InputRequiredResult
Context = ServerRequestContext[Any, Any]


class Calls:
    """Carries out every call of one server."""

    def __init__(self, gate: Gate, store: LazyStore, keys: Keys, *, refuse_unrecorded_reads: bool) -> None:
        self.gate = gate
        self.store = store
        self.keys = keys
        self.refuse_unrecorded_reads = refuse_unrecorded_reads
        self.limiter = Limiter()
        self.recorder = Recorder(store)
        self._in_flight: set[anyio.CancelScope] = set()
        self._one_ended = anyio.Event()

    async def answer(self, who: WhoIsCalling, ctx: Context, params: CallToolRequestParams) -> CallResult:
        """The answer to one call, also where `interrupt` ends it. Each call ends with one audit record."""
        call = _Call(self, who, ctx, params)
        scope = anyio.CancelScope()
        self._in_flight.add(scope)
        try:
            with scope:
                return await self._answer(call)
            return call.interrupted()
        finally:
            self._in_flight.discard(scope)
            self._one_ended.set()

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

    async def _answer(self, call: _Call) -> CallResult:
        """The one boundary at which errors become answers."""
        result: CallResult
        try:
            result = await call.carry_out()
        except Ask as asked:
            call.outcome = "asked"
            result = asked.result
        except Previewed as previewed:
            call.outcome = "previewed"
            result = _preview(previewed.write)
        except (ToolFailure, ClientError) as error:
            result = call.failed(error)
        except (
            StoreError
        ) as error:  # only before sending: after it, the store's failures are logged and the answer given
            result = call.failed(Unrecorded(f"The call cannot be put on record: {error}"))
        except Exception as error:  # noqa: BLE001 - a defect of ours: the caller learns that, the log where
            log_crash(error, tool=call.tool_name)
            result = call.broke()
        except BaseException:
            call.outcome = "cancelled"
            await call.end()
            raise
        return await call.end() or result


class _Call:
    """What is known of one call while it goes on; the `Oversight` of its writes."""

    def __init__(self, calls: Calls, who: WhoIsCalling, ctx: Context, params: CallToolRequestParams) -> None:
        self._calls = calls
        self._who = who
        self._caller = who()
        self._ctx = ctx
        self._params = params
        self._id = uuid4().hex
        self._started = time.perf_counter()
        self._admitted: Admitted | None = None
        self._claim: Claim | None = None
        self._sent = False
        self._request_id: str | None = None
        self._refused_by: str | None = None
        self.outcome = "done"
        self.tool_name = params.name if params.name in TOOLS else "unknown"
        self._may_write = params.name in TOOLS and TOOLS[params.name].writes

    async def carry_out(self) -> CallToolResult:
        """Raises Ask, Previewed, ToolFailure and ClientError."""
        await self._calls.limiter.count_call(self._caller)
        self._admitted = _tool(self._params.name).admit(
            self._calls.gate, self._caller, self._params.arguments or {}, self
        )
        if self._admitted.idempotency_key is None:
            return _result(await self._answer(self._admitted))
        return await self._once(self._admitted)

    def caller(self) -> Caller:
        """As Oversight has it."""
        return self._who()

    async def confirm(self, write: PendingWrite) -> None:
        """As Oversight has it."""
        confirmation = Confirmation(
            self._ctx, self._params, key=self._calls.keys.confirmations, store=await self._calls.store.get()
        )
        await confirmation.obtain(write, await self._calls.gate.dealer_name(write.dealer))

    async def sending(self, write: PendingWrite) -> None:
        """As Oversight has it: within the hour's writes, and on record."""
        await self._calls.limiter.count_write(write.caller)
        store = await self._calls.store.get()
        await store.record_sent(self._record("sent", "sent"), self._claim)
        self._sent = True

    def answered(self, answer: Answer) -> None:
        """As Oversight has it."""
        self._request_id = answer.request_id

    def failed(self, error: ToolFailure | ClientError) -> CallToolResult:
        """The answer to a call that failed, and what the audit says of it."""
        found = failure(error)
        self.outcome = found.kind
        if isinstance(error, ClientError):
            self._request_id = error.request_id
        if isinstance(error, AccessRefused | Limited):
            self._refused_by = error.setting
        return self._told(found)

    def broke(self) -> CallToolResult:
        """The answer where this server failed. After a write was sent, nobody knows more than that it was."""
        self.outcome = "defect"
        if self._sent:
            return self._told(Failure("outcome_unknown", "The write was sent, and the server failed on its answer."))
        return _failed(Failure("upstream", "The server failed on this call; its operator finds why in the log."))

    def interrupted(self) -> CallToolResult:
        """The answer where the server stops before the call has ended. It is on record as cancelled."""
        if self._sent:
            return self._told(Failure("outcome_unknown", "The write was sent, and the server stopped on its answer."))
        return _failed(Failure("upstream", "The server is stopping, and ended this call. Nothing was written."))

    def _told(self, failed: Failure) -> CallToolResult:
        if failed.kind == "outcome_unknown" and self._admitted is not None:
            failed = Failure(failed.kind, f"{failed.text} {self._admitted.tool.if_unknown}.")
        return _failed(failed)

    async def end(self) -> CallToolResult | None:
        """Logs and records the call, also one that is cancelled; what it returns takes the answer's place."""
        with anyio.CancelScope(shield=True):
            instead = await self._end()
        return instead  # noqa: RET504 - to mypy, the scope above may swallow a return

    async def _end(self) -> CallToolResult | None:
        milliseconds = round((time.perf_counter() - self._started) * 1000)
        log.info(
            "call",
            extra={
                "call": self._id,
                "tool": self.tool_name,
                "caller": self._caller.name,
                "protocol": self._ctx.protocol_version,
                "outcome": self.outcome,
                "ms": milliseconds,
            },
        )
        record, recorder = self._record("ended", self.outcome, milliseconds), self._calls.recorder
        try:
            if self._may_write or self._calls.refuse_unrecorded_reads:
                await recorder.put(record)
            else:
                await recorder.put_soon(record)
        except StoreError as error:
            log.error("call not on record", extra={"call": self._id, "reason": str(error)})
            if self._calls.refuse_unrecorded_reads and not self._sent:
                return _failed(failure(Unrecorded(f"The call cannot be put on record: {error}")))
        return None

    async def _answer(self, admitted: Admitted) -> _Given:
        answer = await admitted.run()
        text = answer.text()
        if len(text) > _LONGEST_ANSWER:
            kind = OutcomeUnknown if self._sent else MalformedAnswer
            name = admitted.tool.name
            raise kind(f"{name}: the answer is larger than {_LONGEST_ANSWER} characters", operation=name)
        return text, answer.structured()

    async def _once(self, admitted: Admitted) -> CallToolResult:
        """Done once for its key: a repeat gets the first answer."""
        store = await self._calls.store.get()
        # Without a key of ours, so that a write stays done once when the API key, and with it our keys, change.
        named = json.dumps([self._caller.name, admitted.dealer, admitted.tool.name, admitted.idempotency_key])
        scope = hashlib.sha256(named.encode()).hexdigest()
        seal = Seal.bound_to(self._calls.keys.results, scope)
        claim = await self._claim_key(store, scope)
        if isinstance(claim, Replay):
            self.outcome = "replayed"
            return _replayed(seal, claim.result)
        self._claim = claim
        try:
            given = await self._answer(admitted)
        except BaseException as error:
            # A documented refusal did nothing; anything else after sending may have.
            open_end = self._sent and (isinstance(error, OutcomeUnknown) or not isinstance(error, ClientError))
            await self._settle(store.leave_unknown(claim) if open_end else store.release(claim))
            raise
        await self._settle(store.finish(claim, seal.seal(json.dumps(given)).encode()))
        return _result(given)

    async def _settle(self, claim_ended: Awaitable[None]) -> None:
        """Ends a claim whatever happens to the call. A claim that cannot be ended reads as outcome unknown in time."""
        try:
            with anyio.CancelScope(shield=True):
                await claim_ended
        except StoreError as error:
            log.error("idempotency key not settled", extra={"call": self._id, "reason": str(error)})

    async def _claim_key(self, store: Store, scope: str) -> Claim | Replay:
        given = {name: value for name, value in (self._params.arguments or {}).items() if value is not None}
        arguments = self._calls.keys.hash({**given, "dealer": None})  # the scope has it, also where it was left out
        with anyio.move_on_after(_WAIT_FOR_THE_FIRST):
            while True:
                found = await store.claim(scope, arguments, now=datetime.now(UTC))
                match found:
                    case Claim() | Replay():
                        return found
                    case Conflict():
                        raise InvalidArguments({"idempotency_key": "was used with other arguments; take a new one"})
                    case InProgress():
                        await anyio.sleep(_POLL)
                    case _:
                        raise KeyOutcomeUnknown("An earlier write with this idempotency_key lost its answer")
        raise Limited(
            "one call at a time with one idempotency_key", wait=_WAIT_FOR_THE_FIRST, setting="idempotency_key"
        )

    def _record(self, phase: Literal["sent", "ended"], outcome: str, milliseconds: int | None = None) -> AuditRecord:
        tool = TOOLS.get(self._params.name)
        decided = self._refused_by or (verdict(self._caller, tool).setting if tool else "")
        known = tool.input_schema["properties"] if tool else {}
        return AuditRecord(
            call_id=self._id,
            phase=phase,
            time=datetime.now(UTC),
            caller=self._caller.name,
            client=_client_name(self._ctx),
            protocol=self._ctx.protocol_version,
            tool=self.tool_name,
            dealer=self._admitted.dealer if self._admitted else None,
            verdict="allowed" if self._refused_by is None else "refused",
            setting=decided,
            outcome=outcome,
            upstream_request_id=self._request_id,
            latency_ms=milliseconds,
            arguments={
                # Names that no tool has are the caller's own text, and stay out.
                name: self._calls.keys.hash(value)
                for name, value in (self._params.arguments or {}).items()
                if name in known
            },
        )


_Given = tuple[str, dict[str, Any]]
"""An answer as it is given, and kept for a replay: text and structured content."""


def _result(given: _Given) -> CallToolResult:
    text, structured = given
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=structured)


def _replayed(seal: Seal, kept: bytes) -> CallToolResult:
    try:
        text, structured = json.loads(seal.open(kept.decode()))
    except Unsealable:
        raise KeyOutcomeUnknown("The write was done, but its answer cannot be read any more") from None
    return _result((f"Replay of an earlier answer, nothing was sent now: {text}", {**structured, "replayed": True}))


def _preview(write: PendingWrite) -> CallToolResult:
    request = write.request.shown_to("person" if write.caller.personal_data == "contact" else "model")
    checks = [
        "the arguments are valid",
        f'{write.allowed.setting} is "preview"',
        f"callers.{write.caller.name}.dealers names {write.dealer}",
    ]
    preview = {**request, "checks": checks}
    return _result((f"Preview, nothing was sent: {json.dumps(preview, ensure_ascii=False)}", {"preview": preview}))


def _failed(failed: Failure) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=failed.text)], is_error=True, _meta={FAILURE_META: failed.kind}
    )


def _tool(name: str) -> Tool:
    if name not in TOOLS:
        raise InvalidArguments({"name": "there is no such tool; tools/list shows yours"})
    return TOOLS[name]


def _client_name(ctx: Context) -> str:
    """What the client calls itself: its own text, so only what a program's name is made of."""
    params = ctx.session.client_params
    return re.sub(r"[^A-Za-z0-9 ._/-]", "", params.client_info.name)[:64] if params is not None else ""

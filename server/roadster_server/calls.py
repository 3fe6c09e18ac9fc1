"""One use of a tool from end to end: limits, the gate, done once for its key, confirmed, recorded.

`tools/call` is one way in, `Calls.use` the way of all others: resources and completions pass the same
limits and the same gate, and leave the same records.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, NoReturn, TypeVar
from uuid import uuid4

import anyio
from mcp.server.context import ServerRequestContext
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    InputRequiredResult,
    InputResponseRequestParams,
    ResourceLink,
    TextContent,
)

from roadster_client import Answer, ClientError, MalformedAnswer, OutcomeUnknown, PersonalData
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
    Link,
    PendingWrite,
    Previewed,
    Seal,
    Tool,
    ToolFailure,
    Unrecorded,
    failure,
    verdict,
)

from .confirmation import Ask, Confirmation
from .keys import Keys
from .limiter import Limiter
from .logs import log, log_crash
from .observing import ServerObserver
from .opening import LazyStore
from .recording import Recorder
from .store import AuditRecord, Claim, Replay, Store, StoreError
from .turns import KeyTurns

FAILURE_META = "roadster-mcp/failure"
"""The key in a failed result's `_meta` that holds the stable kind of the failure."""

LONGEST_ANSWER = 200_000
"""Characters, far above anything documented: what is longer is not an answer but an accident."""

WhoIsCalling = Callable[[], Caller]
CallResult = CallToolResult | InputRequiredResult
Context = ServerRequestContext[Any, Any]
_GivenT = TypeVar("_GivenT")


class Calls:
    """Carries out every call of one server."""

    def __init__(
        self,
        gate: Gate,
        store: LazyStore,
        keys: Keys,
        *,
        refuse_unrecorded_reads: bool,
        redis_url: str | None,
        observer: ServerObserver,
    ) -> None:
        self.gate = gate
        self.store = store
        self.keys = keys
        self.refuse_unrecorded_reads = refuse_unrecorded_reads
        self.observer = observer
        self.limiter = Limiter(redis_url, keys.deployment)
        self.recorder = Recorder(store)
        self.turns = KeyTurns(keys)
        self._in_flight: set[anyio.CancelScope] = set()
        self._one_ended = anyio.Event()

    async def answer(self, who: WhoIsCalling, ctx: Context, params: CallToolRequestParams) -> CallResult:
        """What `tools/call` is answered with; a failure is an answer too, because a model reads it."""
        tool = TOOLS.get(params.name)
        if tool is None:
            return _failed(await self.refuse(who, ctx, {"name": "there is no such tool; tools/list shows yours"}))
        call = _Call(self, who, ctx, tool, params.arguments or {}, params)
        outcome = await self._ended(call, lambda: call.carry_out(tool))
        return _failed(outcome) if isinstance(outcome, Failure) else outcome

    async def use(
        self,
        who: WhoIsCalling,
        ctx: Context,
        tool: Tool,
        arguments: Mapping[str, Any],
        give: Callable[[Admitted], Awaitable[_GivenT]],
    ) -> _GivenT | Failure:
        """What `give` makes of a tool that reads, once the call has passed the gate."""
        call = _Call(self, who, ctx, tool, arguments, InputResponseRequestParams())

        async def given() -> _GivenT:
            return await give(await call.admit(tool))

        return await self._ended(call, given)

    async def refuse(self, who: WhoIsCalling, ctx: Context, problem: Mapping[str, str]) -> Failure:
        """What is told of a request for what is not here. It counts, and is on record, like any other."""
        call = _Call(self, who, ctx, None, {}, InputResponseRequestParams())

        async def refused() -> NoReturn:
            await self.limiter.count_call(call.caller())
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

    async def _ended(self, call: _Call, work: Callable[[], Awaitable[_GivenT]]) -> _GivenT | Failure:
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

    async def _outcome(self, call: _Call, work: Callable[[], Awaitable[_GivenT]]) -> _GivenT | Failure:
        """The one boundary at which errors become failures to tell."""
        outcome: _GivenT | Failure
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


class _Call:
    """What is known of one call while it goes on; the `Oversight` of its writes."""

    def __init__(
        self,
        calls: Calls,
        who: WhoIsCalling,
        ctx: Context,
        tool: Tool | None,
        arguments: Mapping[str, Any],
        params: InputResponseRequestParams,
    ) -> None:
        self._calls = calls
        self._who = who
        self._caller = who()
        self._ctx = ctx
        self._tool = tool
        self._arguments = arguments
        self._params = params
        self._id = uuid4().hex
        self._started = time.perf_counter()
        self._admitted: Admitted | None = None
        self._claim: Claim | None = None
        self._sent = False
        self._request_id: str | None = None
        self._refused_by: str | None = None
        self.outcome = "done"
        self.tool_name = tool.name if tool else "unknown"
        self._may_write = tool is not None and tool.writes

    async def admit(self, tool: Tool) -> Admitted:
        """The call once it has passed limits and gate. Raises ToolFailure; nothing was sent."""
        await self._calls.limiter.count_call(self._caller)
        self._admitted = tool.admit(self._calls.gate, self._caller, self._arguments, self)
        return self._admitted

    async def carry_out(self, tool: Tool) -> CallResult:
        """The tool's answer, a question, or a preview. Raises ToolFailure and ClientError."""
        try:
            admitted = await self.admit(tool)
            if admitted.idempotency_key is None:
                return _result(await self._answer(admitted))
            return await self._once(admitted)
        except Ask as asked:
            self.outcome = "asked"
            return asked.result
        except Previewed as previewed:
            self.outcome = "previewed"
            return _preview(previewed.write)

    def caller(self) -> Caller:
        """As Oversight has it."""
        return self._who()

    async def confirm(self, write: PendingWrite) -> None:
        """As Oversight has it."""
        confirmation = Confirmation(
            self._ctx, self._params, key=self._calls.keys.confirmations, store=await self._calls.store.get()
        )
        await confirmation.obtain(write, await self._calls.gate.dealer_name(write.caller, write.dealer))

    async def sending(self, write: PendingWrite) -> None:
        """As Oversight has it: within the hour's writes, and on record."""
        await self._calls.limiter.count_write(write.caller)
        store = await self._calls.store.get()
        await store.record_sent(self._record("sent", "sent"), self._claim)
        self._sent = True

    def answered(self, answer: Answer) -> None:
        """As Oversight has it."""
        self._request_id = answer.request_id

    def failed(self, error: ToolFailure | ClientError) -> Failure:
        """What is told of a call that failed, and what the audit says of it."""
        found = failure(error, self._tool, self._arguments)
        self.outcome = found.kind
        if isinstance(error, ClientError):
            self._request_id = error.request_id
        if isinstance(error, AccessRefused | Limited):
            self._refused_by = error.setting
        return self._told(found)

    def unrecorded(self, error: StoreError) -> Failure:
        """What is told where the store failed. After sending, most such failures are logged and the answer is given."""
        if not self._sent:
            return self.failed(Unrecorded(f"The call cannot be put on record: {error}"))
        self.outcome = "outcome_unknown"
        return self._told(Failure("outcome_unknown", f"The write was sent, and not put on record: {error}."))

    def broke(self) -> Failure:
        """What is told where this server failed. After a write was sent, nobody knows more than that it was."""
        self.outcome = "defect"
        if self._sent:
            return self._told(Failure("outcome_unknown", "The write was sent, and the server failed on its answer."))
        return Failure("upstream", "The server failed on this call; its operator finds why in the log.")

    def interrupted(self) -> Failure:
        """What is told where the server stops before the call has ended. It is on record as cancelled."""
        if self._sent:
            return self._told(Failure("outcome_unknown", "The write was sent, and the server stopped on its answer."))
        return Failure("upstream", "The server is stopping, and ended this call. Nothing was written.")

    def _told(self, failed: Failure) -> Failure:
        if failed.kind == "outcome_unknown" and self._admitted is not None:
            failed = Failure(failed.kind, f"{failed.text} {self._admitted.tool.if_unknown}.")
        return failed

    async def end(self) -> Failure | None:
        """Logs and records the call, also one that is cancelled; what it returns takes the answer's place."""
        with anyio.CancelScope(shield=True):
            instead = await self._end()
        return instead  # noqa: RET504 - to mypy, the scope above may swallow a return

    async def _end(self) -> Failure | None:
        milliseconds = round((time.perf_counter() - self._started) * 1000)
        self._calls.observer.call_ended(self.tool_name, self.outcome, self._refused_by, milliseconds / 1000)
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
                return failure(Unrecorded(f"The call cannot be put on record: {error}"))
        return None

    async def _answer(self, admitted: Admitted) -> _Given:
        answer = await admitted.run()
        text = answer.text()
        if len(text) > LONGEST_ANSWER:
            kind = OutcomeUnknown if self._sent else MalformedAnswer
            name = admitted.tool.name
            raise kind(f"{name}: the answer is larger than {LONGEST_ANSWER} characters", operation=name)
        return _Given(text, answer.structured(), answer.links())

    async def _once(self, admitted: Admitted) -> CallToolResult:
        """Done once for its key: a repeat gets the first answer."""
        store = await self._calls.store.get()
        # Without a key of ours, so that a write stays done once when the API key, and with it our keys, change.
        named = json.dumps([self._caller.name, admitted.dealer, admitted.tool.name, admitted.idempotency_key])
        scope = hashlib.sha256(named.encode()).hexdigest()
        given = {name: value for name, value in self._arguments.items() if value is not None}
        arguments = self._calls.keys.marked_hash({**given, "dealer": None})  # the scope has it, also where left out
        seal = Seal.bound_to(self._calls.keys.results, scope)
        async with self._calls.turns.claimed(store, scope, arguments) as claim:
            if isinstance(claim, Replay):
                self.outcome = "replayed"
                return _replayed(seal, claim.result, self._who())
            return await self._done(admitted, store, claim, seal)

    async def _done(self, admitted: Admitted, store: Store, claim: Claim, seal: Seal) -> CallToolResult:
        self._claim = claim
        try:
            answer = await self._answer(admitted)
        except BaseException as error:
            # A documented refusal did nothing; anything else after sending may have.
            open_end = self._sent and (isinstance(error, OutcomeUnknown) or not isinstance(error, ClientError))
            await self._settle(store.leave_unknown(claim) if open_end else store.release(claim))
            raise
        kept = json.dumps([self._shown(), answer.text, answer.structured])
        await self._settle(store.finish(claim, seal.seal(kept).encode()))
        return _result(answer)

    def _shown(self) -> PersonalData:
        """What of a person's data the answer may hold: rights may have changed while it came."""
        return "contact" if "contact" in (self._caller.personal_data, self._who().personal_data) else "masked"

    async def _settle(self, claim_ended: Awaitable[None]) -> None:
        """Ends a claim whatever happens to the call. A claim that cannot be ended reads as outcome unknown in time."""
        try:
            with anyio.CancelScope(shield=True):
                await claim_ended
        except StoreError as error:
            log.error("idempotency key not settled", extra={"call": self._id, "reason": str(error)})

    def _record(self, phase: Literal["sent", "ended"], outcome: str, milliseconds: int | None = None) -> AuditRecord:
        decided = self._refused_by or (verdict(self._caller, self._tool).setting if self._tool else "")
        known = self._tool.input_schema["properties"] if self._tool else {}
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
                for name, value in self._arguments.items()
                if name in known
            },
        )


class _Given(NamedTuple):
    """An answer as it is given. Kept for a replay are text and structured content: a write has no links."""

    text: str
    structured: dict[str, Any]
    links: tuple[Link, ...] = ()


def _result(given: _Given) -> CallToolResult:
    links = [
        ResourceLink(uri=link.uri, name=link.name, mime_type=link.mime_type, size=link.size) for link in given.links
    ]
    return CallToolResult(
        content=[TextContent(type="text", text=given.text), *links], structured_content=given.structured
    )


def _replayed(seal: Seal, kept: bytes, caller: Caller) -> CallToolResult:
    try:
        shown, text, structured = json.loads(seal.open(kept.decode()))
    except ValueError:  # not sealed with this key, or kept by a version that kept less
        raise KeyOutcomeUnknown("The write was done, but its answer cannot be read any more") from None
    if shown not in ("masked", caller.personal_data):
        setting = f"callers.{caller.name}.personal_data"
        raise KeyOutcomeUnknown(
            f'The write was done, but {setting} was "{shown}" then, and its answer cannot be shown any more'
        )
    return _result(
        _Given(f"Replay of an earlier answer, nothing was sent now: {text}", {**structured, "replayed": True})
    )


def _preview(write: PendingWrite) -> CallToolResult:
    request = write.request.shown_to("person" if write.caller.personal_data == "contact" else "model")
    checks = [
        "the arguments are valid",
        write.allowed.said,
        f"callers.{write.caller.name}.dealers names {write.dealer}",
    ]
    preview = {**request, "checks": checks}
    text = f"Preview, nothing was sent: {json.dumps(preview, ensure_ascii=False)}"
    return _result(_Given(text, {"preview": preview}))


def _failed(failed: Failure) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=failed.text)], is_error=True, _meta={FAILURE_META: failed.kind}
    )


def _client_name(ctx: Context) -> str:
    """What the client calls itself: its own text, so only what a program's name is made of."""
    params = ctx.session.client_params
    return re.sub(r"[^A-Za-z0-9 ._/-]", "", params.client_info.name)[:64] if params is not None else ""

"""One call, from its admission to its audit record."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

import anyio
from mcp_types import CallToolResult, InputResponseRequestParams

from roadster_client import Answer, ClientError, MalformedAnswer, OutcomeUnknown, PersonalData
from roadster_server.store import AuditRecord, Claim, Replay, StoreError
from roadster_server.telemetry.logs import log
from roadster_tools import (
    AccessRefused,
    AdmittedCall,
    Caller,
    Failure,
    Limited,
    PendingWrite,
    Seal,
    Tool,
    ToolFailure,
    Unrecorded,
    WritePreview,
    admit,
    failure,
    verdict,
)

from .confirmation import Ask, Confirmation
from .context import CallResult, CallServices, Context, WhoIsCalling
from .results import LONGEST_ANSWER, GivenAnswer, client_name, preview_result, replayed_result, result_of


class Call:
    """What is known of one call while it goes on; the `CallOversight` of its writes."""

    def __init__(
        self,
        services: CallServices,
        who: WhoIsCalling,
        ctx: Context,
        tool: Tool | None,
        arguments: Mapping[str, Any],
        params: InputResponseRequestParams,
    ) -> None:
        self._services = services
        self._who = who
        self._caller = who()
        self._ctx = ctx
        self._tool = tool
        self._arguments = arguments
        self._params = params
        self._id = uuid4().hex
        self._started = time.perf_counter()
        self._admitted: AdmittedCall | None = None
        self._claim: Claim | None = None
        self._sent = False
        self._request_id: str | None = None
        self._refused_by: str | None = None
        self.outcome = "done"
        self.tool_name = tool.name if tool else "unknown"
        self._may_write = tool is not None and tool.writes

    async def admit(self, tool: Tool) -> AdmittedCall:
        """The call once it has passed limits and gate. Raises ToolFailure; nothing was sent."""
        await self._services.limiter.count_call(self._caller)
        self._admitted = admit(tool, self._services.gate, self._caller, self._arguments, self)
        return self._admitted

    async def carry_out(self, tool: Tool) -> CallResult:
        """The tool's answer, a question, or a preview. Raises ToolFailure and ClientError."""
        try:
            admitted = await self.admit(tool)
            if admitted.idempotency_key is None:
                return result_of(await self._answer(admitted))
            return await self._once(admitted)
        except Ask as asked:
            self.outcome = "asked"
            return asked.result
        except WritePreview as previewed:
            self.outcome = "previewed"
            return preview_result(previewed.write)

    def caller(self) -> Caller:
        """As CallOversight has it."""
        return self._who()

    async def confirm(self, write: PendingWrite) -> None:
        """As CallOversight has it."""
        confirmation = Confirmation(
            self._ctx,
            self._params,
            key=self._services.keys.confirmations,
            store=self._services.store,
            lifetime=self._services.timing.confirmation,
        )
        await confirmation.obtain(write, await self._services.gate.dealer_name(write.caller, write.dealer))

    async def before_send(self, write: PendingWrite) -> None:
        """As CallOversight has it: within the hour's writes, and on record."""
        await self._services.limiter.count_write(write.caller)
        await self._services.store.record_sent(self._record("sent", "sent"), self._claim)
        self._sent = True

    def on_answer(self, answer: Answer) -> None:
        """As CallOversight has it."""
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
        self._services.observer.call_ended(self.tool_name, self.outcome, self._refused_by, milliseconds / 1000)
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
        record, recorder = self._record("ended", self.outcome, milliseconds), self._services.recorder
        try:
            if self._may_write or self._services.refuse_unrecorded_reads:
                await recorder.put(record)
            else:
                await recorder.put_soon(record)
        except StoreError as error:
            log.error("call not on record", extra={"call": self._id, "reason": str(error)})
            if self._services.refuse_unrecorded_reads and not self._sent:
                return failure(Unrecorded(f"The call cannot be put on record: {error}"))
        return None

    async def _answer(self, admitted: AdmittedCall) -> GivenAnswer:
        answer = await admitted.run()
        text = answer.text()
        if len(text) > LONGEST_ANSWER:
            kind = OutcomeUnknown if self._sent else MalformedAnswer
            name = admitted.tool.name
            raise kind(name, f"the answer is larger than {LONGEST_ANSWER} characters")
        return GivenAnswer(text, answer.structured_content(), answer.links())

    async def _once(self, admitted: AdmittedCall) -> CallToolResult:
        """Done once for its key: a repeat gets the first answer."""
        # Without a key of ours, so that a write stays done once when the API key, and with it our keys, change.
        named = json.dumps([self._caller.name, admitted.dealer, admitted.tool.name, admitted.idempotency_key])
        scope = hashlib.sha256(named.encode()).hexdigest()
        given = {name: value for name, value in self._arguments.items() if value is not None}
        arguments = self._services.keys.marked_hash({**given, "dealer": None})  # the scope has it, also where left out
        seal = Seal.bound_to(self._services.keys.results, scope)
        async with self._services.idempotency_keys.claim(self._services.store, scope, arguments) as claim:
            if isinstance(claim, Replay):
                self.outcome = "replayed"
                return replayed_result(seal, claim.result, self._who())
            return await self._done(admitted, claim, seal)

    async def _done(self, admitted: AdmittedCall, claim: Claim, seal: Seal) -> CallToolResult:
        self._claim, store = claim, self._services.store
        try:
            answer = await self._answer(admitted)
        except BaseException as error:
            # A documented refusal did nothing; anything else after sending may have.
            open_end = self._sent and (isinstance(error, OutcomeUnknown) or not isinstance(error, ClientError))
            await self._settle(store.leave_unknown(claim) if open_end else store.release(claim))
            raise
        kept = json.dumps([self._shown(), answer.text, answer.structured])
        await self._settle(store.finish(claim, seal.seal(kept).encode()))
        return result_of(answer)

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
            client=client_name(self._ctx),
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
                name: self._services.keys.hash(value)
                for name, value in self._arguments.items()
                if name in known
            },
        )

"""One call, from its admission to its audit record."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

import anyio
from mcp_types import CallToolResult, InputResponseRequestParams

from roadster_client import Answer, ClientError, MalformedAnswer, OutcomeUnknown, Reader
from roadster_server.store import AuditRecord, Claim, ClaimLost, Replay, StoreBusy, StoreError
from roadster_server.telemetry.logs import log
from roadster_tools import (
    AccessRefused,
    AdmittedCall,
    Caller,
    CallOversight,
    Failure,
    FileWanted,
    Grant,
    Limited,
    NotConfirmed,
    PendingWrite,
    ReadArguments,
    Seal,
    Tool,
    ToolAnswer,
    ToolFailure,
    Unrecorded,
    WritePreview,
    admit,
    failure,
    left_out_of,
    left_out_text,
    read_arguments,
    verdict,
)

from .approvals.call_approval import CallApproval, WriteWaits
from .approvals.write_keys import WriteKey
from .confirmation import Confirmation, form_problem
from .context import Ask, CallContext, CallResult, CallServices, CurrentCaller, PageOrigin, client_name
from .file_question import FileState, obtain_file
from .limiter import OverLimit
from .results import LONGEST_ANSWER, AnswerContent, preview_result, replayed_result, result_of

Recording = Literal["stored soon", "stored", "stored later", "in a sum"]
"""How the record of a call's end gets into the store.

A read is answered after two seconds, also if its record is not stored by then. The answer of a write that was sent
waits for the record, and so does each answer under `refuse_unrecorded_reads`. A call that the store has failed does not
wait for it again. Refusals by a caller's limit are in sums.
"""


class Call(CallOversight):
    """The state of one call. It is also the `CallOversight` of the writes that the call sends."""

    def __init__(
        self,
        services: CallServices,
        current_caller: CurrentCaller,
        ctx: CallContext,
        tool: Tool | None,
        arguments: Mapping[str, Any],
        params: InputResponseRequestParams,
    ) -> None:
        self._services = services
        self._current_caller = current_caller
        self._caller = current_caller()
        self.ctx = ctx
        self._tool = tool
        self._arguments = read_arguments(arguments, tool.arguments) if tool else ReadArguments({**arguments}, {})
        self._file_state = FileState(params)
        self._params = self._file_state.rest
        self._id = uuid4().hex
        self._start_time = time.perf_counter()
        self._admitted_call: AdmittedCall | None = None
        self._claim: Claim | None = None
        self._write_sent = False
        self._request_id: str | None = None
        self._refused_by: str | None = None
        self._answered_ids: dict[str, Any] = {}
        """The ids in the answer of a write, such as that of a customer who was made, by `answer.` and their name."""
        self._call_approval = CallApproval(
            services, current_caller, ctx, self._params, withdrawal=lambda: self._record("decided", "withdrawn")
        )
        self._recording: Recording = "stored" if services.refuse_unrecorded_reads else "stored soon"
        self.outcome = "done"
        self.tool_name = tool.name if tool else "unknown"

    async def count(self) -> None:
        """Counts the call. Raises ToolFailure if it is over a limit, or if too many calls are not on record yet."""
        if self._services.recorder.is_full:
            self._recording = "in a sum"
            raise Unrecorded("The call cannot be put on record: too many records wait for the store")
        await self._services.limiter.count_call(self._caller)

    async def admit(self, tool: Tool) -> AdmittedCall:
        """Counts the call and checks it. Raises ToolFailure."""
        await self.count()
        self._admitted_call = admit(tool, self._services.gate, self._caller, self._arguments, self)
        return self._admitted_call

    async def carry_out(self, tool: Tool) -> CallResult:
        """Returns the tool's answer, a question to a person, or a preview. Raises ToolFailure and ClientError."""
        try:
            admitted_call = await self.admit(tool)
            return await self._carry_out_admitted(tool, admitted_call)
        except Ask as question:
            self.outcome = "asked"
            return self._file_state.with_question(question.result)
        except WritePreview as preview:
            self.outcome = "previewed"
            return preview_result(preview.write, self._admitted_call.notices if self._admitted_call else [])

    async def _carry_out_admitted(self, tool: Tool, admitted_call: AdmittedCall) -> CallToolResult:
        """Does the call, or follows the approval that answers for it."""
        approval = await self._call_approval.approval_of(self._caller, admitted_call)
        try:
            if approval is not None:
                result = await self._call_approval.follow(approval, tool)
            else:
                return await self._do(admitted_call)
        except WriteWaits as waits:
            result = await self._call_approval.begin(waits, tool)
        self.outcome = "replayed"
        return result

    async def _do(self, admitted_call: AdmittedCall) -> CallToolResult:
        """Does the call. With an idempotency key it is done once."""
        key = self._key_of(admitted_call)
        if key is None:
            return result_of(await self._answer(admitted_call))
        return await self._do_once(admitted_call, key)

    def _key_of(self, admitted_call: AdmittedCall) -> WriteKey | None:
        """Returns the key under which the write is done once, None for a call that has none."""
        return WriteKey.of_call(self._services.keys, self._caller.principal, admitted_call)

    @property
    def approval_id(self) -> str | None:
        """The approval that the call belongs to."""
        return self._call_approval.approval_id

    # CallOversight

    def caller(self) -> Caller:
        return self._current_caller()

    async def confirm(self, write: PendingWrite) -> None:
        """Asks in the first of the caller's ways that is possible here."""
        dealer_name = await self._services.gate.dealer_name(write.caller, write.dealer)
        problems = []
        for way in write.caller.confirm_by:
            if way == "form":
                problem = form_problem(self.ctx)
                if problem is None:
                    await self._ask_by_form(write, dealer_name)
                    return
            else:
                problem = await self._call_approval.problem(way, write)
                if problem is None:
                    await self._call_approval.ask(way, write, self._admitted(), self._arguments.values, dealer_name)
            problems.append(problem)
        raise NotConfirmed(f"{write.verdict.description}, and {'; '.join(problems)}")

    async def _ask_by_form(self, write: PendingWrite, dealer_name: str) -> None:
        if isinstance(self.ctx, PageOrigin):
            raise RuntimeError("there is no client to ask")  # noqa: TRY004 - a defect of ours
        confirmation = Confirmation(
            self.ctx,
            self._params,
            key=self._services.keys.confirmations,
            store=self._services.store,
            lifetime=self._services.timing.confirmation,
        )
        await confirmation.obtain(write, dealer_name)

    async def before_send(self, write: PendingWrite) -> None:
        await self._services.limiter.count_write(write.caller)
        await self._services.store.record_sent(self._record("sent", "sent"), self._claim)
        self._write_sent = True
        self._recording = "stored"

    def on_answer(self, answer: Answer) -> None:
        self._request_id = answer.request_id

    # Failures: each method returns the text for the caller, and notes the outcome for the audit.

    def failure(self, error: ToolFailure | ClientError) -> Failure:
        """Returns the failure for a refusal, or for an error of an upstream."""
        result = failure(error, self._tool, self._arguments.values)
        self.outcome = result.kind
        if isinstance(error, ClientError):
            self._request_id = error.request_id
        if isinstance(error, AccessRefused | Limited):
            self._refused_by = error.setting
            if isinstance(error, OverLimit):
                self._recording = "in a sum"
        return self._with_next_step(result)

    def store_failure(self, error: StoreError) -> Failure:
        """Returns the failure for a store that does not work.

        If that happens after the answer of a write, the log says so and the caller gets the answer. See `_settle`.
        """
        reason = self._store_reason(error)
        self._recording = "stored later"
        if not self._write_sent:
            return self.failure(Unrecorded(f"The call cannot be put on record: {reason}"))
        self.outcome = "outcome_unknown"
        return self._with_next_step(Failure("outcome_unknown", f"The write was sent, and not put on record: {reason}."))

    def _store_reason(self, error: StoreError) -> str:
        """Logs the error, and returns what the caller may read of it: the text names the store's file or host."""
        if isinstance(error, ClaimLost):
            return str(error)
        log.error("the store failed on a call", extra={"call": self._id, "reason": str(error)})
        if isinstance(error, StoreBusy):
            return "others kept the store busy for too long"
        return "the store does not work"

    def defect(self) -> Failure:
        """Returns the failure for a defect of this server."""
        self.outcome = "defect"
        if self._write_sent:
            return self._with_next_step(
                Failure("outcome_unknown", "The write was sent, and the server failed on its answer.")
            )
        return Failure("upstream", "The server failed on this call; its operator finds why in the log.")

    def interruption(self) -> Failure:
        """Returns the failure for a server that stops during the call. The audit has the call as cancelled."""
        if self._write_sent:
            return self._with_next_step(
                Failure("outcome_unknown", "The write was sent, and the server stopped on its answer.")
            )
        return Failure("upstream", "The server is stopping, and ended this call. Nothing was written.")

    def _admitted(self) -> AdmittedCall:
        if self._admitted_call is None:
            raise RuntimeError("the call was not admitted")
        return self._admitted_call

    def _with_next_step(self, result: Failure) -> Failure:
        """Adds the call's notices, and for an unknown outcome how the caller can find out if the write was done."""
        if self._admitted_call is None:
            return result
        way = [f"{self._admitted_call.tool.if_unknown}."] if result.kind == "outcome_unknown" else []
        return replace(result, text=" ".join([result.text, *way, *self._admitted_call.notices]))

    async def end(self) -> Failure | None:
        """Logs and records the call, even if it was cancelled. If it returns a failure, that replaces the answer."""
        with anyio.CancelScope(shield=True):
            replacement = await self._end()
        return replacement  # noqa: RET504 - to mypy, the scope above may swallow a return

    async def _end(self) -> Failure | None:
        self._report_left_out()
        milliseconds = round((time.perf_counter() - self._start_time) * 1000)
        self._services.observer.on_call_end(self.tool_name, self.outcome, self._refused_by, milliseconds / 1000)
        log.info(
            "call",
            extra={
                "call": self._id,
                "tool": self.tool_name,
                "caller": self._caller.name,
                **self._marks_of_person(),
                "protocol": self.ctx.protocol_version,
                "outcome": self.outcome,
                "ms": milliseconds,
            },
        )
        return await self._put_on_record(self._record("ended", self.outcome, milliseconds))

    async def _put_on_record(self, record: AuditRecord) -> Failure | None:
        recorder = self._services.recorder
        if self._recording == "stored later":
            recorder.keep(record)
        elif self._recording == "stored":
            try:
                await recorder.put(record)
            except StoreError as error:
                return self._keep_record(record, error)
        elif self._recording == "stored soon" or not self._services.refusals.count(record):
            await recorder.put_soon(record)
        return None

    def _keep_record(self, record: AuditRecord, error: StoreError) -> Failure | None:
        """Keeps a record that the store does not take. Only a read is refused: a write that was sent has its answer."""
        reason = self._store_reason(error)
        if self._write_sent:
            self._services.recorder.keep(record, error)
            return None
        self._services.recorder.keep(replace(record, outcome=Unrecorded.kind), error)
        return failure(Unrecorded(f"The call cannot be put on record: {reason}"))

    def _marks_of_person(self) -> dict[str, str]:
        """Returns a keyed hash of a person, whose id at a provider may be an email address. The audit has the id."""
        return {} if self._caller.person is None else {"person": self._services.keys.hash(self._caller.person)}

    def _report_left_out(self) -> None:
        for kind, count in (self._admitted_call.left_out if self._admitted_call else {}).items():
            self._services.observer.on_left_out(kind, count)
            log.warning(
                "left out of an answer",
                extra={"call": self._id, **kind._asdict(), "is_row": kind.is_row, "count": count},
            )

    async def _answer(self, admitted_call: AdmittedCall) -> AnswerContent:
        answer = await self._run(admitted_call)
        notices, left_out = admitted_call.notices, admitted_call.left_out
        text = "\n".join(filter(None, [answer.text(), *notices, left_out_text(left_out)]))
        if len(text) > LONGEST_ANSWER:
            kind = OutcomeUnknown if self._write_sent else MalformedAnswer
            name = admitted_call.tool.name
            raise kind(name, f"the answer is larger than {LONGEST_ANSWER} characters")
        fields = answer.structured_content()
        if admitted_call.tool.writes:
            self._answered_ids = {f"answer.{name}": value for name, value in fields.items() if name.endswith("_id")}
        content = fields | ({"notices": notices} if notices else {}) | left_out_of(left_out)
        return AnswerContent(text, content, answer.links() if self._caller.links else ())

    async def _run(self, admitted_call: AdmittedCall) -> ToolAnswer:
        """Runs the tool, for which a person may have to hand over a file first."""
        grant, tool = admitted_call.grant, admitted_call.tool
        seal = Seal.bound_to(
            self._services.keys.confirmations, "file", self._caller.principal, admitted_call.dealer or "", tool.name
        )
        waiting = grant.uploads.waiting if isinstance(grant, Grant) else None
        reply = self._file_state.reply(seal)
        if reply is not None:
            try:
                return await self._run_with_file(admitted_call, reply.id)
            except FileWanted as request:  # nobody else has the link where the client did not open the page
                raise FileWanted(request.handle, reply.url, request.until) from None
        try:
            return await admitted_call.run()
        except FileWanted as request:
            if waiting is None or isinstance(self.ctx, PageOrigin):
                raise
            handle = await obtain_file(self.ctx, request, seal, waiting, look_every=self._services.timing.file_seconds)
        return await self._run_with_file(admitted_call, handle)

    async def _run_with_file(self, admitted_call: AdmittedCall, handle: str) -> ToolAnswer:
        self._arguments = replace(self._arguments, values={**self._arguments.values, "upload": handle})
        return await admitted_call.with_file(handle).run()

    async def _do_once(self, admitted_call: AdmittedCall, key: WriteKey) -> CallToolResult:
        """Carries out a write with a key, or replays the answer of an earlier call with the key."""
        store, seal = self._services.store, key.seal(self._services.keys)
        async with self._services.idempotency_keys.claim(store, key) as claim:
            if isinstance(claim, Replay):
                self.outcome = "replayed"
                return replayed_result(seal, claim.result, self._current_caller())
            return await self._do_claimed(admitted_call, claim, seal)

    async def _do_claimed(self, admitted_call: AdmittedCall, claim: Claim, seal: Seal) -> CallToolResult:
        self._claim, store = claim, self._services.store
        try:
            answer = await self._answer(admitted_call)
        except BaseException as error:
            # A documented refusal means that nothing was done. After any other error, a write that was sent may
            # have been done.
            is_unknown = self._write_sent and (isinstance(error, OutcomeUnknown) or not isinstance(error, ClientError))
            await self._settle(store.leave_unknown(claim) if is_unknown else store.release(claim))
            raise
        content = json.dumps([asdict(self.reader()), answer.text, answer.structured_content])
        await self._settle(store.finish(claim, seal.seal(content).encode()))
        return result_of(answer)

    def reader(self) -> Reader:
        """Returns a reader who may see all of the answer. The caller's rights may have changed during the call."""
        return self._caller.reader.with_rights_of(self._current_caller().reader)

    async def _settle(self, claim_end: Awaitable[None]) -> None:
        """Ends the claim, even if the call is cancelled. A claim that the store cannot end expires as unknown."""
        try:
            with anyio.CancelScope(shield=True):
                await claim_end
        except StoreError as error:
            log.error("idempotency key not settled", extra={"call": self._id, "reason": str(error)})

    def _record(
        self, phase: Literal["sent", "ended", "decided"], outcome: str, milliseconds: int | None = None
    ) -> AuditRecord:
        setting = self._refused_by or (verdict(self._caller, self._tool).setting if self._tool else "")
        properties = self._tool.input_schema["properties"] if self._tool else {}
        plain_arguments = self._admitted_call.plain_arguments if self._admitted_call else {}
        return AuditRecord(
            call_id=self._id,
            phase=phase,
            time=datetime.now(UTC),
            caller=self._caller.name,
            principal=self._caller.principal,
            client=client_name(self.ctx),
            protocol=self.ctx.protocol_version,
            tool=self.tool_name,
            dealer=self._admitted_call.dealer if self._admitted_call else None,
            verdict="allowed" if self._tool is not None and self._refused_by is None else "refused",
            setting=setting,
            outcome=outcome,
            upstream_request_id=self._request_id,
            latency_ms=milliseconds,
            arguments={
                # Other names of arguments are the caller's own text, and stay out.
                name: self._services.keys.hash(plain_arguments.get(name, value))
                for name, value in [*self._arguments.values.items(), *self._answered_ids.items()]
                if name in properties or name in self._answered_ids
            },
            approval=self.approval_id,
        )

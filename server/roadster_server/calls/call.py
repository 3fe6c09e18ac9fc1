"""One call, from its admission to its answer or failure."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from dataclasses import asdict, replace
from typing import Any

import anyio
from mcp_types import CallToolResult, InputResponseRequestParams

from roadster_client import Answer, ClientError, MalformedAnswer, OutcomeUnknown, Reader
from roadster_server.store import Claim, Replay, StoreError
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
)

from .approvals.call_approval import CallApproval, WriteWaits
from .approvals.write_keys import WriteKey
from .call_record import CallRecord
from .context import Ask, CallContext, CallResult, CallServices, CurrentCaller, PageOrigin
from .limiter import OverLimit
from .questions.confirmation import Confirmation, form_problem
from .questions.file_question import FileState, obtain_file
from .results import LONGEST_ANSWER, AnswerContent, preview_result, replayed_result, result_of


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
        call_arguments = read_arguments(arguments, tool.arguments) if tool else ReadArguments({**arguments}, {})
        self.record = CallRecord(services, self._caller, ctx, tool, call_arguments)
        self._file_state = FileState(params)
        self._params = self._file_state.rest
        self._claim: Claim | None = None
        self._call_approval = CallApproval(services, current_caller, ctx, self._params, self.record)

    async def count(self) -> None:
        """Counts the call. Raises ToolFailure if it is over a limit, or if too many calls are not on record yet."""
        if self._services.recorder.is_full:
            self.record.recording = "in a sum"
            raise Unrecorded("The call cannot be put on record: too many records wait for the store")
        await self._services.limiter.count_call(self._caller)

    async def admit(self, tool: Tool) -> AdmittedCall:
        """Counts the call and checks it. Raises ToolFailure."""
        await self.count()
        admitted_call = admit(tool, self._services.gate, self._caller, self.record.arguments, self)
        self.record.admitted_call, self.record.dealer = admitted_call, admitted_call.dealer
        return admitted_call

    async def carry_out(self, tool: Tool) -> CallResult:
        """Returns the tool's answer, a question to a person, or a preview. Raises ToolFailure and ClientError."""
        try:
            admitted_call = await self.admit(tool)
            return await self._carry_out_admitted(tool, admitted_call)
        except Ask as question:
            self.record.outcome = "asked"
            return self._file_state.with_question(question.result)
        except WritePreview as preview:
            self.record.outcome = "previewed"
            return preview_result(preview.write, self.record.admitted_call.notices if self.record.admitted_call else [])

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
        self.record.outcome = "replayed"
        return result

    async def _do(self, admitted_call: AdmittedCall) -> CallToolResult:
        """Does the call. With an idempotency key it is done once."""
        key = self._key_of(admitted_call)
        if key is None:
            return result_of(await self._answer(admitted_call))
        return await self._do_once(admitted_call, key)

    def _key_of(self, admitted_call: AdmittedCall) -> WriteKey | None:
        """Returns the key under which the write is done once, None for a call that has none."""
        reply = self._file_state.reply(self._file_seal(admitted_call))
        if reply is not None and admitted_call.idempotency_key is None:
            admitted_call = admitted_call.with_file(reply.id)  # its handle is the key, as where the caller names it
        return WriteKey.of_call(self._services.keys, self._caller.principal, admitted_call)

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
                    await self._call_approval.ask(
                        way, write, self._admitted(), self.record.arguments.values, dealer_name
                    )
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
        await self._services.store.record_sent(self.record.of_phase("sent", "sent"), self._claim)
        self.record.write_sent = True
        self.record.recording = "stored"

    def on_answer(self, answer: Answer) -> None:
        self.record.request_id = answer.request_id

    # Failures: each method returns the text for the caller, and notes the outcome for the audit.

    def failure(self, error: ToolFailure | ClientError) -> Failure:
        """Returns the failure for a refusal, or for an error of an upstream."""
        result = failure(error, self._tool, self.record.arguments.values)
        self.record.outcome = result.kind
        if isinstance(error, ClientError):
            self.record.request_id = error.request_id
        if isinstance(error, AccessRefused | Limited):
            self.record.refused_by = error.setting
            if isinstance(error, OverLimit):
                self.record.recording = "in a sum"
        return self._with_next_step(result)

    def store_failure(self, error: StoreError) -> Failure:
        """Returns the failure for a store that does not work.

        If that happens after the answer of a write, the log says so and the caller gets the answer. See `_settle`.
        """
        reason = self.record.store_reason(error)
        self.record.recording = "stored later"
        if not self.record.write_sent:
            return self.failure(Unrecorded(f"The call cannot be put on record: {reason}"))
        self.record.outcome = "outcome_unknown"
        return self._with_next_step(Failure("outcome_unknown", f"The write was sent, and not put on record: {reason}."))

    def defect(self) -> Failure:
        """Returns the failure for a defect of this server."""
        self.record.outcome = "defect"
        if self.record.write_sent:
            return self._with_next_step(
                Failure("outcome_unknown", "The write was sent, and the server failed on its answer.")
            )
        return Failure("upstream", "The server failed on this call; its operator finds why in the log.")

    def interruption(self) -> Failure:
        """Returns the failure for a server that stops during the call. The audit has the call as cancelled."""
        if self.record.write_sent:
            return self._with_next_step(
                Failure("outcome_unknown", "The write was sent, and the server stopped on its answer.")
            )
        return Failure("upstream", "The server is stopping, and ended this call. Nothing was written.")

    def _admitted(self) -> AdmittedCall:
        if self.record.admitted_call is None:
            raise RuntimeError("the call was not admitted")
        return self.record.admitted_call

    def _with_next_step(self, result: Failure) -> Failure:
        """Adds the call's notices, and for an unknown outcome how the caller can find out if the write was done."""
        admitted_call = self.record.admitted_call
        if admitted_call is None:
            return result
        way = f"{admitted_call.tool.if_unknown}."
        # The failure of an earlier call has the way already.
        ways = [way] if result.kind == "outcome_unknown" and way not in result.text else []
        return replace(result, text=" ".join([result.text, *ways, *admitted_call.notices]))

    async def _answer(self, admitted_call: AdmittedCall) -> AnswerContent:
        answer = await self._run(admitted_call)
        notices, left_out = admitted_call.notices, admitted_call.left_out
        text = "\n".join(filter(None, [answer.text(), *notices, left_out_text(left_out)]))
        if len(text) > LONGEST_ANSWER:
            kind = OutcomeUnknown if self.record.write_sent else MalformedAnswer
            name = admitted_call.tool.name
            raise kind(name, f"the answer is larger than {LONGEST_ANSWER} characters")
        fields = answer.structured_content()
        if admitted_call.tool.writes:
            ids = {f"answer.{name}": value for name, value in fields.items() if name.endswith("_id")}
            self.record.answered_ids = ids
        content = fields | ({"notices": notices} if notices else {}) | left_out_of(left_out)
        return AnswerContent(text, content, answer.links() if self._caller.links else ())

    async def _run(self, admitted_call: AdmittedCall) -> ToolAnswer:
        """Runs the tool, for which a person may have to hand over a file first."""
        grant, seal = admitted_call.grant, self._file_seal(admitted_call)
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

    def _file_seal(self, admitted_call: AdmittedCall) -> Seal:
        """Returns the seal of the state that names the file of a repeated call."""
        key, tool = self._services.keys.confirmations, admitted_call.tool.name
        return Seal.bound_to(key, "file", self._caller.principal, admitted_call.dealer or "", tool)

    async def _run_with_file(self, admitted_call: AdmittedCall, handle: str) -> ToolAnswer:
        arguments = self.record.arguments
        self.record.arguments = replace(arguments, values={**arguments.values, "upload": handle})
        return await admitted_call.with_file(handle).run()

    async def _do_once(self, admitted_call: AdmittedCall, key: WriteKey) -> CallToolResult:
        """Carries out a write with a key, or replays the answer of an earlier call with the key."""
        store, seal = self._services.store, key.seal(self._services.keys)
        async with self._services.idempotency_keys.claim(store, key) as claim:
            if isinstance(claim, Replay):
                self.record.outcome = "replayed"
                return replayed_result(seal, claim.result, self._current_caller())
            return await self._do_claimed(admitted_call, claim, seal)

    async def _do_claimed(self, admitted_call: AdmittedCall, claim: Claim, seal: Seal) -> CallToolResult:
        self._claim, store = claim, self._services.store
        try:
            answer = await self._answer(admitted_call)
        except BaseException as error:
            # A documented refusal means that nothing was done. After any other error, a write that was sent may
            # have been done.
            is_unknown = self.record.write_sent and (
                isinstance(error, OutcomeUnknown) or not isinstance(error, ClientError)
            )
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
            log.error("idempotency key not settled", extra={"call": self.record.call_id, "reason": str(error)})

"""The approval of one call, on a page or a card: asked for, followed and awaited."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NoReturn

from mcp_types import CallToolResult, InputResponseRequestParams

from roadster_client import Request
from roadster_server.calls.call_record import CallRecord
from roadster_server.calls.context import CallContext, CallServices, CurrentCaller, PageOrigin, client_name, has_views
from roadster_server.calls.progress import set_step
from roadster_server.calls.questions.confirmation import digest_of, question_of
from roadster_server.calls.questions.page_question import (
    PageAnswer,
    PageQuestion,
    ask_to_open,
    can_open_pages,
    page_reply,
    tell_complete,
)
from roadster_server.store import Approval, ApprovalState, ApprovalWay
from roadster_server.turns import turn_given_back
from roadster_tools import Access, AdmittedCall, Caller, PendingWrite, Seal, Tool, verdict
from roadster_tools.files.files_of_writes import file_in_words

from .content import ShownFile, ShownWrite, WaitingCall

_SENT: frozenset[ApprovalState] = frozenset({"approved", "done", "unknown"})
"""States in which the write was sent, or is being sent."""


class WriteWaits(Exception):
    """Ends the work on a write that waits from now on. So the call holds no idempotency key while it waits."""

    def __init__(self, approval: Approval, heading: str) -> None:
        super().__init__(approval.id)
        self.approval = approval
        self.heading = heading


class CallApproval:
    """The approval that one call asks for or follows. The record of the call names it."""

    def __init__(
        self,
        services: CallServices,
        current_caller: CurrentCaller,
        ctx: CallContext,
        params: InputResponseRequestParams,
        record: CallRecord,
    ) -> None:
        self._services = services
        self._current_caller = current_caller
        self._ctx = ctx
        self._params = params
        self._record = record

    async def approval_of(self, caller: Caller, call: AdmittedCall) -> Approval | None:
        """Returns the approval that answers for this call already, None where the call is to be carried out.

        Only writes have approvals. If the operator has opened the tool since, one whose write was not sent answers for
        nothing, and one that still waits is taken back: a yes in it would send the write a second time.
        """
        if not call.tool.writes:
            return None
        level = verdict(caller, call.tool).level
        if level not in (Access.CONFIRM, Access.WRITE):
            return None
        approval = await self._services.approvals.of_call(caller, call)
        if level == Access.CONFIRM or approval is None:
            return approval
        if approval.state == "pending":
            approval = await self._take_back(approval)
        return approval if approval.state in _SENT else None

    async def _take_back(self, approval: Approval) -> Approval:
        """Returns the approval as it is then: somebody may decide at the same moment."""
        self._record.approval_id = approval.id
        await self._services.approvals.withdraw(approval, self._record.of_phase("decided", "withdrawn"))
        self._record.approval_id = None  # the write that follows needs no approval
        return await self._services.store.approval(approval.id) or approval

    async def problem(self, way: ApprovalWay, write: PendingWrite) -> str | None:
        """Returns why the write cannot wait for an answer in this way, None where it can."""
        if way == "card":
            return self._services.approvals.cards.problem(write.caller, write.tool, host_has_views=has_views(self._ctx))
        return await self._services.approvals.problem(write)

    async def ask(
        self,
        way: ApprovalWay,
        write: PendingWrite,
        call: AdmittedCall,
        arguments: Mapping[str, Any],
        dealer_name: str,
    ) -> NoReturn:
        """Stores the write. Raises WriteWaits, NotConfirmed where it cannot wait, and OverLimit."""
        services = self._services
        await services.limiter.count_question(write.caller)
        about = await write.request.about()
        question = question_of(write, about, dealer_name)
        client, requester = client_name(self._ctx), services.requesters
        approval = await services.approvals.ask(
            way,
            services.timing.confirmation if way == "card" else services.approvals.page_lifetime,
            write,
            call,
            ShownWrite(
                question.heading,
                question.fields,
                requester.name_of(write.caller),
                client,
                await _file_of(write.request),
            ),
            WaitingCall(
                arguments,
                digest_of(write.request, about),
                requester.describe(write.caller),
                client,
                self._ctx.protocol_version,
            ),
        )
        raise WriteWaits(approval, question.heading)

    async def begin(self, waits: WriteWaits, tool: Tool) -> CallToolResult:
        """Asks a person to open a page where the client can, and goes on as `follow` does. Raises Ask too."""
        approval, ctx = waits.approval, self._ctx
        self._record.approval_id = approval.id
        if approval.way == "card" or isinstance(ctx, PageOrigin) or not can_open_pages(ctx):
            return await self._end(approval, "not opened", tool)
        message = f"{waits.heading} Open the page to see it whole, and to say yes or no there."
        question = PageQuestion(approval.id, message, await self._services.approvals.url(approval))
        answer = await ask_to_open(ctx, question, self._seal(approval), self._services.timing.confirmation)
        return await self._end(approval, answer, tool)

    async def follow(self, approval: Approval, tool: Tool) -> CallToolResult:
        """Returns the answer of an approved write. Raises ToolFailure for all else, such as WaitingForPerson."""
        self._record.approval_id = approval.id
        reply = page_reply(self._params, self._seal(approval))
        is_answered = reply is not None and reply.id == approval.id
        return await self._end(approval, reply.answer if reply is not None and is_answered else "not opened", tool)

    async def _end(self, approval: Approval, answer: PageAnswer, tool: Tool) -> CallToolResult:
        approvals = self._services.approvals
        if answer == "declined":
            await approvals.withdraw(approval, self._record.of_phase("decided", "withdrawn"))
            approval = await self._services.store.approval(approval.id) or approval
        elif answer == "opened":
            set_step("waiting for a person to decide on the page")
            with turn_given_back():
                approval = await approvals.wait(approval, self._services.timing.page_seconds)
            if approval.state not in ("pending", "approved") and not isinstance(self._ctx, PageOrigin):
                await tell_complete(self._ctx, approval.id)
        if approval.way == "card" and approval.state == "pending":
            raise approvals.cards.waiting(approval, tool, self._current_caller(), host_has_views=has_views(self._ctx))
        return await approvals.result(approval, self._current_caller(), tool)

    def _seal(self, approval: Approval) -> Seal:
        return Seal.bound_to(self._services.keys.confirmations, approval.principal, approval.dealer, approval.tool)


async def _file_of(request: Request) -> ShownFile | None:
    file = None if request.content is None else request.content.file()
    return None if file is None else ShownFile(await file_in_words(file), sha256(file).hexdigest())

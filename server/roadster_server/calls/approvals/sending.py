"""The write that is sent after a yes.

It is the stored call again, under a guard that lets only what was shown pass.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict

from mcp_types import CallToolResult, InputRequiredResult, InputResponseRequestParams

from roadster_server.calls.call import Call
from roadster_server.calls.calls import Calls
from roadster_server.calls.context import CallResult, CallServices, CurrentCaller, PageOrigin
from roadster_server.calls.questions.confirmation import digest_of
from roadster_server.calls.results import text_of
from roadster_server.store import Approval
from roadster_tools import (
    TOOLS,
    AccessRefused,
    AdmittedCall,
    Failure,
    NotConfirmed,
    PendingWrite,
    Tool,
    Unrecorded,
    Unsealable,
    WritePreview,
)

from .content import WaitingCall
from .write_keys import WriteKey

_ASK_ANEW = "ask anew, with a new idempotency_key"


async def send_approved(
    calls: Calls,
    approval: Approval,
    requester_of: Callable[[WaitingCall], Awaitable[CurrentCaller]],
    check_approver: Callable[[], None],
) -> CallToolResult | Failure:
    """Sends the write of an approval that has its yes, and stores what becomes of it.

    `requester_of` returns the requester with the rights of the moment. `check_approver` raises ToolFailure where the
    approver may not approve it any more.
    """
    services, tool = calls.services, TOOLS[approval.tool]
    approvals = services.approvals
    try:
        waiting = approvals.seals.call(approval)
    except Unsealable:
        text = "It cannot be read any more, because the server got another API key. Nothing was sent."
        failure = Failure("upstream", text)
        await approvals.finish_failed(approval, failure)
        return failure
    call = ApprovedCall(services, await requester_of(waiting), tool, approval, waiting, check_approver)
    outcome = await calls.carry_out(call, tool)
    if isinstance(outcome, InputRequiredResult):
        raise RuntimeError("an approved write asks nobody")  # noqa: TRY004 - a defect of ours
    if isinstance(outcome, Failure):
        await approvals.finish_failed(approval, outcome)
    else:
        content = outcome.structured_content or {}
        await approvals.finish_done(approval, asdict(call.reader()), text_of(outcome), content)
    return outcome


class ApprovedCall(Call):
    """The call of a write that a person approved. It has the rights that its requester has now."""

    def __init__(
        self,
        services: CallServices,
        requester: CurrentCaller,
        tool: Tool,
        approval: Approval,
        waiting: WaitingCall,
        check_approver: Callable[[], None],
    ) -> None:
        origin = PageOrigin(waiting.client, waiting.protocol)
        super().__init__(services, requester, origin, tool, waiting.arguments, InputResponseRequestParams())
        self.record.approval_id = approval.id
        self._waiting = waiting
        self._approved = approval
        self._check_approver = check_approver
        self._is_as_shown = False

    async def count(self) -> None:
        """Raises ToolFailure where the call cannot be put on record. It was counted as a call when it was asked for."""
        if self._services.recorder.is_full:
            raise Unrecorded("The call cannot be put on record: too many records wait for the store")

    async def carry_out(self, tool: Tool) -> CallResult:
        try:
            return await self._do(await self.admit(tool))
        except WritePreview as preview:
            current = preview.write.verdict
            raise AccessRefused(f"by now {current.description}", setting=current.setting) from None

    def _key_of(self, admitted_call: AdmittedCall) -> WriteKey:
        del admitted_call  # it may have a file by now, which the call that asked did not have
        return WriteKey(self._waiting.scope, self._waiting.hash)

    async def confirm(self, write: PendingWrite) -> None:
        """Raises NotConfirmed unless this is exactly what the approver saw."""
        if digest_of(write.request, await write.request.about()) != self._waiting.digest:
            raise NotConfirmed(f"what it is about has changed since it was shown; {_ASK_ANEW}")
        self._is_as_shown = True

    async def before_send(self, write: PendingWrite) -> None:
        if not self._is_as_shown:
            # The operator has opened the tool since. Then the caller may send the same write again without a yes.
            current = write.verdict
            raise AccessRefused(f"by now {current.description}, which needs no approval", setting=current.setting)
        approval = await self._services.store.approval(self._approved.id)
        if approval is None or approval.state != "approved":
            raise NotConfirmed(f"the approval has ended, because sending took too long to begin; {_ASK_ANEW}")
        self._check_approver()
        await super().before_send(write)

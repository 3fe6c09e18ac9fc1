"""The desk at which people say yes or no, once. After a yes the write is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from uuid import uuid4

import anyio

from roadster_server.calls.calls import Calls
from roadster_server.calls.context import CurrentCaller
from roadster_server.calls.questions.confirmation import field_lines
from roadster_server.settings.approving import needs_two_people
from roadster_server.settings.settings import Settings
from roadster_server.store import Approval, ApprovalState, AuditRecord
from roadster_tools import TOOLS, AccessRefused, Caller, File, Tool, ToolFailure, Unsealable, approval_verdict
from roadster_tools.files.files import content_type
from roadster_tools.files.files_of_writes import file_of_call

from .content import ShownWrite
from .reports import time_of
from .sending import send_approved

_PAGE_ENTRIES = 50

_STATUS_TEXTS = {
    "waiting": "Waits for a yes or a no.",
    "expired": "Nobody decided in time. Nothing was sent.",
    "approved": "Approved, and being sent. Open this page again to see what becomes of it.",
    "declined": "Declined. Nothing was sent.",
    "withdrawn": "Taken back by the side that asked. Nothing was sent.",
    "done": "Approved, and done.",
    "failed": "Approved, and not done.",
    "unknown": "Approved and sent, and the answer was lost. It is not sent again.",
}


_SIGNS_IN = "redirect_url"
"""A field of answers that signs in as the customer. No page shows it, because nobody needs it to decide."""


class DecisionRefused(Exception):
    """The person may not decide this, or nobody can any more. The text is for them."""


class FileNotThere(Exception):
    """The file of a write cannot be shown: it, or the right of the side that asked, is gone."""


@dataclass(frozen=True)
class DeskEntry:
    """An approval as a person sees it."""

    approval: Approval
    question: ShownWrite | None
    """None where it cannot be read, because the API key was replaced since."""
    tool: Tool
    refusal: str | None
    """Why this person may not decide, None where they may."""
    reason: str = ""
    answer: tuple[tuple[str, str], ...] = ()
    """The label and the value of each field of the answer, written as those of the question."""
    failure: str = ""
    """The sentences about a write that was not done, or whose answer was lost."""

    @property
    def expires_at(self) -> datetime:
        return time_of(self.approval.expires)

    @property
    def created_at(self) -> datetime:
        return time_of(self.approval.created)

    @property
    def decided_at(self) -> datetime | None:
        return None if self.approval.decided is None else time_of(self.approval.decided)

    @property
    def status(self) -> str:
        """`waiting`, `expired`, or the state."""
        if self.approval.state != "pending":
            return self.approval.state
        return "waiting" if datetime.now(UTC) < self.expires_at else "expired"

    @property
    def status_text(self) -> str:
        return _STATUS_TEXTS[self.status]

    @property
    def is_to_decide(self) -> bool:
        return self.status == "waiting" and self.refusal is None and self.question is not None


@dataclass(frozen=True)
class DeskPage:
    """A page of a list of approvals. `last` is the id of its last one, None where no more follow."""

    entries: list[DeskEntry]
    last: str | None


class ApprovalDesk:
    """The approvals in front of people."""

    def __init__(self, calls: Calls, settings: Callable[[], Settings]) -> None:
        self._calls = calls
        self._services = calls.services
        self._approvals = calls.services.approvals
        self._settings = settings

    async def waiting(self, caller: Caller, after: str | None) -> DeskPage:
        """Returns what waits for people such as this one, the first to expire first.

        `after` is the id of the last one of the page before.
        """
        approvals = await self._services.store.waiting_approvals(
            caller.dealers, _approves(caller), now=datetime.now(UTC), most=_PAGE_ENTRIES + 1, after=after
        )
        return self._page(approvals, caller)

    async def decided(self, caller: Caller, after: str | None) -> DeskPage:
        """Returns what was decided in the last day, the newest decision first."""
        approvals = await self._services.store.decided_approvals(
            caller.dealers, _approves(caller), now=datetime.now(UTC), most=_PAGE_ENTRIES + 1, after=after
        )
        return self._page(approvals, caller)

    async def count_waiting(self, caller: Caller) -> int:
        """Returns how many approvals `waiting` has on all its pages."""
        return await self._services.store.count_waiting_approvals(
            caller.dealers, _approves(caller), now=datetime.now(UTC)
        )

    def _page(self, approvals: Sequence[Approval], caller: Caller) -> DeskPage:
        entries = [self._entry(approval, caller) for approval in approvals[:_PAGE_ENTRIES]]
        return DeskPage(entries, entries[-1].approval.id if len(approvals) > _PAGE_ENTRIES else None)

    async def entry(self, caller: Caller, approval_id: str) -> DeskEntry | None:
        """Returns one approval to somebody who may approve such writes, or asked for it. None for all others."""
        approval = await self._page_approval(approval_id)
        if approval is None:
            return None
        is_own = approval.principal == caller.principal and approval.dealer in caller.dealer_set
        if not is_own and not approval_verdict(caller, TOOLS[approval.tool], approval.dealer).is_allowed:
            return None
        return self._with_end(self._entry(await self._approvals.settle(approval), caller))

    async def file(self, entry: DeskEntry) -> File:
        """Returns the file of a write that the person may decide about now. It is the one that would be sent.

        Raises DecisionRefused and FileNotThere.
        """
        approval = entry.approval
        if not entry.is_to_decide or entry.question is None or entry.question.file is None:
            raise DecisionRefused("You may look at a file while the write waits, and if you may decide about it.")
        try:
            waiting = self._approvals.seals.call(approval)
            requester = await self._services.requesters.open(waiting.requester)
            uploads = self._services.gate.uploads(requester(), entry.tool, approval.dealer)
            content = await file_of_call(entry.tool, waiting.arguments, uploads)
        except (Unsealable, ToolFailure):
            raise FileNotThere from None
        kind = content_type(content)
        if kind is None or sha256(content).hexdigest() != entry.question.file.sha256:
            raise FileNotThere
        return File(content, kind)

    async def decide(self, approver: CurrentCaller, approval_id: str, *, is_yes: bool, reason: str) -> bool:
        """Takes a decision. After a yes it sends the write, and returns once that has its end.

        Returns False where somebody else decided first, or the approval has expired. Raises DecisionRefused.
        """
        store = self._services.store
        approval = await self._page_approval(approval_id)
        if approval is None:
            raise DecisionRefused("There is no such approval.")
        refusal = self._refusal(approval, approver())
        if refusal is not None:
            raise DecisionRefused(refusal)
        reason_bytes = self._approvals.seals.seal(approval.id, "reason", reason) if reason else None
        state: ApprovalState = "approved" if is_yes else "declined"
        record, now = self._record(approval, approver(), state), datetime.now(UTC)
        with anyio.CancelScope(shield=True):  # a browser that leaves must not end the write that it approved
            is_first = await store.decide_approval(
                approval.id, state, approver().principal, reason_bytes, record, now=now
            )
            if is_first:
                self._approvals.announce(approval.id)
                if is_yes:
                    await self._send(approval, approver)
        return is_first

    async def _page_approval(self, approval_id: str) -> Approval | None:
        """Returns an approval that waits, or waited, for an answer on a page."""
        approval = await self._services.store.approval(approval_id)
        is_on_page = approval is not None and approval.way == "page" and approval.tool in TOOLS
        return approval if is_on_page else None

    async def _send(self, approval: Approval, approver: CurrentCaller) -> None:
        def check_approver() -> None:
            refusal = self._refusal(approval, approver())
            if refusal is not None:
                setting = approval_verdict(approver(), TOOLS[approval.tool], approval.dealer).setting
                raise AccessRefused("the person who said yes may not approve it any more", setting=setting)

        requesters = self._services.requesters
        await send_approved(self._calls, approval, lambda waiting: requesters.open(waiting.requester), check_approver)

    def _entry(self, approval: Approval, caller: Caller) -> DeskEntry:
        seals = self._approvals.seals
        entry = DeskEntry(approval, None, TOOLS[approval.tool], self._refusal(approval, caller))
        try:
            return replace(entry, question=seals.question(approval))
        except Unsealable:
            return entry

    def _with_end(self, entry: DeskEntry) -> DeskEntry:
        """Returns the entry with what became of the write. A list does without: an answer may be long."""
        seals, approval = self._approvals.seals, entry.approval
        try:
            entry = replace(entry, reason=seals.reason(approval))
            if approval.outcome is None:
                return entry
            if approval.state == "done":
                answer = {name: value for name, value in seals.answer(approval).items() if name != _SIGNS_IN}
                return replace(entry, answer=tuple(field_lines(answer)))
            return replace(entry, failure=seals.failure(approval)[1])
        except Unsealable:
            return entry

    def _refusal(self, approval: Approval, caller: Caller) -> str | None:
        """Returns why the person may not decide about the approval, None where they may."""
        tool = TOOLS[approval.tool]
        current = approval_verdict(caller, tool, approval.dealer)
        if not current.is_allowed:
            return f"{current.reason}."
        if approval.principal == caller.principal and needs_two_people(self._settings().approvals, tool):
            return "You asked for this yourself, and approvals.two_person wants a second person for it."
        return None

    def _record(self, approval: Approval, approver: Caller, outcome: str) -> AuditRecord:
        return AuditRecord(
            call_id=uuid4().hex,
            phase="decided",
            time=datetime.now(UTC),
            caller=approver.name,
            principal=approver.principal,
            client=f"roadster-mcp/{version('roadster-mcp')}",
            protocol="page",
            tool=approval.tool,
            dealer=approval.dealer,
            verdict="allowed",
            setting=approval_verdict(approver, TOOLS[approval.tool], approval.dealer).setting,
            outcome=outcome,
            upstream_request_id=None,
            latency_ms=None,
            arguments={},
            approval=approval.id,
        )


def _approves(caller: Caller) -> list[str]:
    """Returns the names of the tools whose writes the person may approve."""
    return [tool.name for tool in TOOLS.values() if tool.name in caller.approves or tool.toolset in caller.approves]

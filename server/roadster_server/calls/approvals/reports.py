"""The words about approvals that callers read: beside their repeated calls, and from `get_approval`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mcp_types import CallToolResult

from roadster_server.calls.results import replayed_result
from roadster_server.store import Approval, ApprovalState
from roadster_tools import (
    Caller,
    EarlierFailure,
    Failure,
    KeyOutcomeUnknown,
    Tool,
    Unsealable,
    WaitingForPerson,
)
from roadster_tools.gate.approvals import ApprovalReport, ApprovalStatus

from .content import Sealed

_STATUSES: Mapping[ApprovalState, ApprovalStatus] = {
    "approved": "sending",
    "done": "done",
    "declined": "declined",
    "withdrawn": "withdrawn",
    "failed": "failed",
    "unknown": "outcome_unknown",
}

_NEW_KEY = "to ask again for the same write, call with a new idempotency_key"

NOT_BEGUN = Failure(
    "upstream", f"The server stopped after the yes, before it sent anything. Nothing was sent; {_NEW_KEY}."
)
"""The end of a write whose sender died before it sent anything."""

LOST = Failure(
    "outcome_unknown", "The server stopped after the yes, and the write may have been sent. It is not sent again."
)
"""The end of a write whose sender died, where nobody knows how far it got."""


class _BeingSent(WaitingForPerson):
    """The write has its yes, so it waits for no person, and how much of it was sent is not known yet."""

    def message(self) -> str:
        return str(self)


class Reports:
    """The words about approvals that have been settled. `url` is that of the page, while the write waits there."""

    def __init__(self, seals: Sealed) -> None:
        self._seals = seals

    def result(self, approval: Approval, caller: Caller, tool: Tool, url: str) -> CallToolResult:
        """Returns the answer of a write that was approved and done. Raises ToolFailure for all else."""
        match approval.state:
            case "pending":
                raise _waiting_on_page(approval, url)
            case "approved":
                raise _BeingSent(
                    "A person said yes, and the write is being sent. Call again with the same arguments in a moment: "
                    "that writes nothing twice.",
                    details=_details(approval),
                )
            case "done":
                return self._done(approval, caller)
            case "unknown":
                text, way = self._failure_text(approval), f"{tool.if_unknown}."
                # The text of a write whose call has ended has the way already, that of a dead sender has none.
                raise EarlierFailure("outcome_unknown", text if way in text else f"{text} {way}")
        raise EarlierFailure(*self.ending(approval))

    def report(self, approval: Approval, caller: Caller) -> ApprovalReport:
        """Returns what `get_approval` tells the caller. It names no page."""
        status = _status(approval)
        text, answer = self._say(approval, status, caller)
        return ApprovalReport(status, approval.tool, approval.dealer, text, time_of(approval.expires), None, answer)

    def ending(self, approval: Approval) -> tuple[Any, str]:
        """Returns the kind and the text of the failure of a write that was not done."""
        try:
            if approval.state == "failed":
                kind, text = self._seals.failure(approval)
                return kind, f"A person approved this write. Then it ended so: {text}"
            reason = self._seals.reason(approval) if approval.state == "declined" else ""
        except Unsealable:
            return "not_confirmed", "What became of this write cannot be read any more. Nothing is sent."
        if approval.state == "withdrawn":
            by = "the question to open the page was declined, by the person or by a client that asks nobody"
            return "not_confirmed", f"Not confirmed: {by}. Nothing was sent; {_NEW_KEY}, only if the person wants it."
        reason = f", and wrote {json.dumps(reason, ensure_ascii=False)}" if reason else ""
        place = "the card" if approval.way == "card" else "the page"
        text = f"Not confirmed: a person declined this write on {place}{reason}. Nothing was sent; {_NEW_KEY}, only if"
        return "not_confirmed", f"{text} the person you work for wants it."

    def _failure_text(self, approval: Approval) -> str:
        """Returns the text of the failure with which an approved write ended."""
        try:
            return self._seals.failure(approval)[1]
        except Unsealable:
            return "What became of this write cannot be read any more. It is not sent again."

    def _done(self, approval: Approval, caller: Caller) -> CallToolResult:
        return replayed_result(self._seals.seal_of(approval.id, "outcome"), approval.outcome or b"", caller)

    def _say(self, approval: Approval, status: ApprovalStatus, caller: Caller) -> tuple[str, Mapping[str, Any] | None]:
        match status:
            case "waiting" if approval.way == "card":
                return "Nobody has decided yet. Ask the person to answer the card. Do not look again at once.", None
            case "waiting":
                return "Nobody has decided yet. Ask the person to open the page. Do not look again at once.", None
            case "sending":
                return "A person said yes, and the write is being sent now.", None
            case "expired":
                text = "Nobody decided in time. Nothing was sent; call the tool again if the person still wants it."
                return text, None
            case "done":
                try:
                    answer = self._done(approval, caller).structured_content
                except KeyOutcomeUnknown as error:
                    return error.message(), None
                return "A person said yes, and the write was done.", answer
            case "outcome_unknown":
                return f"A person said yes. {self._failure_text(approval)}", None
        return self.ending(approval)[1], None


def _waiting_on_page(approval: Approval, url: str) -> WaitingForPerson:
    """Returns the failure that tells a caller of the page, and how to learn what becomes of the write."""
    expires = time_of(approval.expires)
    text = (
        f"a person must approve this write on a page: {url} . Give this link to the person you work for. It is good "
        f"until {expires:%Y-%m-%d %H:%M} UTC. Once they say that it is decided, call get_approval with approval_id "
        f'"{approval.id}", or call again with the same arguments: that writes nothing twice'
    )
    return WaitingForPerson(text, details={**_details(approval), "url": url})


def _details(approval: Approval) -> dict[str, str]:
    return {"approval_id": approval.id, "expires_at": time_of(approval.expires).isoformat(timespec="seconds")}


def _status(approval: Approval) -> ApprovalStatus:
    if approval.state == "pending":
        return "waiting" if datetime.now(UTC) < time_of(approval.expires) else "expired"
    return _STATUSES[approval.state]


def time_of(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)

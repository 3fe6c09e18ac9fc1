"""The approvals of writes that wait for a person."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from roadster_tools.answers import ToolAnswer
from roadster_tools.catalogue import approval_tool
from roadster_tools.failures import NoSuchApproval
from roadster_tools.gate.approvals import ApprovalStatus
from roadster_tools.gate.gate import AccountGrant


class ApprovalAnswer(ToolAnswer):
    status: ApprovalStatus | Literal["not_found"]
    message: str
    tool: str | None = None
    dealer: str | None = None
    expires_at: str | None = Field(default=None, description="UTC, while it waits")
    url: str | None = Field(default=None, description="the page, while it waits")
    answer: dict[str, Any] | None = Field(default=None, description="of the write, once done")


@approval_tool("Status of an approval")
async def get_approval(grant: AccountGrant, approval_id: str) -> ApprovalAnswer:
    """What became of a write that waits for a person, by its approval_id. Use it when they say that they decided, not
    in a loop."""
    try:
        return await own_approval(grant, approval_id)
    except NoSuchApproval as error:
        return ApprovalAnswer(status="not_found", message=error.message())


async def own_approval(grant: AccountGrant, approval_id: str) -> ApprovalAnswer:
    """Returns what became of one of the caller's own writes. Raises NoSuchApproval."""
    report = await grant.approvals.report(approval_id)
    if report is None:
        raise NoSuchApproval("No approval of yours has this approval_id, or it expired more than a day ago")
    return ApprovalAnswer(
        status=report.status,
        message=report.text,
        tool=report.tool,
        dealer=report.dealer,
        expires_at=report.expires_at.isoformat(timespec="seconds") if report.status == "waiting" else None,
        url=report.url,
        answer=None if report.answer is None else dict(report.answer),
    )

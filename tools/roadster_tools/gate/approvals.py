"""The approvals of a caller's writes, as the tool `get_approval` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

ApprovalStatus = Literal["waiting", "sending", "done", "declined", "withdrawn", "failed", "outcome_unknown", "expired"]


@dataclass(frozen=True)
class ApprovalReport:
    """The state of a write that waits, or waited, for a person."""

    status: ApprovalStatus
    tool: str
    dealer: str
    text: str
    """Says it to the caller, and what to do next."""
    expires_at: datetime
    url: str | None = None
    """The page, while it waits."""
    answer: Mapping[str, Any] | None = None
    """The structured content of the write's answer."""


class ApprovalReader(Protocol):
    """Reads the approvals of one caller."""

    async def report(self, approval_id: str) -> ApprovalReport | None:
        """Returns None where the caller has no such approval."""

"""The cards of writes: what the view of a host shows.

The question and the secret of the answer stand in `_meta` of the call that waits. That is meant for the view and not
for the model, but nothing makes a host keep to it. So a card is as strong as the host's word, and no second pair of
eyes.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from roadster_server.calls.keys import Keys
from roadster_server.calls.questions.form import deed_of
from roadster_server.settings.approving import card_problem
from roadster_server.settings.settings import Settings
from roadster_server.store import Approval
from roadster_tools import Caller, NotConfirmed, Tool, ToolFailure, WaitingForPerson

from .content import Sealed


class Cards:
    """The cards of one deployment."""

    def __init__(self, keys: Keys, seals: Sealed, settings: Callable[[], Settings]) -> None:
        self._keys = keys
        self._seals = seals
        self._settings = settings

    def problem(self, caller: Caller, tool: Tool, *, host_has_views: bool) -> str | None:
        """Returns why nobody can answer for a write of the tool on a card, None where somebody can."""
        problem = card_problem(self._settings().approvals, caller, tool)
        if problem is not None or host_has_views:
            return problem
        return "this client has not said that its host shows views (MCP Apps)"

    def has_secret(self, approval: Approval, secret: str) -> bool:
        return hmac.compare_digest(self._secret(approval).encode(), secret.encode())

    def waiting(self, approval: Approval, tool: Tool, caller: Caller, *, host_has_views: bool) -> ToolFailure:
        """Returns the failure of a call that waits for the answer on its card.

        Where the host can show the card, the failure has it: the question, and the secret of the answer. Where no yes
        counts any more, the failure says why.
        """
        expires = datetime.fromtimestamp(approval.expires / 1000, UTC)
        problem = self.problem(caller, tool, host_has_views=True)
        if problem is not None:
            return NotConfirmed(
                f"this call waits for a card that takes no yes any more: {problem}. It can be asked for anew from "
                f"{expires:%H:%M} UTC on, or at once with another idempotency_key"
            )
        place = "the card beside this answer" if host_has_views else "a card in the host in which this was asked first"
        text = (
            f"{place} shows a person what would be sent, and takes their yes or no until {expires:%H:%M} UTC. Only the "
            "person answers it. Once they have, call again with the same arguments: that writes nothing twice"
        )
        details = {"approval_id": approval.id, "expires_at": expires.isoformat(timespec="seconds")}
        card = self._card(approval, tool, details) if host_has_views else None
        return WaitingForPerson(text, details=details, card=card)

    def _card(self, approval: Approval, tool: Tool, details: dict[str, str]) -> dict[str, Any]:
        question = self._seals.question(approval)
        file_fields = [["The file itself", question.file.about]] if question.file is not None else []
        return {
            **details,
            "secret": self._secret(approval),
            "tool": tool.name,
            "title": tool.title,
            "heading": question.heading,
            "fields": [*map(list, question.fields), *file_fields],
            "deed": deed_of(tool) if tool.destructive else None,
        }

    def _secret(self, approval: Approval) -> str:
        """Returns the secret of an approval. Only its first answer counts, so it is good once."""
        return hmac.new(self._keys.approvals, f"card {approval.id}".encode(), "sha256").hexdigest()

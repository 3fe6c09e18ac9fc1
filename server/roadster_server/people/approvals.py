"""The pages on which people approve writes: what waits, one write with a yes and a no, and what became of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from roadster_server.calls.approvals.desk import ApprovalDesk, DecisionRefused, DeskEntry, FileNotThere

from .attachments import attachment
from .context import People
from .forms import FormRefused, read_form
from .visitors import Visitor

_MOST_REASON = 500
"""Characters. The assistant reads it, and the page shows it."""

_ID: Final = re.compile(r"[0-9a-f]{32}")


def approval_routes(people: People) -> list[Route]:
    """Returns the routes of the pages. Only a POST decides."""
    pages = _ApprovalPages(people)
    return [
        Route("/people/approvals", pages.list, methods=["GET"]),
        Route("/people/approvals/{id}", pages.show, methods=["GET"]),
        Route("/people/approvals/{id}", pages.decide, methods=["POST"]),
        Route("/people/approvals/{id}/file", pages.give_file, methods=["GET"]),
    ]


class _ApprovalPages:
    def __init__(self, people: People) -> None:
        self._people = people
        self._desk = ApprovalDesk(people.calls, lambda: people.settings)

    async def list(self, request: Request) -> Response:
        visitor = await self._people.visitors.require(request)
        waiting = await self._desk.waiting(visitor.caller, _last_of(request, "waiting"))
        decided = await self._desk.decided(visitor.caller, _last_of(request, "decided"))
        await self._people.record(visitor, "approvals")
        return self._people.pages.render(
            request,
            "approvals.html",
            waiting=waiting,
            decided=decided,
            count=await self._desk.count_waiting(visitor.caller),
            is_first=not request.query_params,
            may_approve=bool(visitor.caller.approves),
            left=_left,
        )

    async def show(self, request: Request) -> Response:
        visitor = await self._people.visitors.require(request)
        entry = await self._entry(request, visitor)
        await self._record(visitor, entry, "done")
        return self._render(request, entry)

    async def decide(self, request: Request) -> Response:
        visitor = await self._people.visitors.require(request)
        fields = await read_form(request, self._people.calls.services.keys.people)
        entry = await self._entry(request, visitor)
        reason = " ".join(fields.get("reason", "").split())
        if len(reason) > _MOST_REASON:
            raise FormRefused(
                f"The reason has more than {_MOST_REASON} characters. Shorten it, and send it again.", 400
            )
        decision = fields.get("decision")
        if decision not in ("yes", "no"):
            raise FormRefused("The form says neither yes nor no. Go back, and choose one.", 400)
        if decision == "yes" and entry.tool.destructive and fields.get("certain") != "yes":
            notice = "Nothing was done. Tick the box above the button first, if it is to be done."
            return self._render(request, entry, notice, 400, reason=reason)
        try:
            is_first = await self._desk.decide(
                visitor.current_caller, entry.approval.id, is_yes=decision == "yes", reason=reason
            )
        except DecisionRefused as refusal:
            await self._record(visitor, entry, "refused")
            return self._render(request, entry, str(refusal), 403)
        if not is_first:
            entry = await self._entry(request, visitor)
            return self._render(
                request, entry, "Your answer did not count: it was decided before, or its time was over.", 409
            )
        return RedirectResponse(request.url.path, 303)

    async def give_file(self, request: Request) -> Response:
        """Answers with the file of a write that waits. It is never shown in the browser itself, and changes nothing."""
        visitor = await self._people.visitors.require(request)
        entry = await self._entry(request, visitor)
        try:
            file = await self._desk.file(entry)
        except DecisionRefused as refusal:
            await self._record(visitor, entry, "refused", action="approval file")
            return self._render(request, entry, str(refusal), 403)
        except FileNotThere:
            await self._record(visitor, entry, "not_found", action="approval file")
            notice = "The file is not there any more, or the side that asked may not send it now. Say no."
            return self._render(request, entry, notice, 409)
        await self._record(visitor, entry, "done", action="approval file")
        return attachment(file, "file")

    async def _entry(self, request: Request, visitor: Visitor) -> DeskEntry:
        """Raises HTTPException, the same one where there is no such approval and where it is none of theirs."""
        id_ = request.path_params["id"]
        entry = await self._desk.entry(visitor.caller, id_) if _ID.fullmatch(id_) else None
        if entry is None:
            raise HTTPException(404)
        return entry

    def _render(
        self, request: Request, entry: DeskEntry, notice: str = "", status: int = 200, *, reason: str = ""
    ) -> Response:
        """Returns the page of one write. `reason` is what the visitor has typed already."""
        values = {"entry": entry, "notice": notice, "left": _left, "most_reason": _MOST_REASON, "reason": reason}
        return self._people.pages.render(request, "approval.html", status, **values)

    async def _record(self, visitor: Visitor, entry: DeskEntry, outcome: str, *, action: str = "approval") -> None:
        approval = entry.approval
        await self._people.record(visitor, action, outcome=outcome, dealer=approval.dealer, approval=approval.id)


def _last_of(request: Request, name: str) -> str | None:
    """Returns the id of the last approval of the page before, None for the first page."""
    id_ = request.query_params.get(name, "")
    return id_ if _ID.fullmatch(id_) else None


def _left(entry: DeskEntry) -> timedelta:
    return entry.expires_at - datetime.now(UTC)

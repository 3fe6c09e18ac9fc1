"""Writes that wait for a yes on a page or a card: stored, found again and settled.

An approval answers for its call until it expires, whatever became of it. So a repeated call is no second write. The
write is sent under an idempotency key, that of the call or one of the approval's own, which lets it be sent once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
from mcp_types import CallToolResult

from roadster_server.calls.keys import Keys
from roadster_server.calls.page_links import PageLinks
from roadster_server.settings.approving import approval_problem
from roadster_server.settings.settings import Settings
from roadster_server.store import Approval, ApprovalState, ApprovalWay, AuditRecord, Claim, InProgress, Replay
from roadster_server.store.lazy import LazyStore
from roadster_tools import AdmittedCall, Caller, Failure, NotConfirmed, PendingWrite, Tool, Unsealable
from roadster_tools.gate.approvals import ApprovalReader, ApprovalReport

from .cards import Cards
from .content import Sealed, ShownWrite, WaitingCall
from .reports import LOST, NOT_BEGUN, Reports, time_of
from .write_keys import WriteKey, hash_of_call

MOST_WAITING = 20
"""Approvals of one caller that wait. More would bury those that a person wants to decide."""

_LOOK_EVERY = 1.0
"""Seconds between two looks at an approval that a call waits for."""

_SENDER_LIFETIME = timedelta(seconds=120)
"""A sender that has not begun by then is taken for dead. A claim that it made lives as long."""

_CLAIMS_KEPT = timedelta(hours=24)
"""The store may have forgotten an older claim, and with it whether its write was sent."""


class Approvals:
    """The approvals of one deployment."""

    def __init__(
        self,
        store: LazyStore,
        keys: Keys,
        page_links: PageLinks,
        settings: Callable[[], Settings],
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._store = store
        self._keys = keys
        self._page_links = page_links
        self._settings = settings
        self._random = random
        self.seals = Sealed(keys.approvals)
        self.cards = Cards(keys, self.seals, settings)
        self.reports = Reports(self.seals)
        self._on_change: list[Callable[[str], None]] = []

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Calls `listener` with the id of each approval that gets another state here."""
        self._on_change.append(listener)

    def announce(self, approval_id: str) -> None:
        for listener in self._on_change:
            listener(approval_id)

    async def problem(self, write: PendingWrite) -> str | None:
        """Returns why no person can approve the write on a page, None where somebody can."""
        problem = approval_problem(self._settings(), write.tool, write.dealer, write.caller.principal)
        if problem is not None:
            return problem
        if await self._page_links.url("approvals") is None:
            return "no server serves the page; let the operator set http.resource_url, or serve over HTTP"
        return None

    @property
    def page_lifetime(self) -> timedelta:
        """How long a write waits on a page."""
        return self._settings().approvals.lifetime

    async def of_call(self, caller: Caller, call: AdmittedCall) -> Approval | None:
        """Returns the approval that answers for a call, None where there is none."""
        return await self._store.approval_of_call(
            hash_of_call(self._keys, caller.principal, call), now=datetime.now(UTC)
        )

    async def ask(
        self,
        way: ApprovalWay,
        lifetime: timedelta,
        write: PendingWrite,
        call: AdmittedCall,
        question: ShownWrite,
        waiting: WaitingCall,
    ) -> Approval:
        """Stores a write that is to wait, or returns the approval that its call has. Raises NotConfirmed."""
        now, id_ = datetime.now(UTC), self._random(16).hex()
        customer = call.plain_arguments.get("customer_id")
        key = WriteKey.of_approval(self._keys, write.caller.principal, call, id_)
        new = Approval(
            id=id_,
            call=hash_of_call(self._keys, write.caller.principal, call),
            principal=write.caller.principal,
            dealer=write.dealer,
            tool=write.tool.name,
            customer=None if customer is None else str(customer),
            created=_milliseconds(now),
            expires=_milliseconds(now + lifetime),
            question=self.seals.seal(id_, "question", question),
            content=self.seals.seal(id_, "content", replace(waiting, scope=key.scope, hash=key.arguments)),
            way=way,
        )
        approval = await self._store.add_approval(new, now=now, most=MOST_WAITING)
        if approval is None:
            raise NotConfirmed(
                f"{MOST_WAITING} writes of this caller wait for a person already; let a person decide about some first"
            )
        return approval

    async def withdraw(self, approval: Approval, record: AuditRecord) -> None:
        """Takes back a write that waits, for its requester. Does nothing to one that was decided."""
        now = datetime.now(UTC)
        if await self._store.decide_approval(approval.id, "withdrawn", approval.principal, None, record, now=now):
            self.announce(approval.id)

    async def url(self, approval: Approval) -> str:
        return await self._page_links.url(f"approvals/{approval.id}") or ""

    async def wait(self, approval: Approval, seconds: float) -> Approval:
        """Returns the approval once it has its end, or as it is after `seconds`."""
        with anyio.move_on_after(seconds):
            while approval.state in ("pending", "approved"):
                await anyio.sleep(_LOOK_EVERY)
                approval = await self.settle(await self._store.approval(approval.id) or approval)
        return approval

    async def settle(self, approval: Approval) -> Approval:
        """Returns the approval, with its end where its sender died.

        The idempotency key of the write knows whether it was sent: the two are marked in one transaction. Where it was
        not, the key is taken away from the sender first, in case it is only slow.
        """
        if approval.state != "approved":
            return approval
        approval = await self._store.approval(approval.id) or approval
        age = datetime.now(UTC) - time_of(approval.decided or 0)
        try:
            call = self.seals.call(approval)
        except Unsealable:
            return approval if age < _SENDER_LIFETIME else await self.finish_failed(approval, LOST)
        if age > _CLAIMS_KEPT:
            return await self.finish_failed(approval, LOST)
        obstacle = await self._store.find_claim(call.scope, call.hash, now=datetime.now(UTC))
        if isinstance(obstacle, InProgress) or (obstacle is None and age < _SENDER_LIFETIME):
            return approval
        if isinstance(obstacle, Replay):
            return await self._finish_replayed(approval, call, obstacle)
        if obstacle is not None:
            return await self.finish_failed(approval, LOST)
        claim = await self._store.claim(call.scope, call.hash, now=datetime.now(UTC))
        if not isinstance(claim, Claim):
            return approval
        try:
            return await self.finish_failed(approval, NOT_BEGUN)
        finally:
            await self._store.release(claim)

    async def finish_done(
        self, approval: Approval, rights: Mapping[str, Any], text: str, content: dict[str, Any]
    ) -> Approval:
        customer = content.get("customer_id")
        outcome = self.seals.seal(approval.id, "outcome", [rights, text, content])
        return await self._finish(approval, "done", outcome, None if customer is None else str(customer))

    async def finish_failed(self, approval: Approval, failure: Failure) -> Approval:
        state: ApprovalState = "unknown" if failure.kind == "outcome_unknown" else "failed"
        outcome = self.seals.seal(approval.id, "outcome", [failure.kind, failure.text])
        return await self._finish(approval, state, outcome)

    async def _finish(
        self, approval: Approval, state: ApprovalState, outcome: bytes, customer: str | None = None
    ) -> Approval:
        await self._store.finish_approval(approval.id, state, outcome, customer)
        self.announce(approval.id)
        return await self._store.approval(approval.id) or approval

    async def _finish_replayed(self, approval: Approval, call: WaitingCall, replay: Replay) -> Approval:
        try:
            answer = json.loads(WriteKey(call.scope, call.hash).seal(self._keys).open(replay.result.decode()))
        except ValueError:
            return await self.finish_failed(approval, LOST)
        return await self.finish_done(approval, *answer)

    async def result(self, approval: Approval, caller: Caller, tool: Tool) -> CallToolResult:
        """Returns the answer of a write that was approved and done. Raises ToolFailure for all else.

        A repeated call gets this, and the one that waited for it.
        """
        approval = await self.settle(approval)
        has_page = approval.way == "page" and approval.state == "pending"
        return self.reports.result(approval, caller, tool, await self.url(approval) if has_page else "")

    def of_caller(self, caller: Caller) -> ApprovalReader:
        """Returns what `get_approval` reads for the caller."""
        return _CallerApprovals(self, self._store, caller)


class _CallerApprovals:
    """The approvals of one caller's writes, for `get_approval`."""

    def __init__(self, approvals: Approvals, store: LazyStore, caller: Caller) -> None:
        self._approvals = approvals
        self._store = store
        self._caller = caller

    async def report(self, approval_id: str) -> ApprovalReport | None:
        approval = await self._store.approval(approval_id)
        is_own = approval is not None and approval.principal == self._caller.principal
        if approval is None or not is_own or approval.dealer not in self._caller.dealer_set:
            return None
        approval = await self._approvals.settle(approval)
        report = self._approvals.reports.report(approval, self._caller)
        if report.status == "waiting" and approval.way == "page":
            return replace(report, url=await self._approvals.url(approval))
        return report


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)

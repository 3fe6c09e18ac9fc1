"""The answers on cards.

A view brings an answer by a call of the write's own tool. It stands in `_meta` of that call: the approval, its secret,
and yes or no. The arguments of the call count for nothing, because what is sent lies sealed in the store.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import anyio
from mcp_types import CallToolRequestParams, CallToolResult, InputResponseRequestParams
from pydantic import BaseModel, ConfigDict, ValidationError

from roadster_server.calls.call import Call
from roadster_server.calls.calls import Calls
from roadster_server.calls.context import CallResult, Context, CurrentCaller, has_views
from roadster_server.calls.questions.form import deed_of
from roadster_server.calls.results import CARD_META, failed_result
from roadster_server.store import Approval
from roadster_tools import TOOLS, AccessRefused, EarlierFailure, Failure, NotConfirmed, Tool, dealer_verdict, verdict

from .content import WaitingCall
from .sending import send_approved

_UNKNOWN = "the answer on the card is not readable, or not that of a card of this caller and this tool"
_EXPIRED = "the card has expired; call the tool again with its arguments to be asked anew"


class CardAnswer(BaseModel):
    """The answer of a person, as a view sends it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    approval_id: str
    secret: str
    answer: Literal["yes", "no"]
    deed: str | None = None
    """The deed that the person ticked. A destructive tool wants it with the yes."""


def is_card_answer(params: CallToolRequestParams) -> bool:
    return params.meta is not None and CARD_META in params.meta


class CardAnswers:
    """Takes the answers on cards, for one server."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def take(self, current_caller: CurrentCaller, ctx: Context, params: CallToolRequestParams) -> CallResult:
        """Returns the answer of the write after a yes, and a failure in all other cases."""
        tool = TOOLS.get(params.name)
        if tool is None:
            return await self._calls.answer(current_caller, ctx, params)
        answer = (params.meta or {}).get(CARD_META)
        call = _AnswerCall(self._calls, current_caller, ctx, tool, answer)
        outcome = await self._calls.carry_out(call, tool)
        if isinstance(outcome, Failure):
            return failed_result(replace(outcome, card={"state": call.card_state} if call.card_state else None))
        return outcome


class _AnswerCall(Call):
    """The call that brings an answer. It sends nothing itself: after a yes, the write is a call of its own."""

    def __init__(self, calls: Calls, current_caller: CurrentCaller, ctx: Context, tool: Tool, answer: object) -> None:
        super().__init__(calls.services, current_caller, ctx, tool, {}, InputResponseRequestParams())
        self._calls = calls
        self._card_answer = answer
        self.card_state: Literal["declined", "closed"] | None = None
        """`declined` once a no is on record, and `closed` where no other answer counts any more."""

    async def carry_out(self, tool: Tool) -> CallResult:
        await self.count()
        answer, approval = await self._read(tool)
        self.record.approval_id, self.record.dealer = approval.id, approval.dealer
        if answer.answer == "yes":
            self._check_rights(approval, tool)
            if tool.destructive and answer.deed != deed_of(tool):
                raise NotConfirmed(f'the yes came without the tick at "{deed_of(tool)}"; the card still waits')
        with anyio.CancelScope(shield=True):  # a view that is closed must not end the write that it approved
            result = await self._decide(approval, tool, is_yes=answer.answer == "yes")
        return result  # noqa: RET504 - to mypy, the scope above may swallow a return

    async def _read(self, tool: Tool) -> tuple[CardAnswer, Approval]:
        """Returns the answer and its approval. Raises NotConfirmed, with the same words for all that is not its own."""
        services = self._services
        try:
            answer = CardAnswer.model_validate(self._card_answer)
        except ValidationError:
            raise NotConfirmed(_UNKNOWN) from None
        approval = await services.store.approval(answer.approval_id)
        if (
            approval is None
            or (approval.way, approval.principal, approval.tool) != ("card", self._caller.principal, tool.name)
            or not services.approvals.cards.has_secret(approval, answer.secret)
        ):
            raise NotConfirmed(_UNKNOWN)
        return answer, approval

    def _check_rights(self, approval: Approval, tool: Tool) -> None:
        """Raises ToolFailure where the caller could not ask for the write any more, or not by a card."""
        caller = self._current_caller()
        for current in (verdict(caller, tool), dealer_verdict(caller, approval.dealer)):
            if not current.is_allowed:
                raise AccessRefused(current.reason, setting=current.setting, mend=current.mend)
        problem = self._services.approvals.cards.problem(caller, tool, host_has_views=has_views(self.ctx))
        if problem is not None:
            raise NotConfirmed(f"no yes on this card counts now: {problem}; a no does")

    async def _decide(self, approval: Approval, tool: Tool, *, is_yes: bool) -> CallToolResult:
        services = self._services
        state: Literal["approved", "declined"] = "approved" if is_yes else "declined"
        record = replace(self.record.of_phase("decided", state), protocol="card")
        is_first = await services.store.decide_approval(
            approval.id, state, approval.principal, None, record, now=record.time
        )
        self.card_state = "closed"
        if not is_first:
            current = await services.store.approval(approval.id)
            if current is not None and current.state != "pending":
                return await self._tell_outcome(current, tool)
            raise NotConfirmed(_EXPIRED)
        services.approvals.announce(approval.id)
        if not is_yes:
            self.card_state = "declined"
            raise EarlierFailure(*services.approvals.reports.ending(replace(approval, state=state)))
        return await self._send(approval, tool)

    async def _tell_outcome(self, approval: Approval, tool: Tool) -> CallToolResult:
        """Returns what became of a write whose card was answered before: that answer may have been lost on its way."""
        self._check_rights(approval, tool)
        result = await self._services.approvals.result(approval, self._current_caller(), tool)
        self.record.outcome = "replayed"
        return result

    async def _send(self, approval: Approval, tool: Tool) -> CallToolResult:
        async def requester_of(_waiting: WaitingCall) -> CurrentCaller:
            return self._current_caller

        outcome = await send_approved(self._calls, approval, requester_of, lambda: self._check_rights(approval, tool))
        if isinstance(outcome, Failure):
            raise EarlierFailure(outcome.kind, outcome.text)
        self.record.outcome = "approved"
        return outcome

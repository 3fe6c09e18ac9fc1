"""Asks a person to open a page, by elicitation in URL mode.

They do the rest on the page, which the host never sees. A client of protocol 2025-11-25 is asked in the middle of the
call. A client of 2026-07-28 gets the question as the call's result, with sealed state, and repeats the call with the
answer. To agree to open a page is no yes to anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import anyio
from mcp.shared.exceptions import MCPError
from mcp_types import (
    ElicitRequest,
    ElicitRequestURLParams,
    ElicitResult,
    InputRequiredResult,
    InputResponseRequestParams,
)
from pydantic import ValidationError

from roadster_server.calls.context import Ask, Context, is_stateless
from roadster_server.calls.progress import set_step
from roadster_server.turns import turn_given_back
from roadster_tools import Seal, Unsealable

_ANSWER = "page"
"""The name of the question among those of a call. There is only one."""

_STATE = "page "
"""The beginning of the state of such a question. That of another question begins otherwise."""

PageAnswer = Literal["opened", "declined", "not opened"]
"""The person, or a host that asks nobody, agreed to open the page or declined it. Else nobody has answered."""


@dataclass(frozen=True)
class PageReply:
    """The answer of a repeated call to the question about a page. `id` and `url` are those of the question."""

    id: str
    url: str
    answer: PageAnswer


@dataclass(frozen=True)
class PageQuestion:
    """A page to open. `id` tells it from all others, and `message` says to a person what the page is for."""

    id: str
    message: str
    url: str


def can_open_pages(ctx: Context) -> bool:
    """Returns whether the client can ask a person to open a page, and this server can ask the client."""
    capabilities = ctx.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    return elicitation is not None and elicitation.url is not None and (is_stateless(ctx) or _has_session(ctx))


async def ask_to_open(ctx: Context, question: PageQuestion, seal: Seal, lifetime: timedelta) -> PageAnswer:
    """Asks, and returns the answer of a client of 2025-11-25. For one of 2026-07-28 it raises Ask.

    `page_reply` reads the answer of that one, with the same seal. Call this only where `can_open_pages` holds.
    """
    if is_stateless(ctx):
        params = ElicitRequestURLParams(message=question.message, url=question.url)
        raise Ask(
            InputRequiredResult(
                input_requests={_ANSWER: ElicitRequest(params=params)},
                request_state=seal.seal(f"{_STATE}{question.id} {question.url}"),
            )
        )
    set_step("waiting for a person to open a page")
    with turn_given_back(), anyio.move_on_after(lifetime.total_seconds()):
        try:
            answer = await ctx.session.elicit_url(question.message, question.url, question.id, ctx.request_id)
        except (MCPError, ValidationError):  # the client failed to ask, or its answer cannot be read
            return "not opened"
        return _answer_in(answer)
    return "not opened"


async def tell_complete(ctx: Context, question_id: str) -> None:
    """Tells a client of 2025-11-25 that what the page was for is done, so that it may close the question."""
    if not is_stateless(ctx):
        await ctx.session.send_elicit_complete(question_id, ctx.request_id)


def page_reply(params: InputResponseRequestParams, seal: Seal) -> PageReply | None:
    """Returns what a repeated call answers. None if it answers no question about a page."""
    try:
        state = seal.open(params.request_state or "")
    except Unsealable:
        return None
    if not state.startswith(_STATE):
        return None
    id_, _, url = state.removeprefix(_STATE).partition(" ")
    answer = (params.input_responses or {}).get(_ANSWER)
    return PageReply(id_, url, _answer_in(answer) if isinstance(answer, ElicitResult) else "not opened")


def _answer_in(answer: ElicitResult) -> PageAnswer:
    match answer.action:
        case "accept":
            return "opened"
        case "decline":
            return "declined"
    return "not opened"


def _has_session(ctx: Context) -> bool:
    """Returns whether the client can be asked. A server of several workers keeps no sessions of 2025-11-25."""
    return ctx.session.can_send_request

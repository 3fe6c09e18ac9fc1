"""Asks a person to open the page where they hand over the file of a call, and goes on with the file.

A call of a client of protocol 2025-11-25 waits until the file is there. A client of 2026-07-28 repeats the call, with a
sealed state that names the file. A later question of the same call, whether to send it, has a state of its own: the two
stand in one text, with a dot between them. Any other client reads the link in the answer, and calls again.
"""

from __future__ import annotations

from datetime import UTC, datetime

import anyio
from mcp_types import InputRequiredResult, InputResponseRequestParams

from roadster_server.calls.context import Ask, Context
from roadster_server.calls.progress import set_step
from roadster_server.turns import turn_given_back
from roadster_tools import FileWanted, NotConfirmed, Seal, WaitingFiles

from .page_question import PageQuestion, PageReply, ask_to_open, can_open_pages, page_reply, tell_complete

_BEHIND = "."
"""The sign behind the state of the file. No sealed text has one."""

_MESSAGE = "Hand over the file on this page. You can also take a photo of it, with this device or with your phone."


class FileState:
    """The state of a repeated call, as far as it is about the file. `rest` are the parameters without it."""

    def __init__(self, params: InputResponseRequestParams) -> None:
        state, dot, rest = (params.request_state or "").partition(_BEHIND)
        self._text = state if dot else None
        self._params = params.model_copy(update={"request_state": state})
        self.rest = params.model_copy(update={"request_state": rest or None}) if dot else params

    def reply(self, seal: Seal) -> PageReply | None:
        """Returns the answer about the file that an earlier round asked for, None if none did. Raises NotConfirmed.

        Its id is the handle of the file.
        """
        if self._text is None:
            return None
        reply = page_reply(self._params, seal)
        if reply is None:
            raise NotConfirmed("the state of the file was altered, or is another call's; call again without it")
        if reply.answer == "declined" and self.rest.request_state is None:
            raise NotConfirmed(_DECLINED)
        return reply

    def with_question(self, result: InputRequiredResult) -> InputRequiredResult:
        """Returns another question of the call, whose state also names the file."""
        if self._text is None:
            return result
        return result.model_copy(update={"request_state": f"{self._text}{_BEHIND}{result.request_state or ''}"})


_DECLINED = "the person declined to hand over a file; ask them what they want"


async def obtain_file(ctx: Context, request: FileWanted, seal: Seal, files: WaitingFiles, *, look_every: float) -> str:
    """Returns the handle once a person has handed over the file.

    Raises Ask for a client that repeats the call, NotConfirmed, and FileWanted where nobody did it or can be asked.
    """
    if request.link is None or not can_open_pages(ctx):
        raise request
    question = PageQuestion(request.handle, _MESSAGE, request.link)
    try:
        answer = await ask_to_open(ctx, question, seal, request.until - datetime.now(UTC))
    except Ask as ask:
        state = f"{ask.result.request_state}{_BEHIND}"
        raise Ask(ask.result.model_copy(update={"request_state": state})) from None
    if answer == "declined":
        raise NotConfirmed(_DECLINED)
    if answer == "not opened":
        raise request
    set_step("waiting for a person's file")
    with turn_given_back():
        while datetime.now(UTC) < request.until:
            if await files.is_there(request.handle):
                await tell_complete(ctx, request.handle)
                return request.handle
            await anyio.sleep(look_every)
    raise request

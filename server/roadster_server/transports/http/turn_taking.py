"""Lets each POST to a transport wait for a turn of its caller, before its message is read."""

from __future__ import annotations

from mcp.server.auth.middleware.auth_context import get_access_token
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadster_server.turns import Turn, Turns


class TurnTaking:
    """An ASGI application in front of another one. The whole body is here before its request takes a turn.

    The turn ends with the answer. A message of the SSE pair is answered at once, and so its call works without a turn.
    """

    def __init__(self, app: ASGIApp, turns: Turns) -> None:
        self._app = app
        self._turns = turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        turn: Turn | None = None

        async def receive_in_turn() -> Message:
            nonlocal turn
            message = await receive()
            if turn is None and message["type"] == "http.request" and not message.get("more_body", False):
                identity = get_access_token()
                turn = await self._turns.begin("" if identity is None else identity.client_id)
            return message

        try:
            await self._app(scope, receive_in_turn, send)
        finally:
            if turn is not None:
                turn.end()

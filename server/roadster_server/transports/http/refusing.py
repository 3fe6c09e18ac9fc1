"""The refusal of a request over HTTP."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from roadster_server.transports.messages import MessageRefused


async def refuse(
    refusal: MessageRefused,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    status: HTTPStatus = HTTPStatus.SERVICE_UNAVAILABLE,
) -> None:
    await Response(refusal.json(), status, media_type="application/json")(scope, receive, send)

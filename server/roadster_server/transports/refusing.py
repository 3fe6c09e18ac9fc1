"""The refusal of a request over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .messages import MessageRefused


async def refuse(
    refusal: MessageRefused,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    status: HTTPStatus = HTTPStatus.SERVICE_UNAVAILABLE,
    headers: Mapping[str, str] | None = None,
) -> None:
    await Response(refusal.json(), status, headers, "application/json")(scope, receive, send)

"""Logs the refusals that a caller or person meets before any call: they leave no audit record."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from pydantic_core import from_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadster_server.identity.tokens import Identity, caller_of
from roadster_server.settings.settings import Settings
from roadster_server.telemetry.logs import log

_REFUSED = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN)


class LoggedRefusals:
    """An ASGI application in front of the checks behind the token. It logs who is refused, and with which error."""

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings], hash_person: Callable[[str], str]) -> None:
        self._app = app
        self._settings = settings
        self._hash_person = hash_person

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        user = scope["user"]
        identity = user.access_token if isinstance(user, AuthenticatedUser) else None
        if not isinstance(identity, Identity):  # the check of tokens has logged why
            await self._app(scope, receive, send)
            return
        status = 0

        async def send_and_log(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif status in _REFUSED and not message.get("more_body", False):
                self._log(identity, status, message.get("body", b""))
            await send(message)

        await self._app(scope, receive, send_and_log)

    def _log(self, identity: Identity, status: int, body: bytes) -> None:
        caller = caller_of(self._settings(), identity)
        person = {} if caller.person is None else {"person": self._hash_person(caller.person)}
        log.info("request refused", extra={"caller": caller.name, **person, "status": status, "error": _error_in(body)})


def _error_in(body: bytes) -> str | int | None:
    """Returns the error's code in OAuth's or JSON-RPC's form, and none of its words: they may quote the request."""
    try:
        answer = from_json(body)
    except ValueError:
        return None
    match answer:
        case {"error": {"code": int() as code}}:
            return code
        case {"error": str() as name}:
            return name
    return None

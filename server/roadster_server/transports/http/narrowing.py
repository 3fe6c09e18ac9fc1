"""Narrowed connections: a client's URL or headers take rights from its connection, as `identity.narrowing` has it.

The URL's query has `dealers`, `toolsets` and `readonly`, and the headers X-Roadster-Dealers and so on say the same.
A word that is spelled wrong would leave more rights than the client's owner believes, so it is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp_types import INVALID_REQUEST
from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from roadster_server.identity.narrowing import Narrowing, problem_of
from roadster_server.identity.tokens import Identity, caller_of
from roadster_server.settings.settings import Settings
from roadster_server.transports.messages import MessageRefused
from roadster_tools import Caller

from .refusing import refuse

_KEYS = ("dealers", "toolsets", "readonly")
_PREFIX = "x-roadster-"
NARROWING_HEADERS = tuple(f"X-Roadster-{key.title()}" for key in _KEYS)
_OTHER_PARAMETERS = ("session_id",)
"""Parameters of the URL that are not for narrowing: the SDK's, in the URL of `/messages`."""


class NarrowedConnections:
    """An ASGI application behind the check of tokens. It narrows the caller of each request, or refuses the request."""

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings]) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            narrowings = tuple(_read_narrowings(scope))
            if narrowings:
                _require_known(narrowings, caller_of(self._settings(), _identity_of(scope)))
        except _CannotNarrow as error:
            refusal = MessageRefused(INVALID_REQUEST, f"Invalid request: {error}")
            await refuse(refusal, scope, receive, send, status=HTTPStatus.BAD_REQUEST)
            return
        await serve_narrowed(self._app, narrowings, scope, receive, send)


def narrowings_of(scope: Scope) -> tuple[Narrowing, ...]:
    """Returns the narrowings of a request that has passed `NarrowedConnections`."""
    return _identity_of(scope).narrowings


async def serve_narrowed(
    app: ASGIApp, narrowings: tuple[Narrowing, ...], scope: Scope, receive: Receive, send: Send
) -> None:
    """Serves a request by `app`, with its caller narrowed as well by `narrowings`."""
    if not narrowings:
        await app(scope, receive, send)
        return
    identity = _identity_of(scope)
    all_of_them = tuple(dict.fromkeys([*identity.narrowings, *narrowings]))
    user = AuthenticatedUser(identity.model_copy(update={"narrowings": all_of_them}))
    await AuthContextMiddleware(app)({**scope, "user": user}, receive, send)


class _CannotNarrow(ValueError):
    """A narrowing that is a mistake. The text says which, and quotes nothing."""


def _identity_of(scope: Scope) -> Identity:
    identity: Identity = scope["user"].access_token
    return identity


def _read_narrowings(scope: Scope) -> Iterator[Narrowing]:
    """Yields the narrowings of the request's URL and headers. Raises _CannotNarrow."""
    query = [(key, value) for key, value in QueryParams(scope["query_string"]).multi_items()]
    yield from _narrowings_in(
        "the URL",
        ((key, f"{key} in the URL", value) for key, value in query if key not in _OTHER_PARAMETERS),
        f"knows only {', '.join(_KEYS)}",
    )
    headers = [(key, value) for key, value in Headers(scope=scope).items() if key.startswith(_PREFIX)]
    yield from _narrowings_in(
        "a header X-Roadster-…",
        ((key.removeprefix(_PREFIX), key.title(), value) for key, value in headers),
        f"is none of {', '.join(NARROWING_HEADERS)}",
    )


def _narrowings_in(source: str, wishes: Iterable[tuple[str, str, str]], problem: str) -> Iterator[Narrowing]:
    count = Counter[str]()
    for key, place, text in wishes:
        if key not in _KEYS:
            raise _CannotNarrow(f"{source} {problem}")
        count[key] += 1
        if count[key] > 1:
            raise _CannotNarrow(f"{place} is there twice; name all of them in one")
        yield from _narrowing(key, place, text)


def _narrowing(key: str, place: str, text: str) -> Iterator[Narrowing]:
    if key == "readonly":
        if text.strip().lower() not in ("true", "false"):
            raise _CannotNarrow(f"{place} must be true or false")
        if text.strip().lower() == "true":
            yield Narrowing(place, is_readonly=True)
        return
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if "" in names:
        raise _CannotNarrow(f"{place} lacks a name; write names with a comma between two of them")
    yield Narrowing(place, dealers=names) if key == "dealers" else Narrowing(place, toolsets=names)


def _require_known(narrowings: Iterable[Narrowing], caller: Caller) -> None:
    for narrowing in narrowings:
        problem = problem_of(narrowing, caller)
        if problem is not None:
            raise _CannotNarrow(problem)

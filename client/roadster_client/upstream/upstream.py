"""One upstream API over one pooled HTTP client: what a call passes on its way, and what becomes of its answer.

A call passes, from the outside in: the breaker of its dealer and operation, the deadline, one to three attempts, and
for each of these the admission. httpx2's own timeouts are for each read, so a body of one byte a second would never
time out; its decompression and its redirects have no limit of ours. Hence the total deadline, the inflating under
a cap, and redirects that count as malformed answers.
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version
from typing import Literal

import anyio
import httpx2

from roadster_client import errors
from roadster_client.operations import Operation
from roadster_client.refusals import refusal_error

from .admission import AT_ONCE, Admission
from .breaker import Breaker
from .exchange import Answer, Origin, Request
from .observer import Attempt, NoObserver, Observer
from .response import parse_body, raise_for_status, read_body, request_id_of
from .retries import RetryBudget, attempts

AuthScheme = Literal["Bearer", "Token", "Basic", "none"]


EXCHANGE = "roadster_client.request"
"""The extension of an HTTP request that holds the `Request` it was made of, for a transport that records."""


_CONNECT_SECONDS = 5.0


_NOBODY = Origin()


class Upstream:
    """Sends requests to one API. Made by `open_upstream`, which owns the connections."""

    def __init__(self, connect: Callable[[], httpx2.AsyncClient], observer: Observer) -> None:
        self._connect = connect
        self._observer = observer
        self._admission = Admission()
        self._budget = RetryBudget()
        # Of each operation too: one VIN at which the upstream fails must not shut a dealer out of all the others.
        self._breakers: dict[tuple[str | None, str], Breaker] = {}
        self._open: set[Breaker] = set()
        self.breaker_opened: Callable[[str | None, str], None] = lambda _dealer, _operation: None
        """Called with the dealer and the operation whose breaker opens, for other processes to open theirs."""

    @cached_property
    def _http(self) -> httpx2.AsyncClient:
        # Made for the first request: loading the certificates takes time, and a start that nobody called yet has none.
        return self._connect()

    async def send(self, request: Request, origin: Origin = _NOBODY) -> Answer:
        """The parsed answer to `request`, or one of `errors`."""
        breaker = self._breaker(origin.dealer, request.operation.name)
        try:
            with breaker.guard(request.operation):
                return await self._in_time(request, origin.caller)
        except errors.Unreachable:
            raise
        except (errors.Unavailable, errors.TimedOut, errors.MalformedAnswer) as error:
            if request.operation.writes:
                raise errors.OutcomeUnknown.after(error) from None
            raise
        finally:
            (self._open.add if breaker.is_open else self._open.discard)(breaker)
            self._observer.on_breakers_open(request.operation.api, len(self._open))

    def open_breaker(self, dealer: str | None, operation: str) -> None:
        """Leaves the operation alone for the dealer, because another process has seen it fail."""
        self._breaker(dealer, operation).open()

    def _breaker(self, dealer: str | None, operation: str) -> Breaker:
        found = self._breakers.get((dealer, operation))
        if found is None:
            found = Breaker(lambda: self.breaker_opened(dealer, operation))
            self._breakers[dealer, operation] = found
        return found

    async def _in_time(self, request: Request, caller: str) -> Answer:
        operation = request.operation
        begin_by = anyio.current_time() + operation.longest_wait
        with anyio.move_on_after(operation.deadline) as in_time:
            async for attempt in attempts(operation, self._budget, begin_by):
                with attempt, self._observed(operation, attempt.num, in_time) as observed:
                    async with self._admission.turn(operation, caller, begin_by):
                        observed.on_begin()
                        return await self._attempt(request, observed)
        raise errors.TimedOut(operation.name, f"no answer came within {operation.deadline:g} seconds")

    @contextmanager
    def _observed(self, operation: Operation, number: int, in_time: anyio.CancelScope) -> Iterator[Attempt]:
        observed = self._observer.on_attempt(operation, number)
        outcome = "defect"
        try:
            yield observed
            outcome = "done"
        except errors.ClientError as error:
            outcome = errors.name_of(error)
            raise
        except anyio.get_cancelled_exc_class():
            outcome = "timed_out" if in_time.cancel_called else "cancelled"
            raise
        finally:
            observed.on_end(outcome)

    async def _attempt(self, request: Request, observed: Attempt) -> Answer:
        operation = request.operation
        try:
            status, headers, content = await self._exchange(request)
            observed.on_answer(status)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in errors.causes(error)):
                raise errors.Untrusted(operation.name, "the upstream's certificate is not good for its name") from None
            raise errors.Unreachable(operation.name, "no connection to the upstream") from None
        except httpx2.TransportError:
            raise errors.Unavailable(operation.name, "the connection was lost") from None
        request_id = request_id_of(headers)
        raise_for_status(operation, status, headers, content, request_id)
        if not content and operation.may_be_empty:
            return Answer(request, None, request_id)
        answer = Answer(request, parse_body(operation, headers, content, request_id), request_id)
        said = answer.json if isinstance(answer.json, dict) else {}
        if operation.writes and said.get("errors"):  # a success with errors: nobody knows what was done
            raise answer.malformed_error("holds errors beside its result")
        if said.get("status") == "error" or said.get("errors"):
            # Documented with 400 and seen with 200; myKaarma documents errors inside a 200.
            raise refusal_error(operation.name, status, answer.json, request_id=request_id)
        return answer

    async def _exchange(self, request: Request) -> tuple[int, httpx2.Headers, bytes]:
        async with self._http.stream(
            request.operation.method,
            request.target,
            params=dict(request.query),
            json=request.body,
            extensions={EXCHANGE: request},
        ) as response:
            content = await read_body(response, request.operation)
            return response.status_code, response.headers, content


def basic_key(username: str, password: str) -> str:
    """The key of HTTP's Basic scheme (RFC 7617)."""
    return b64encode(f"{username}:{password}".encode()).decode()


def open_network() -> httpx2.AsyncBaseTransport:
    """What requests leave by, where nothing replaces it."""
    limits = httpx2.Limits(max_connections=2 * AT_ONCE, max_keepalive_connections=20)
    return httpx2.AsyncHTTPTransport(limits=limits, trust_env=False)


@asynccontextmanager
async def open_upstream(
    base_url: str,
    *,
    api_key: str,
    auth_scheme: AuthScheme = "Bearer",
    transport: httpx2.AsyncBaseTransport | None = None,
    observer: Observer | None = None,
) -> AsyncIterator[Upstream]:
    """An `Upstream` at `base_url` whose connections are pooled, and closed at the end of the block.

    `auth_scheme` is the word before the key in `Authorization`; `none` sends the bare key, as the
    older document of Roadster's shows. For `Basic` the key is what `basic_key` makes.
    `transport` replaces the network, for the embedded sandbox. `observer` is told of each attempt.
    """

    def connect() -> httpx2.AsyncClient:
        http = httpx2.AsyncClient(
            base_url=base_url.rstrip("/") + "/",
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
                "Authorization": api_key if auth_scheme == "none" else f"{auth_scheme} {api_key}",
                "User-Agent": f"roadster-mcp/{version('roadster-mcp')}",
            },
            # Reading and writing end with the operation's deadline. Connecting ends sooner than what is left of it when
            # a write begins, so that a write without a connection is known not to have been sent.
            timeout=httpx2.Timeout(None, connect=_CONNECT_SECONDS, pool=_CONNECT_SECONDS),
            follow_redirects=False,
            # An upstream could set ever more of them, and they would go to it with everybody's requests.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            trust_env=False,  # a .netrc entry would replace our Authorization
            transport=transport or open_network(),
        )
        closing.push_async_callback(http.aclose)
        return http

    async with AsyncExitStack() as closing:
        yield Upstream(connect, observer or NoObserver())

"""One upstream API over pooled connections: what a call passes on its way, and what becomes of its answer.

A call passes, from the outside in: the breaker of its dealer and operation, the deadline, one to three attempts, and
for each of these the admission. httpx2's own timeouts are for each read, so a body of one byte a second would never
time out, and its decompression and its redirects have no limit of ours. Hence the total deadline, the inflating under
a cap, and redirects that count as malformed answers.
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import version
from typing import Literal

import anyio
import httpx2

from roadster_client import errors
from roadster_client.json_text import has_only_plain_texts
from roadster_client.operations import Operation
from roadster_client.refusals import has_failed_status, refusal_error, reports_failure

from .admission import Admission
from .breaker import Breaker
from .exchange import Answer, Origin, Request
from .large_answers import run_beside_others
from .network import DIRECT, MOST_CONNECTIONS, NetworkPath
from .observer import Attempt, NoObserver, Observer
from .response import parse_body, raise_for_status, read_body, request_id_of
from .retries import RetryBudget, attempts

AuthScheme = Literal["Bearer", "Token", "Basic", "none"]
"""The word before the key in `Authorization`. `none` sends the bare key, as Roadster's older document shows."""

EXCHANGE = "roadster_client.request"
"""The key of an HTTP request's extension that holds our `Request`, for a transport that records."""

Waiting = Callable[[], AbstractContextManager[None]]
"""Returns the block in which a call waits for one request."""

_CONNECT_SECONDS = 5.0
"""Shorter than the part of the deadline that is left when a write begins, so that a write which finds no connection is
known not to have been sent."""

_TIMEOUT = httpx2.Timeout(None, connect=_CONNECT_SECONDS, pool=_CONNECT_SECONDS).as_dict()
"""Reading and writing end with the operation's deadline."""

_NOBODY = Origin()


class Upstream:
    """Sends requests to one API with one key. Use `open_upstream` to make one, because it closes the connections."""

    def __init__(
        self, connect: Callable[[], _Connections], credentials: Credentials, observer: Observer, waiting: Waiting
    ) -> None:
        self._connect = connect  # at the first request, because loading the certificates would slow the start
        self._credentials = credentials
        self._observer = observer
        self._waiting = waiting
        self._accounts = {credentials.key: self}
        self._admission = Admission()
        self._budget = RetryBudget()
        # Each operation has its own, so that a failing operation does not keep the dealer from the other ones.
        self._breakers: dict[tuple[str | None, str], Breaker] = {}
        self._open: set[Breaker] = set()
        self.on_breaker_open: Callable[[str | None, str], None] = lambda _dealer, _operation: None
        """Runs with the dealer and the operation when a breaker opens, so that other processes can open theirs."""

    def with_key(self, key: str) -> Upstream:
        """Returns the same API for the account of another key.

        An account has its own turns and pauses, because an upstream counts requests by account. Connections and
        breakers are shared.
        """
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = copy(self)
            account._credentials = replace(self._credentials, key=key)  # noqa: SLF001 - it is a copy of this one
            account._admission, account._budget = Admission(), RetryBudget()  # noqa: SLF001
        return account

    def prepare(self) -> None:
        """Loads the certificates and what else the first request needs. It takes as long as several requests."""
        import stamina  # noqa: F401, PLC0415 - `retries` loads it at the first request otherwise

        self._connect()

    async def send(self, request: Request, origin: Origin = _NOBODY) -> Answer:
        """Returns the parsed answer. Raises ClientError."""
        breaker = self._breaker(origin.dealer, request.operation.name)
        try:
            with breaker.guard(request.operation), self._waiting():
                return await self._send_within_deadline(request, origin.caller)
        except errors.Unreachable:
            raise
        except (errors.Unavailable, errors.TimedOut, errors.MalformedAnswer) as error:
            if request.operation.writes:
                raise errors.OutcomeUnknown.after(error) from None
            raise
        finally:
            (self._open.add if breaker.is_open else self._open.discard)(breaker)
            self._observer.on_breakers_open(request.operation.api, len(self._open))

    @property
    def open_breakers(self) -> list[tuple[str | None, str]]:
        """The dealers and operations that fail at the moment, as far as this process has seen."""
        return sorted(
            (key for key, breaker in self._breakers.items() if breaker.is_open), key=lambda key: (key[0] or "", key[1])
        )

    def open_breaker(self, dealer: str | None, operation: str) -> None:
        """Opens the breaker, because another process has seen the operation fail for the dealer."""
        self._breaker(dealer, operation).open()

    def _breaker(self, dealer: str | None, operation: str) -> Breaker:
        breaker = self._breakers.get((dealer, operation))
        if breaker is None:
            breaker = Breaker(lambda: self.on_breaker_open(dealer, operation))
            self._breakers[dealer, operation] = breaker
        return breaker

    async def _send_within_deadline(self, request: Request, caller: str) -> Answer:
        operation = request.operation
        begin_by = anyio.current_time() + operation.longest_wait
        with anyio.move_on_after(operation.deadline) as deadline:
            async for attempt in attempts(operation, self._budget, begin_by):
                with attempt, self._observe(operation, attempt.num, deadline) as observer:
                    async with self._admission.turn(operation, caller, begin_by):
                        observer.on_begin()
                        return await self._attempt(request, observer)
        raise errors.TimedOut(operation.name, f"no answer came within {operation.deadline:g} seconds")

    @contextmanager
    def _observe(self, operation: Operation, number: int, deadline: anyio.CancelScope) -> Iterator[Attempt]:
        observer = self._observer.on_attempt(operation, number)
        outcome = "defect"
        try:
            yield observer
            outcome = "done"
        except errors.ClientError as error:
            outcome = errors.name_of(error)
            raise
        except anyio.get_cancelled_exc_class():
            outcome = "timed_out" if deadline.cancel_called else "cancelled"
            raise
        finally:
            observer.on_end(outcome)

    async def _attempt(self, request: Request, observer: Attempt) -> Answer:
        operation = request.operation
        try:
            status, headers, content = await self._exchange(request)
            observer.on_answer(status)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in errors.causes(error)):
                raise errors.Untrusted(operation.name, "the upstream's certificate is not good for its name") from None
            raise errors.Unreachable(operation.name, "no connection to the upstream") from None
        except httpx2.ProxyError as error:
            raise errors.ProxyFailed.from_text(operation.name, str(error)) from None
        except httpx2.TransportError:
            raise errors.Unavailable(operation.name, "the connection was lost") from None
        request_id = request_id_of(headers)
        raise_for_status(operation, status, headers, content, request_id)
        if not content and status in operation.empty_statuses:
            return Answer(request, None, request_id)
        json = await run_beside_others(len(content), lambda: parse_body(operation, headers, content, request_id))
        answer = Answer(request, json, request_id, len(content), has_only_plain_texts(content))
        if has_failed_status(answer.json) or (reports_failure(answer.json) and not operation.writes):
            # Roadster documents its errors with 400 and also sends them with 200. myKaarma documents them inside a 200.
            raise refusal_error(operation.name, status, answer.json, request_id=request_id)
        if reports_failure(answer.json):  # nobody knows what a write has done that succeeds with an error
            raise answer.malformed_error("reports an error")
        return answer

    async def _exchange(self, request: Request) -> tuple[int, httpx2.Headers, bytes]:
        connections = self._connect()
        async with connections.free:
            response = await connections.send(request, self._credentials)
            try:
                return response.status_code, response.headers, await read_body(response, request.operation)
            finally:
                await response.aclose()


@dataclass(frozen=True)
class Credentials:
    """The key of an account, and the word before it."""

    scheme: AuthScheme
    key: str = field(repr=False)

    @property
    def header(self) -> str:
        return self.key if self.scheme == "none" else f"{self.scheme} {self.key}"


@dataclass(frozen=True)
class _Connections:
    """The connections to one base URL.

    There is no httpx2 client around them. It would spend as much time on a request as sending takes, and what it adds,
    such as redirects, cookies and credentials from a .netrc, is not wanted here.
    """

    transport: httpx2.AsyncBaseTransport
    base_url: str
    headers: Sequence[tuple[str, str]]
    free: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(MOST_CONNECTIONS, fast_acquire=True))
    """One account never takes all of them. Those of several accounts wait here, and not for httpx2's five seconds."""

    async def send(self, request: Request, credentials: Credentials) -> httpx2.Response:
        """Returns the response, whose body is not read yet. Raises httpx2.TransportError."""
        http_request = httpx2.Request(
            request.operation.method,
            f"{self.base_url}{request.target}",
            params=dict(request.query) or None,
            headers=[*self.headers, ("Authorization", credentials.header)],
            json=request.body,
            extensions={EXCHANGE: request, "timeout": _TIMEOUT},
        )
        response = await self.transport.handle_async_request(http_request)
        response.request = http_request
        return response


def basic_key(username: str, password: str) -> str:
    """Returns the key for the scheme `Basic` (RFC 7617)."""
    return b64encode(f"{username}:{password}".encode()).decode()


@asynccontextmanager
async def open_upstream(
    base_url: str,
    *,
    api_key: str,
    auth_scheme: AuthScheme = "Bearer",
    transport: httpx2.AsyncBaseTransport | None = None,
    network: NetworkPath = DIRECT,
    observer: Observer | None = None,
    waiting: Waiting = nullcontext,
) -> AsyncIterator[Upstream]:
    """Opens an `Upstream` at `base_url`, and closes its connections at the end of the block.

    With the scheme `Basic`, make `api_key` with `basic_key`. `transport` replaces the network, for instance by the
    embedded sandbox. `observer` is told of each attempt. Each request, with its
    repeated attempts, is sent in a block of its own `waiting()`. `network` names further authorities and a proxy.
    """

    @cache
    def connect() -> _Connections:
        open_transport = transport or network.open()
        closing.push_async_callback(open_transport.aclose)
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": f"roadster-mcp/{version('roadster-mcp')}",
        }
        return _Connections(open_transport, base_url.rstrip("/"), [*headers.items()])

    async with AsyncExitStack() as closing:
        yield Upstream(connect, Credentials(auth_scheme, api_key), observer or NoObserver(), waiting)

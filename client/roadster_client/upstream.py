"""One upstream API over one pooled HTTP client: what a call passes on its way, and what becomes of its answer.

A call passes, from the outside in: the breaker of its dealer and operation, the deadline, one to three attempts, and
for each of these the admission. httpx2's own timeouts are for each read, so a body of one byte a second would never
time out; its decompression and its redirects have no limit of ours. Hence the total deadline, the inflating under
a cap, and redirects that count as malformed answers.
"""

from __future__ import annotations

import re
import ssl
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version
from typing import Any, Literal
from urllib.parse import quote

import anyio
import httpx2
from pydantic_core import from_json

from . import errors
from .admission import AT_ONCE, LONGEST_PAUSE, Admission
from .breaker import Breaker
from .models.scalars import Audience, Sent
from .observer import Attempt, Observer, Unobserved
from .operations import Operation
from .retries import RetryBudget, attempts

AuthScheme = Literal["Bearer", "Token", "Basic", "none"]

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""After decompression. The largest documented answer is about 16 KB, a page of 100 vehicles about 150 KB."""

EXCHANGE = "roadster_client.request"
"""The extension of an HTTP request that holds the `Request` it was made of, for a transport that records."""

MAX_ANSWER_VALUES = 100_000
"""Each takes up to a hundred bytes once it is parsed, and some microseconds in which nobody else is served. A dealer's
templates, which come whole, have eleven in each field: 9,000 fields are let through."""

_CONNECT_SECONDS = 5.0


About = Callable[[], Awaitable[Mapping[str, Any]]]
"""Looks up what the ids in a write name, as it is then, for the person who is asked: unmasked. Raises ClientError."""


async def about_nothing() -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Request:
    """What one call sends: everything but base URL and credentials. `content` is its body without the dealer."""

    operation: Operation
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str | int | float] = field(default_factory=dict)
    content: Sent | None = None
    dealer: Mapping[str, Any] = field(default_factory=dict)
    """What is added to a body to name the dealer: `{"dealer": {"dpid": …}}`, or the bare `{"dpid": …}`."""
    about: About = about_nothing
    """By the request's own names where it says more of what stands there, by new ones where it adds something."""

    @property
    def body(self) -> dict[str, Any] | None:
        """The JSON object that is sent."""
        return None if self.content is None else self._addressed(self.content.wire())

    def shown_to(self, audience: Audience) -> dict[str, Any]:
        """Method, path, query and body as `audience` may read them."""
        shown: dict[str, Any] = {"method": self.operation.method, "path": self.target}
        if self.query:
            shown["query"] = dict(self.query)
        if self.content is not None:
            shown["body"] = self._addressed(self.content.shown_to(audience))
        return shown

    def _addressed(self, body: dict[str, Any]) -> dict[str, Any]:
        return {**body, **self.dealer}

    @property
    def target(self) -> str:
        """The path below the base URL, parameters filled in and escaped."""
        return self.operation.path.format_map({name: quote(value, safe="") for name, value in self.path.items()})


@dataclass(frozen=True)
class Answer:
    """A 2xx answer as parsed JSON. `request_id` is the upstream's own, where it sends one."""

    request: Request
    json: Any
    request_id: str | None

    def malformed(self, reason: str) -> errors.ClientError:
        """The error for an answer that cannot be used: for a write, it leaves the outcome open."""
        lost = _spoilt(self.request.operation, reason, self.request_id)
        return errors.outcome_unknown(lost) if self.request.operation.writes else lost

    def foreign(self) -> errors.ClientError:
        """The error for an answer that names another dealer than was asked for."""
        operation = self.request.operation
        if operation.writes:
            return self.malformed("names another dealer and was withheld")
        return errors.ForeignDealer(
            f"{operation.name}: the answer names another dealer and was withheld",
            operation=operation.name,
            request_id=self.request_id,
        )


@dataclass(frozen=True)
class Lane:
    """Whose call it is: callers share an upstream fairly, and each dealer has breakers of its own."""

    caller: str = ""
    dealer: str | None = None


_NOBODY = Lane()


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

    async def send(self, request: Request, lane: Lane = _NOBODY) -> Answer:
        """The parsed answer to `request`, or one of `errors`."""
        breaker = self._breaker(lane.dealer, request.operation.name)
        try:
            with breaker.guarding(request.operation):
                return await self._in_time(request, lane.caller)
        except errors.Unreachable:
            raise
        except (errors.Unavailable, errors.TimedOut, errors.MalformedAnswer) as error:
            if request.operation.writes:
                raise errors.outcome_unknown(error) from None
            raise
        finally:
            (self._open.add if breaker.is_open else self._open.discard)(breaker)
            self._observer.breakers_open(request.operation.api, len(self._open))

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
        begin_by = anyio.current_time() + operation.begins_within
        with anyio.move_on_after(operation.deadline) as in_time:
            async for attempt in attempts(operation, self._budget, begin_by):
                with attempt, self._observed(operation, attempt.num, in_time) as observed:
                    async with self._admission.turn(operation, caller, begin_by):
                        observed.begins()
                        return await self._attempt(request, observed)
        raise errors.TimedOut(
            f"{operation.name}: no answer came within {operation.deadline:g} seconds", operation=operation.name
        )

    @contextmanager
    def _observed(self, operation: Operation, number: int, in_time: anyio.CancelScope) -> Iterator[Attempt]:
        observed = self._observer.attempt(operation, number)
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
            observed.ended(outcome)

    async def _attempt(self, request: Request, observed: Attempt) -> Answer:
        operation = request.operation
        try:
            status, headers, content = await self._exchange(request)
            observed.answered(status)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            if _refuses_certificate(error):
                raise errors.Untrusted(
                    f"{operation.name}: the upstream's certificate is not good for its name", operation=operation.name
                ) from None
            raise errors.Unreachable(
                f"{operation.name}: no connection to the upstream", operation=operation.name
            ) from None
        except httpx2.TransportError:
            raise errors.Unavailable(f"{operation.name}: the connection was lost", operation=operation.name) from None
        request_id = _request_id(headers)
        _raise_for_status(operation, status, headers, content, request_id)
        if not content and operation.may_be_empty:
            return Answer(request, None, request_id)
        answer = Answer(request, _parse(operation, headers, content, request_id), request_id)
        said = answer.json if isinstance(answer.json, dict) else {}
        if operation.writes and said.get("errors"):  # a success with errors: nobody knows what was done
            raise answer.malformed("holds errors beside its result")
        if said.get("status") == "error" or said.get("errors"):
            # Documented with 400 and seen with 200; myKaarma documents errors inside a 200.
            raise errors.refused(status, answer.json, operation=operation.name, request_id=request_id)
        return answer

    async def _exchange(self, request: Request) -> tuple[int, httpx2.Headers, bytes]:
        async with self._http.stream(
            request.operation.method,
            request.target,
            params=dict(request.query),
            json=request.body,
            extensions={EXCHANGE: request},
        ) as response:
            content = await read_capped(response, request.operation)
            return response.status_code, response.headers, content


def _refuses_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


async def read_capped(response: httpx2.Response, operation: Operation) -> bytes:
    """The body, decompressed. Raises MalformedAnswer where it is larger than `MAX_ANSWER_BYTES`."""
    # The raw stream, because httpx2 would inflate a whole chunk before anyone can look at its size.
    gzip = response.headers.get("content-encoding", "identity").lower() == "gzip"
    inflate = zlib.decompressobj(wbits=31) if gzip else None
    content = bytearray()
    received = 0
    try:
        async for chunk in response.aiter_raw():
            received += len(chunk)  # gzip can go on for ever and come to nothing
            content += inflate.decompress(chunk, MAX_ANSWER_BYTES + 1 - len(content)) if inflate else chunk
            if max(received, len(content)) > MAX_ANSWER_BYTES:
                raise _spoilt(operation, f"is larger than {MAX_ANSWER_BYTES} bytes")
    except zlib.error:
        raise _spoilt(operation, "cannot be decompressed") from None
    return bytes(content)


def _raise_for_status(
    operation: Operation, status: int, headers: httpx2.Headers, content: bytes, request_id: str | None
) -> None:
    name = operation.name
    match status:
        case _ if status // 100 == 2:  # noqa: PLR2004
            return
        case _ if status // 100 == 3:  # noqa: PLR2004
            raise _spoilt(operation, "is a redirect, which is never followed", request_id)
        case 401 | 403:
            raise errors.Unauthorised(
                f"{name}: the upstream does not accept our credentials ({status})",
                operation=name,
                request_id=request_id,
            )
        case 404:
            raise errors.NotFound(f"{name}: not found", operation=name, request_id=request_id)
        case 429:
            raise errors.RateLimited(
                f"{name}: the upstream asks for fewer requests",
                retry_after=_retry_after(headers),
                operation=name,
                request_id=request_id,
            )
        case _ if status // 100 == 4 and status != httpx2.codes.REQUEST_TIMEOUT:  # noqa: PLR2004
            raise errors.refused(status, _error_body(content), operation=name, request_id=request_id)
    raise errors.Unavailable(
        f"{name}: the upstream failed with {status}",
        operation=name,
        request_id=request_id,
        retry_after=_retry_after(headers),
        status=status,
    )


def _request_id(headers: httpx2.Headers) -> str | None:
    """The upstream's own id for the exchange, as far as it looks like one: it goes into the audit."""
    given = headers.get("x-request-id", "")
    return given if re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", given) else None


def _error_body(content: bytes) -> Any:
    try:
        return None if _has_too_many_values(content) else from_json(content, allow_inf_nan=False)
    except ValueError:
        return None


def _retry_after(headers: httpx2.Headers) -> float | None:
    """What Retry-After asks for, in seconds from now, and no more than `LONGEST_PAUSE`: it may be seconds or a date."""
    given = headers.get("retry-after", "")[:40]
    if re.fullmatch("[0-9]+", given):
        return min(float(given), LONGEST_PAUSE)
    try:
        at = parsedate_to_datetime(given)
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_PAUSE)


def _parse(operation: Operation, headers: httpx2.Headers, content: bytes, request_id: str | None) -> Any:
    media_type = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if not content:
        raise _spoilt(operation, "is empty", request_id)
    if media_type in _WEB_PAGES:
        raise _spoilt(operation, "is a web page, often a login: check the credentials", request_id)
    if not _JSON.fullmatch(media_type):
        raise _spoilt(operation, "is not declared as JSON", request_id)
    if _has_too_many_values(content):
        raise _spoilt(operation, f"has more than {MAX_ANSWER_VALUES} values", request_id)
    try:
        return from_json(content, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        raise _spoilt(operation, "is not JSON", request_id) from None


def _has_too_many_values(content: bytes) -> bool:
    """Before anything is made of them. Each stands behind a comma or a bracket; those in texts count too."""
    return sum(map(content.count, (b",", b"[", b"{"))) > MAX_ANSWER_VALUES


_WEB_PAGES = ("text/html", "application/xhtml+xml")
_JSON = re.compile(r"(application|text)/([\w.-]+\+)?json")


def _spoilt(operation: Operation, reason: str, request_id: str | None = None) -> errors.MalformedAnswer:
    return errors.MalformedAnswer(
        f"{operation.name}: the answer {reason}", operation=operation.name, request_id=request_id
    )


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
        yield Upstream(connect, observer or Unobserved())

"""Upstreams for tests of the client: the sandbox with an eye on it, and time that passes at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from roadster_client import (
    OPERATIONS,
    ChannelPolicy,
    ClientError,
    DealerApi,
    DealerRef,
    Origin,
    Request,
    RoadsterApi,
    open_upstream,
)
from roadster_client.models.customers import CustomerContact, NewCustomer
from roadster_sandbox import API_KEY

STEVE = NewCustomer(customer=CustomerContact(first_name="Steve", last_name="McQueen", email="steve@example.com"))
UMAZDA = DealerRef("umazda", partner_id="51101")


class VirtualTime(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer whenever nothing else is left to do: no test waits, all is exact."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self._now

    def pass_by(self, seconds: float) -> None:
        self._now += seconds


class _Jumping(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    def __init__(self, loop: VirtualTime) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self._loop.pass_by(timeout)
        return ready


VIRTUAL_TIME = ("asyncio", {"loop_factory": VirtualTime})
"""What the fixture `anyio_backend` returns for it."""


class Watched(httpx2.AsyncBaseTransport):
    """Hands each request to `answer`; `seen` are those that came, with the loop's time."""

    def __init__(self, answer: Callable[[httpx2.Request], Awaitable[httpx2.Response]]) -> None:
        self._answer = answer
        self.seen: list[tuple[float, httpx2.Request]] = []

    @property
    def times(self) -> list[float]:
        return [time for time, _ in self.seen]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append((asyncio.get_running_loop().time(), request))
        return await self._answer(request)


def ok(body: bytes = b'{"vehicles": []}', status: int = 200, **headers: str) -> httpx2.Response:
    """An answer to `list_inventory`, unless told otherwise."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, headers=named, stream=httpx2.ByteStream(body))


async def approve(_request: Request) -> None:
    """Every write is allowed."""


Bound = Callable[..., DealerApi]
"""Gives a client for a caller and a breaker's dealer; the dealer that it asks for is always umazda."""


@asynccontextmanager
async def opened(transport: httpx2.AsyncBaseTransport | None, url: str = "http://sandbox/v1") -> AsyncIterator[Bound]:
    async with open_upstream(url, api_key=API_KEY, transport=transport) as upstream:
        api = RoadsterApi(upstream, OPERATIONS)

        def bound(caller: str = "tester", dealer: str = "umazda") -> DealerApi:
            return api.for_dealer(UMAZDA, ChannelPolicy(approve, origin=Origin(caller, dealer)))

        yield bound


async def outcome(call: Awaitable[object]) -> ClientError | None:
    """The error of a call, None where it was answered."""
    try:
        await call
    except ClientError as error:
        return error
    return None

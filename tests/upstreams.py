"""Upstreams for tests of the client: the sandbox behind a watched network, and a clock that jumps."""

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
    """A loop whose clock jumps to the next timer when all else is done. Times are exact, and no test waits."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        self._now += seconds


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    def __init__(self, loop: VirtualTime) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self._loop.jump(timeout)
        return ready


VIRTUAL_TIME = ("asyncio", {"loop_factory": VirtualTime})
"""A value for the fixture `anyio_backend`."""


class WatchedNetwork(httpx2.AsyncBaseTransport):
    """A network that passes each request to `answer`, and remembers it in `requests` with the loop's time."""

    def __init__(self, answer: Callable[[httpx2.Request], Awaitable[httpx2.Response]]) -> None:
        self._answer = answer
        self.requests: list[tuple[float, httpx2.Request]] = []

    @property
    def times(self) -> list[float]:
        return [time for time, _ in self.requests]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append((asyncio.get_running_loop().time(), request))
        return await self._answer(request)


def reply(body: bytes = b'{"vehicles": []}', status: int = 200, **headers: str) -> httpx2.Response:
    """Returns a response, by default a good one to `list_inventory`. In names of headers, `_` stands for `-`."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, headers=fields, stream=httpx2.ByteStream(body))


async def approve(_request: Request) -> None:
    """Allows every write."""


ClientFor = Callable[..., DealerApi]
"""Returns a client for a caller, and for a dealer that has its own breakers. The requests always name umazda."""


@asynccontextmanager
async def open_clients(
    transport: httpx2.AsyncBaseTransport | None, url: str = "http://sandbox/v1"
) -> AsyncIterator[ClientFor]:
    async with open_upstream(url, api_key=API_KEY, transport=transport) as upstream:
        api = RoadsterApi(upstream, OPERATIONS)

        def client_for(caller: str = "tester", dealer: str = "umazda") -> DealerApi:
            return api.for_dealer(UMAZDA, ChannelPolicy(approve, origin=Origin(caller, dealer)))

        yield client_for


async def error_of(call: Awaitable[object]) -> ClientError | None:
    """Returns the error of a call, or None if it succeeds."""
    try:
        await call
    except ClientError as error:
        return error
    return None

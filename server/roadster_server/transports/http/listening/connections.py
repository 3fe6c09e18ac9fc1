"""The places of connections: so many in all and from one address. Streams have places of their own.

A connection takes a place when it is accepted, before anybody has shown a token. When its caller opens a stream, it
moves to the places of streams. So a flood of connections without a token takes no place of a stream. One address never
has more than a quarter of all places, so it leaves some for everybody else, also where descriptors are few. Where many
addresses take all places, the connection that has waited longest for a request makes room for a new one.
"""

from __future__ import annotations

import ipaddress
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

from roadster_server.settings.sections.http import HttpSettings
from roadster_server.telemetry.logs import log

_TELL_EVERY = 60.0
"""Seconds between two lines of the log about connections that were refused."""
_PARTS = 4
"""One address may have one of them."""
_NETWORK_BITS = 64
"""The first bits of an IPv6 address, which are those of a network. One client can have all addresses of it."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Limit(NamedTuple):
    """The largest number of connections, and the `name` of what decides it: a setting, or the limit of descriptors."""

    number: int
    name: str


class TooManyConnections(Exception):
    """There is no place. `limit` is the one that decided."""

    def __init__(self, limit: Limit) -> None:
        super().__init__(limit.name)
        self.limit = limit


class ConnectionPlace:
    """The place of one connection, until it is `free`d. `address` is None for connections of a trusted proxy."""

    def __init__(self, connections: Connections, address: str | None) -> None:
        self._connections = connections
        self.address = address
        self._is_free = False
        self._is_stream = False

    def free(self) -> None:
        if not self._is_free:
            self._connections.count(self, -1, is_stream=self._is_stream)
            self._is_free = True

    @contextmanager
    def as_stream(self) -> Iterator[None]:
        """Moves the connection to the places of streams. Raises TooManyConnections."""
        self._connections.require_place_for_stream()
        self._move(is_stream=True)
        try:
            yield
        finally:
            if not self._is_free:
                self._move(is_stream=False)

    def _move(self, *, is_stream: bool) -> None:
        self._connections.count(self, -1, is_stream=self._is_stream)
        self._is_stream = is_stream
        self._connections.count(self, +1, is_stream=is_stream)


class Connections:
    """The connections of this process. Its `descriptors` allow so many, and as many streams."""

    def __init__(self, settings: Callable[[], HttpSettings], descriptors: Limit) -> None:
        self._settings = settings
        self._descriptors = descriptors
        self._served = 0
        self._streams = 0
        self._of_address: Counter[str] = Counter()
        self._refused = 0
        self._next_line = float("-inf")

    def take_place(self, host: str | None, make_room: Callable[[], None] = lambda: None) -> ConnectionPlace:
        """Takes a place for a connection from `host`. Raises TooManyConnections, and says so in the log.

        Where all places are taken, and not too many by this address, `make_room` may free one.
        """
        settings = self._settings()
        address = _counted_address(host, settings.trusted_proxies)
        in_all = self._in_all()
        of_address = min(
            Limit(settings.connections_per_address, "http.connections_per_address"),
            Limit(max(1, in_all.number // _PARTS), f"a quarter of {in_all.name}"),
        )
        if address is not None and self._of_address[address] >= of_address.number:
            raise self._refusal(of_address)
        if self._served >= in_all.number:
            self._tell("too many connections, the one that waits longest makes room", in_all)
            make_room()
        if self._served >= in_all.number:
            raise self._refusal(in_all)
        place = ConnectionPlace(self, address)
        self.count(place, +1, is_stream=False)
        return place

    def require_place_for_stream(self) -> None:
        """Raises TooManyConnections, and says so in the log."""
        in_all = self._in_all()
        if self._streams >= in_all.number:
            raise self._refusal(in_all)

    def tell_where_descriptors_decide(self) -> None:
        """Says so in the log, with both numbers."""
        in_all = self._in_all()
        most = self._settings().connections
        if in_all.number < most:
            log.warning(
                "fewer connections than http.connections",
                extra={"connections": in_all.number, "wanted": most, "limit": in_all.name},
            )

    def count(self, place: ConnectionPlace, difference: int, *, is_stream: bool) -> None:
        if is_stream:
            self._streams += difference
            return
        self._served += difference
        if place.address is not None:
            self._of_address[place.address] += difference
            if not self._of_address[place.address]:
                del self._of_address[place.address]

    def _in_all(self) -> Limit:
        return min(Limit(self._settings().connections, "http.connections"), self._descriptors)

    def _refusal(self, limit: Limit) -> TooManyConnections:
        self._refused += 1
        self._tell("too many connections, more are refused", limit)
        return TooManyConnections(limit)

    def _tell(self, event: str, limit: Limit) -> None:
        """Says so in the log, unless it has said something of this kind a moment ago."""
        if time.monotonic() >= self._next_line:
            log.warning(event, extra={"limit": limit.name, "allowed": limit.number, "refused": self._refused})
            self._next_line = time.monotonic() + _TELL_EVERY


def _counted_address(host: str | None, trusted_proxies: Sequence[str]) -> str | None:
    """Returns what connections from `host` are counted under. One from a trusted proxy may be anybody's."""
    if host is None:
        return None
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:  # a Unix socket has no address
        return None
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    if any(address in network for network in _networks(tuple(trusted_proxies))):
        return None
    bits = _NETWORK_BITS if address.version == 6 else address.max_prefixlen  # noqa: PLR2004 - IPv6
    return str(ipaddress.ip_network((address, bits), strict=False))


@lru_cache(maxsize=4)
def _networks(proxies: tuple[str, ...]) -> list[_Network]:
    return [ipaddress.ip_network(proxy) for proxy in proxies]

"""The file descriptors of this process, and how many connections fit below their limit.

asyncio accepts a whole backlog of connections before it looks at the first of them. Where descriptors run out in that
moment, it stops accepting for a second, logs that for each one, and begins anew. So there is always room for a backlog.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

_WITHOUT_LIMIT = 8192
"""Descriptors, where the system has no limit or does not tell: Windows, macOS."""
_OWN_DESCRIPTORS = 256
"""For the store, Redis, upstreams, logs and files."""
_LONGEST_BACKLOG = 256
_BACKLOGS_ON_THE_WAY = 4
"""The turns of the event loop from a connection that is accepted to one that is refused and closed."""


class Room(NamedTuple):
    """The descriptors for clients: for `connections`, for as many streams, and for the `backlog` of the listener."""

    connections: int
    backlog: int


def room_below(limit: int) -> Room:
    """Returns the room in a process that may have `limit` descriptors."""
    backlog = max(1, min(_LONGEST_BACKLOG, limit // 16))
    places = limit - min(_OWN_DESCRIPTORS, limit // 4) - _BACKLOGS_ON_THE_WAY * backlog
    return Room(places // 2, backlog)


def raise_limit() -> int:
    """Raises the limit of descriptors as far as it goes, and returns it."""
    try:
        import resource  # noqa: PLC0415 - Windows has none
    except ImportError:
        return _WITHOUT_LIMIT
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = hard if hard != resource.RLIM_INFINITY else max(soft, _WITHOUT_LIMIT)
    with suppress(ValueError, OSError):  # a service manager may forbid it
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return limit if limit != resource.RLIM_INFINITY else _WITHOUT_LIMIT

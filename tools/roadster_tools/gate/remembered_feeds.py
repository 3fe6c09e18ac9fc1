"""The VINs of dealers' feeds, remembered for a minute, so that many refused VINs do not read a feed as often."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import anyio

_SECONDS = 60.0
"""A car that came into the feed since then is missing only in the proposals of a refusal."""


@dataclass
class _Feed:
    begun_at: float
    vins: list[str] = field(default_factory=list)
    is_begun: bool = False
    lock: anyio.Lock = field(default_factory=anyio.Lock)


class RememberedFeeds:
    """The feeds by dealer. Each is read at most once a minute, also where that fails or takes too long."""

    def __init__(self) -> None:
        self._feeds: dict[str, _Feed] = {}

    async def vins(self, dealer: str, read: Callable[[], AsyncIterator[str]]) -> list[str]:
        """Returns the VINs that `read` gave within the last minute, or gives now. Raises what `read` raises."""
        now = anyio.current_time()
        self._feeds = {name: feed for name, feed in self._feeds.items() if now - feed.begun_at < _SECONDS}
        feed = self._feeds.setdefault(dealer, _Feed(now))
        async with feed.lock:  # calls at the same time wait for the first one
            if not feed.is_begun:
                feed.is_begun = True
                async for vin in read():
                    feed.vins.append(vin)
        return feed.vins

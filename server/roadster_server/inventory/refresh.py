"""The refresh of one dealer's mirror: the feed is read whole or since the last time, and put into the store."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from roadster_client import DealerApi, LeftOut
from roadster_server.store.lazy import LazyStore
from roadster_server.store.mirror_records import MirrorState, NewVehicle
from roadster_server.telemetry.logs import log
from roadster_tools.toolsets.feed import PAGE, FeedWalk
from roadster_tools.turns import InTurns

DAY = 24 * 60 * 60 * 1000
"""Milliseconds after which the whole feed is read anew, because an update says nothing of a vehicle that vanished."""
WHOLE_EVERY = 15 * 60 * 1000
"""The same for a feed that does not honour `updated_since`."""
LEASE = 120 * 1000
"""Milliseconds that a process may take for one page. Afterwards another process goes on in its place."""
_CLOCKS_DIFFER = 60 * 1000
"""Milliseconds by which the clock of another process may be ahead."""
_OVERLAP = 300
"""Seconds. The upstream's clock may be so far behind ours."""
_PAGES_OF_UPDATES = 5
"""After so many pages of updates the feed is asked whether it honours `updated_since` at all."""
_MOST_VEHICLES = 100_000
"""The most of one reading. A feed that repeats its pages has no end."""
_LONGEST_VIN = 100
"""Characters. A row with a longer one counts as one that cannot be read."""


def now() -> int:
    """Returns the milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def is_within(time: int, milliseconds: int, now: int) -> bool:
    """Tells whether a time lies at most so many milliseconds back. One in the future is that of a wrong clock."""
    return -_CLOCKS_DIFFER <= now - time <= milliseconds


class LeaseLost(Exception):
    """Another process refreshes the mirror by now."""


@dataclass
class FeedReading:
    """One refresh, by the holder of the lease. Each page is stored before the next one is read.

    `feed` tells `left_out` what cannot be read of its rows. `on_fresh` runs once the mirror is as the feed is now, and
    `on_step` as the reading goes on.
    """

    store: LazyStore
    dealer: str
    feed: DealerApi
    left_out: Counter[LeftOut]
    holder: str
    state: MirrorState
    on_fresh: Callable[[], None]
    on_step: Callable[[str], None]
    _new: list[NewVehicle] = field(default_factory=list)
    _request_time: int = 0
    """The time at which the page in `_new` was asked for."""

    async def run(self, *, has_updates: bool) -> None:
        """Reads what is due. `has_updates` says that the mirror is older than it may be.

        Raises ClientError, StoreError and LeaseLost. What was read until then stays.
        """
        can_update = self.state.whole and not self.state.ignores_updates and not _is_ahead(self.state, now())
        if has_updates and can_update:
            await self._read_updates()
        if is_whole_due(self.state, now()):
            await self._read_whole()

    async def _read_updates(self) -> None:
        start = now()
        since = self.state.as_of // 1000 - _OVERLAP
        walk = FeedWalk(self.feed, in_stock_only=False, count=None, updated_since=since)
        pages = 0
        while not walk.is_over and pages * PAGE < _MOST_VEHICLES:
            _, unread = await self._read_page(walk)
            # Each row comes several times within the overlap, so it is not added.
            self.state = replace(self.state, unread=max(self.state.unread, unread))
            await self._put()
            pages += 1
            if pages == _PAGES_OF_UPDATES and not await self.feed.honours_updated_since(start // 1000):
                log.warning("the feed ignores updated_since", extra={"dealer": self.dealer})
                self.state = replace(self.state, ignores_updates=True)
                await self._put()
                return
        self.state = replace(self.state, as_of=start, failure=0)
        await self._put()
        self.on_fresh()

    async def _read_whole(self) -> None:
        self._begin_whole()
        state = self.state
        walk = FeedWalk(self.feed, in_stock_only=False, position=state.position, passed=state.skip, count=state.count)
        while not walk.is_over and self.state.count < _MOST_VEHICLES:
            rows, unread = await self._read_page(walk)
            count, total = self.state.count + rows, walk.total
            self.state = replace(
                self.state,
                position=walk.position,
                skip=walk.passed,
                count=count,
                unread=self.state.unread + unread,
            )
            await self._put()
            self.on_step(f"reading the dealer's inventory: {count:,} vehicles" + (f" of {total:,}" if total else ""))
        is_readable = self.state.unread * 2 <= self.state.count and not walk.is_stuck
        await self._end_whole(is_complete=is_readable and walk.is_over and not walk.is_short)

    def _begin_whole(self) -> None:
        """Begins at the start of the feed, or goes on where an earlier reading of this day was interrupted."""
        if not self.state.start or now() - self.state.start > DAY:
            self.state = replace(self.state, start=now(), position=None, skip=0, count=0, unread=0)

    async def _end_whole(self, *, is_complete: bool) -> None:
        start = self.state.start
        honours_updates = await self.feed.honours_updated_since(now() // 1000)
        if not honours_updates:
            log.warning("the feed ignores updated_since", extra={"dealer": self.dealer})
        if not is_complete:
            log.warning("the feed ended early", extra={"dealer": self.dealer})
        self.state = replace(
            self.state,
            as_of=start if _is_ahead(self.state, now()) else max(self.state.as_of, start),
            whole=start,
            start=0,
            position=None,
            skip=0,
            failure=0,
            ignores_updates=not honours_updates,
        )
        await self._put(unseen_before=start if is_complete else None)
        self.on_fresh()

    async def _read_page(self, walk: FeedWalk) -> tuple[int, int]:
        """Reads the next page into `_new`. Returns its rows, and how many of them could not be read."""
        count = unread = 0
        self._request_time = now()
        self.left_out.clear()
        async for vehicle in InTurns(await walk.next_rows()):
            count += 1
            if vehicle is None or len(vehicle.vin) > _LONGEST_VIN:
                unread += 1
            else:
                self._new.append(NewVehicle(vehicle, tuple(sorted({kind.path for kind in self.left_out}))))
            self.left_out.clear()
        return count, unread

    async def _put(self, *, unseen_before: int | None = None) -> None:
        self.state = replace(self.state, lease=now() + LEASE)
        # The clock of the process that began a reading may be ahead of this one's.
        seen = max(now(), self.state.start, unseen_before or 0)
        is_own = await self.store.put_vehicles(
            self.dealer,
            self.holder,
            self.state,
            self._new,
            now=seen,
            request_time=self._request_time,
            unseen_before=unseen_before,
        )
        self._new = []
        if not is_own:
            raise LeaseLost


def is_whole_due(state: MirrorState, time: int) -> bool:
    """Tells whether the whole feed is to be read."""
    if state.start > 0 or _is_ahead(state, time):
        return True
    return time - state.whole > (WHOLE_EVERY if state.ignores_updates else DAY)


def _is_ahead(state: MirrorState, time: int) -> bool:
    """Tells whether the clock was ahead when the feed was read. Updates since then would leave out the time between."""
    return max(state.as_of, state.whole) > time + _CLOCKS_DIFFER

"""The mirrors of the dealers' feeds: each is filled at the first search, and refreshed by the searches after it.

One refresh at a time reads a dealer's feed, in all processes: it holds a lease in the store. It goes on if the call
that began it ends. A call waits for it only if it began it, and not for long, or if there is nothing to answer from.
"""

from __future__ import annotations

import asyncio
import contextvars
import uuid
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import anyio

from roadster_client import ClientError, DealerApi, ForeignDealer, LeftOut, OnLeftOut, Unavailable
from roadster_server.store import StoreError
from roadster_server.store.lazy import LazyStore
from roadster_server.store.mirror_records import MirrorState, StockNumbers
from roadster_server.telemetry.logs import log, log_crash
from roadster_tools.gate.vehicles import Late, StockQuery, StockState

from .refresh import LEASE, WHOLE_EVERY, FeedReading, LeaseLost, is_whole_due, is_within, now

FeedOf = Callable[[OnLeftOut], DealerApi]
"""Returns the client of a dealer's feed, which tells what cannot be read of its rows."""
OPERATION = "list_inventory"

_RETRY_AFTER = 60 * 1000
"""Milliseconds at most from a failed refresh to the next attempt."""
_MOST_NUMBERS = 200
"""Searches."""
_MOST_GROUPS = 50_000
"""Groups of vehicles in the numbers of these searches. Where each vehicle has a trim of its own, each is a group."""
_MOST_STOCK_STATES = 1000


@dataclass
class _Refresh:
    """A refresh that runs. `is_fresh` is set once the mirror is as the feed is, or the refresh has ended."""

    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    is_fresh: anyio.Event = field(default_factory=anyio.Event)
    step: str = "reading the dealer's inventory for the first time"
    error: ClientError | StoreError | None = None
    task: asyncio.Task[None] | None = None

    def set_step(self, step: str) -> None:
        self.step = step


@dataclass
class Mirrors:
    """The mirrors of one process. `fresh_for` is in seconds, 0 for none. Call `close` before the store is closed."""

    store: LazyStore
    fresh_for: Callable[[], int]
    report: Callable[[str], None]
    """Tells a client that waits what its call waits for."""
    patience: float = 5.0
    """Seconds that a call waits for the refresh that it began, if there is a state to answer from."""
    pause: float = 0.5
    """Seconds between two looks at what another process does."""
    _running: dict[str, _Refresh] = field(default_factory=dict)
    _numbers: OrderedDict[tuple[str, MirrorState, StockQuery], StockNumbers] = field(default_factory=OrderedDict)
    """The numbers of the last searches. A mirror's state changes with each refresh, and a lookup drops its dealer's."""
    stock_states: OrderedDict[tuple[str, str], StockState] = field(default_factory=OrderedDict)
    """The stock of vehicles that the feed was asked for, by dealer and VIN. One is quoted many times in a row."""

    async def close(self) -> None:
        """Ends the refreshes. What they have read stays, and the next one goes on from there."""
        for refresh in self._running.values():
            refresh.scope.cancel()
        with anyio.CancelScope(shield=True):
            while tasks := [refresh.task for refresh in self._running.values() if refresh.task]:
                await asyncio.wait(tasks)

    async def numbers(self, dealer: str, state: MirrorState, query: StockQuery) -> StockNumbers:
        """Returns numbers about a search. The parts of a long answer, and all callers, share them until a refresh."""
        key = (dealer, state, query)
        numbers = self._numbers.get(key)
        if numbers is None:
            numbers = self._numbers[key] = await self.store.count_vehicles(dealer, query)
            while len(self._numbers) > _MOST_NUMBERS or sum(map(_size, self._numbers.values())) > _MOST_GROUPS:
                self._numbers.popitem(last=False)
        return numbers

    def keep_stock(self, dealer: str, vin: str, state: StockState) -> None:
        self.stock_states[dealer, vin] = state
        if len(self.stock_states) > _MOST_STOCK_STATES:
            self.stock_states.popitem(last=False)

    def drop_numbers(self, dealer: str) -> None:
        for key in [key for key in self._numbers if key[0] == dealer]:
            del self._numbers[key]

    async def current(self, dealer: str, feed: FeedOf) -> tuple[MirrorState, Late | None] | None:
        """Returns the state of a mirror that can be searched, and why it is older than wanted, None where it is not.

        Returns None while another process is to fill the mirror and does not get on. Raises ClientError where the feed
        cannot be read for the first time or names another dealer, and StoreError.
        """
        state = await self.store.mirror_state(dealer)
        if not state.whole:
            return await self._fill(dealer, feed)
        late = self._lateness(state)
        if late is None:
            if is_whole_due(state, now()) and not self._has_just_failed(state):
                self._start(dealer, feed)
            return state, None
        if late == "unanswered" or dealer in self._running:
            return state, late
        refresh = self._start(dealer, feed)
        with anyio.move_on_after(self.patience):
            await refresh.is_fresh.wait()
        if isinstance(refresh.error, ForeignDealer):
            raise refresh.error
        before, state = state, await self.store.mirror_state(dealer)
        is_newer = refresh.is_fresh.is_set() and state.as_of > before.as_of
        return state, None if is_newer else self._lateness(state)

    async def _fill(self, dealer: str, feed: FeedOf) -> tuple[MirrorState, Late | None] | None:
        """Waits until the mirror has been filled, by this process or another one.

        Returns None if nothing has come from the other one for `patience`: it may have died with the lease.
        """
        last, wait_until = MirrorState(), 0.0
        while True:
            refresh = self._start(dealer, feed)
            while not refresh.is_fresh.is_set():
                self.report(refresh.step)
                with anyio.move_on_after(self.pause):
                    await refresh.is_fresh.wait()
            if refresh.error is not None:
                raise refresh.error
            state = await self.store.mirror_state(dealer)
            if state.whole:
                # A long reading is old when it ends, but nothing newer is under way.
                return state, None
            if state != last:
                last, wait_until = state, anyio.current_time() + self.patience
            elif anyio.current_time() > wait_until:
                return None
            self.report("another process reads the dealer's inventory for the first time")
            await anyio.sleep(self.pause)

    def _lateness(self, state: MirrorState) -> Late | None:
        fresh_for = self.fresh_for() * 1000
        # A feed that ignores `updated_since` is read whole each time, so it is read less often.
        limit = max(fresh_for, WHOLE_EVERY) if state.ignores_updates else fresh_for
        if is_within(state.as_of, limit, now()):
            return None
        return "unanswered" if self._has_just_failed(state) else "refreshing"

    def _has_just_failed(self, state: MirrorState) -> bool:
        """Tells whether it is too early to ask again: not every call should ask an upstream that fails."""
        return is_within(state.failure, min(self.fresh_for() * 1000, _RETRY_AFTER), now())

    def _start(self, dealer: str, feed: FeedOf) -> _Refresh:
        """Starts the refresh of a mirror, or returns the one that runs."""
        if dealer in self._running:
            return self._running[dealer]
        refresh = self._running[dealer] = _Refresh()
        # In a context of its own: it is no part of the call, nor of its progress, its trace, its wait for the store.
        refresh.task = asyncio.create_task(self._run(refresh, dealer, feed), context=contextvars.Context())
        return refresh

    async def _run(self, refresh: _Refresh, dealer: str, feed: FeedOf) -> None:
        try:
            with refresh.scope:
                await self._refresh(refresh, dealer, feed)
        except StoreError as error:
            log.error("inventory not kept", extra={"reason": str(error)})
            refresh.error = error
        except ClientError as error:
            refresh.error = error
        except Exception as error:  # noqa: BLE001 - a defect must not leave the calls waiting
            log_crash(error, tool=OPERATION)
            refresh.error = Unavailable(OPERATION, "the server failed on the inventory")
        finally:
            del self._running[dealer]
            refresh.is_fresh.set()

    async def _refresh(self, refresh: _Refresh, dealer: str, feed: FeedOf) -> None:
        holder = uuid.uuid4().hex
        state = await self.store.lease_mirror(dealer, holder, until=now() + LEASE, now=now())
        if state is None:
            return
        left_out = Counter[LeftOut]()
        reading = FeedReading(
            self.store,
            dealer,
            feed(left_out.update),
            left_out,
            holder,
            state,
            refresh.is_fresh.set,
            refresh.set_step,
        )
        try:
            # Another process may have refreshed the mirror before the lease was free.
            await reading.run(has_updates=self._lateness(state) is not None)
        except LeaseLost:
            return
        except BaseException as error:
            # A cancelled refresh, or a store that is gone, says nothing of the feed.
            has_failed = isinstance(error, Exception) and not isinstance(error, StoreError)
            failed = replace(reading.state, lease=0, failure=now() if has_failed else state.failure)
            await self._release(dealer, holder, failed)
            raise
        await self._release(dealer, holder, replace(reading.state, lease=0))

    async def _release(self, dealer: str, holder: str, state: MirrorState) -> None:
        with anyio.CancelScope(shield=True):
            await self.store.put_vehicles(dealer, holder, state, now=now())


def _size(numbers: StockNumbers) -> int:
    return len(numbers.groups)

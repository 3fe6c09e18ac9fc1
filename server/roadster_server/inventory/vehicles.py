"""One dealer's vehicles, as a call sees them: searched in the mirror, and looked up in the feed or the mirror."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import anyio

from roadster_client import ClientError, ForeignDealer, LeftOut, OnLeftOut, Reader
from roadster_client.leniency import ignore_left_out
from roadster_server.store import StoreError
from roadster_server.store.mirror_records import MirrorState, OtherVehicles, StockNumbers, StoredVehicle
from roadster_server.telemetry.logs import log
from roadster_server.turns import turn_given_back
from roadster_tools.gate.vehicles import (
    LastSeen,
    Late,
    MirroredVehicle,
    OtherStock,
    Sort,
    StockCounts,
    StockPage,
    StockPlace,
    StockQuery,
    StockState,
    stock_of,
)
from roadster_tools.toolsets.feed import find_in_feed

from .mirrors import OPERATION, FeedOf, Mirrors
from .refresh import now

_ResultT = TypeVar("_ResultT")

_ROW = LeftOut(OPERATION, "vehicles.*")


@dataclass(frozen=True)
class StoredVehicles:
    """The `VehicleMirror` of one dealer, for one call."""

    mirrors: Mirrors
    dealer: str
    reader: Reader
    feed: FeedOf
    on_left_out: OnLeftOut

    async def search(
        self, query: StockQuery, sort: Sort | None, *, after: StockPlace | None, most: int
    ) -> StockPage | None:
        if self.mirrors.fresh_for() == 0:
            return None
        store = self.mirrors.store
        try:
            with turn_given_back():
                current = await self.mirrors.current(self.dealer, self.feed)
            if current is None:
                return None
            state, late = current
            numbers = await self.mirrors.numbers(self.dealer, state, query)
            vehicles: list[StoredVehicle] = []
            if numbers.total:
                are_few = numbers.total * 2 < numbers.stock
                vehicles = await store.search_vehicles(
                    self.dealer, query, sort, after=after, most=most, are_few=are_few
                )
            others = await store.other_vehicles(self.dealer, query) if not vehicles and after is None else None
        except StoreError as error:
            log.error("inventory not read from the store", extra={"reason": str(error)})
            return None
        if state.unread:
            self.on_left_out(Counter({_ROW: state.unread}))
        is_unordered = sort == "newest" and bool(vehicles) and vehicles[0].place.value <= numbers.oldest
        return _page(query, self.reader, state, late, vehicles, numbers, others, is_unordered=is_unordered)

    async def feed_vin(self, vin: str) -> str | None:
        last = await self._last_seen(vin)
        return last.vehicle.feed_vin if last and last.vehicle else None

    async def look_up(self, vin: str, read: Callable[[], Awaitable[_ResultT]]) -> _ResultT | LastSeen:
        try:
            return await read()
        except ForeignDealer:
            raise
        except ClientError:
            last = await self._last_seen(vin)
            if last is None:
                raise
            return last

    async def stock_of(self, vin: str) -> StockState | None:
        """Waits for the feed no longer than for a refresh: a quote is worth more than what is said beside it.

        Raises ForeignDealer: an upstream that mixes up dealers is not to be trusted with the rest of the call.
        """
        fresh_for = timedelta(seconds=self.mirrors.fresh_for())
        known = self.mirrors.stock_states.get((self.dealer, vin))
        if known is not None and _is_recent(known.as_of, fresh_for):
            return known
        last = await self._last_seen(vin)
        in_mirror = StockState(stock_of(last.vehicle), last.as_of) if last else None
        # A vehicle that is not in the mirror may have come since.
        if last is not None and last.vehicle is not None and _is_recent(last.as_of, fresh_for):
            return in_mirror
        with anyio.move_on_after(self.mirrors.patience):
            feed_vin = last.vehicle.feed_vin if last and last.vehicle else None
            return await self._ask_for_stock(vin, feed_vin) or in_mirror
        return in_mirror

    async def _ask_for_stock(self, vin: str, feed_vin: str | None) -> StockState | None:
        as_of = datetime.now(UTC)
        try:
            vehicle = await find_in_feed(self.feed(ignore_left_out), vin, feed_vin)
        except ForeignDealer:
            raise
        except ClientError:
            return None
        state = StockState(stock_of(vehicle), as_of)
        self.mirrors.keep_stock(self.dealer, vin, state)
        return state

    async def _last_seen(self, vin: str) -> LastSeen | None:
        if self.mirrors.fresh_for() == 0:
            return None
        try:
            state = await self.mirrors.store.mirror_state(self.dealer)
            vehicle = await self.mirrors.store.mirrored_vehicle(self.dealer, vin) if state.whole else None
        except StoreError as error:
            log.error("inventory not read from the store", extra={"reason": str(error)})
            return None
        if not state.whole:
            return None
        return LastSeen(_read(vehicle, self.reader).vehicle if vehicle else None, _time(state))

    async def note_presence(self, vin: str, *, is_in_feed: bool) -> None:
        self.mirrors.stock_states.pop((self.dealer, vin), None)
        if self.mirrors.fresh_for() == 0:
            return
        try:
            has_changed = await self.mirrors.store.mark_vehicle(self.dealer, vin, is_gone=not is_in_feed, now=now())
        except StoreError as error:
            log.warning("inventory not kept", extra={"reason": str(error)})
            return
        if has_changed:
            self.mirrors.drop_numbers(self.dealer)


def _is_recent(time: datetime, seconds: timedelta) -> bool:
    return timedelta() <= datetime.now(UTC) - time <= seconds


def _time(state: MirrorState) -> datetime:
    return datetime.fromtimestamp(state.as_of // 1000, UTC)


def _page(
    query: StockQuery,
    reader: Reader,
    state: MirrorState,
    late: Late | None,
    vehicles: list[StoredVehicle],
    numbers: StockNumbers,
    others: OtherVehicles | None,
    *,
    is_unordered: bool,
) -> StockPage:
    return StockPage(
        vehicles=[_read(vehicle, reader) for vehicle in vehicles],
        stock=numbers.stock,
        without_price=numbers.without_price,
        unread_rows=state.unread,
        unread=Counter(path for paths in numbers.unread for path in paths if path in query.paths),
        as_of=_time(state),
        late=late,
        counts=_counts(numbers.groups),
        others=_others(others) if others else None,
        is_unordered=is_unordered,
    )


def _read(vehicle: StoredVehicle, reader: Reader) -> MirroredVehicle:
    return MirroredVehicle(vehicle.json, vehicle.place, vehicle.unread, reader)


def _counts(groups: list[tuple[str, str, str, int, int]]) -> StockCounts:
    models, bodies, trims, bands = Counter[str](), Counter[str](), Counter[str](), Counter[int]()
    for model, body, trim, band, number in groups:
        models[model] += number
        bodies[body] += number
        trims[trim] += number
        bands[band] += number
    return StockCounts(models, bodies, trims, bands)


def _others(others: OtherVehicles) -> OtherStock:
    return OtherStock(others.models, others.bodies, *(others.prices or (0, None, None)))

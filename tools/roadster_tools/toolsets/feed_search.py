"""A search that reads the feed: for one vehicle, and for all of them where none are kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from roadster_client.models.vehicles import InventoryVehicle
from roadster_tools.answers import AnswerRows, UnreadRows, cut_hint
from roadster_tools.arguments.check_digit import doubt_of_known_vin, has_check_digit
from roadster_tools.arguments.parameters import Detail
from roadster_tools.cursors import Cursors
from roadster_tools.failures import InvalidArguments
from roadster_tools.gate.gate import Grant
from roadster_tools.gate.vehicles import PRICE_BAND, Sort, StockCounts, StockQuery, price_of, sort_value
from roadster_tools.turns import InTurns

from .feed import MOST_PAGES, PAGE, FeedWalk
from .stock_hints import count_names, empty_hint
from .vehicle_lookup import FEW, WantedVehicle
from .vehicle_rows import InventoryAnswer, VehicleRow, first_names, vehicle_row


@dataclass(frozen=True)
class FeedSearch:
    """The search of one call. `position` is the text of its cursor, None for the first part."""

    grant: Grant
    cursors: Cursors
    query: StockQuery
    target: WantedVehicle
    sort: Sort | None
    detail: Detail
    limit: int
    position: str | None

    async def answer(self) -> InventoryAnswer:
        return await (self._in_order_of_vin() if self.sort is None else self._in_order(self.sort))

    async def _in_order_of_vin(self) -> InventoryAnswer:
        grant, vin = self.grant, self.target.vin
        search = _Search(self.query, self.target, self.detail, self.limit)
        starts = [*map(_Place, self.target.starts)] if self.position is None else [_Place.read(self.position)]
        for place in starts:
            walk, more = await self._walk(place, search)
            if search.is_in_feed or more or search.unread:  # what cannot be read would be read and counted again
                break
        if vin is not None and not (search.count or search.unread):
            await walk.check_feed()
        if vin is not None and search.is_in_feed and not has_check_digit(vin):
            grant.notices[:] = [doubt_of_known_vin("vin")]
        place = place.moved(walk, search)
        unread = UnreadRows(place.unread, _unread_fields(grant, self.query), may_be_behind=walk.passed > 0)
        if vin is not None and (search.is_in_feed or not (more or unread)):
            await grant.vehicles.note_presence(vin, is_in_feed=search.is_in_feed)
        return InventoryAnswer(
            vehicles=search.rows,
            searched=search.count,
            truncated=more,
            next_cursor=self.cursors.seal(f"feed {place.text()}") if more else None,
            models=None if search.rows else first_names(search.models),
            bodies=None if search.rows else first_names(search.bodies),
            hint=_search_hint(search, more, unread, is_first=self.position is None),
        )

    async def _walk(self, place: _Place, search: _Search) -> tuple[FeedWalk, bool]:
        """Walks on from a place until the answer is full. Returns the walk, and whether there may be more behind it."""
        target = self.target
        rows_before = place.count + place.unread if target.vin is None else None
        walk = FeedWalk(
            self.grant.roadster,
            self.query.in_stock and not target.is_one,
            place.position,
            place.passed,
            rows_before,
        )
        for size in (PAGE if target.vin is None else FEW, *[PAGE] * (MOST_PAGES - 1)):
            async for vehicle in InTurns(await walk.next_rows(size)):
                search.add(vehicle)
                if search.page.is_full or target.is_behind(walk.position):
                    break
            is_whole = target.vin is None and place.count + search.count == walk.total
            if walk.is_over or target.is_behind(walk.position) or is_whole:
                return walk, False
            if search.page.is_full:
                break
        return walk, True

    async def _in_order(self, sort: Sort) -> InventoryAnswer:
        """Reads the whole feed and sorts it. Raises InvalidArguments for a feed that is too long for one call."""
        walk = FeedWalk(self.grant.roadster, self.query.in_stock and not self.target.is_one)
        search = _Search(self.query, self.target, self.detail, None)
        matches: list[tuple[float, str, InventoryVehicle]] = []
        counts = StockCounts(Counter(), Counter(), Counter(), Counter())
        for _ in range(MOST_PAGES + 1):
            async for vehicle in InTurns(await walk.next_rows()):
                if search.add(vehicle) and vehicle is not None:
                    matches.append((sort_value(vehicle, sort), vehicle.vin, vehicle))
                    _count(counts, vehicle)
            if walk.is_over or search.count == walk.total:
                break
        else:
            problem = "needs the whole feed, which is too long for one call here; leave it out"
            raise InvalidArguments({"sort": problem}, has_read=True)
        matches.sort(key=lambda match: match[:2])
        start = 0 if self.position is None else int(self.position)
        page = AnswerRows[VehicleRow](self.limit)
        await page.fill(vehicle_row(vehicle, self.detail) for _, _, vehicle in matches[start:])
        end = start + len(page.rows)
        more = end < len(matches)
        unread = UnreadRows(search.unread, _unread_fields(self.grant, self.query), may_be_behind=walk.is_stuck)
        return InventoryAnswer(
            vehicles=page.rows,
            searched=search.count,
            truncated=more,
            next_cursor=self.cursors.seal(f"feed {end}") if more else None,
            counts=count_names(counts) if more and start == 0 else None,
            models=None if page.rows else first_names(search.models),
            bodies=None if page.rows else first_names(search.bodies),
            hint=_search_hint(search, False, unread, is_first=start == 0),
        )


@dataclass(frozen=True)
class _Place:
    """The place that a search has come to, which a cursor holds: the last VIN, and the rows up to it.

    `passed` are the rows behind that VIN that could not be read, as in `FeedWalk`. `unread` counts all such rows.
    """

    position: str | None
    passed: int = 0
    count: int = 0
    unread: int = 0

    @classmethod
    def read(cls, text: str) -> _Place:
        passed, count, unread, position = text.split(" ", 3)
        return cls(position or None, int(passed), int(count), int(unread))

    def text(self) -> str:
        return f"{self.passed} {self.count} {self.unread} {self.position or ''}"

    def moved(self, walk: FeedWalk, search: _Search) -> _Place:
        return _Place(walk.position, walk.passed, self.count + search.count, self.unread + search.unread)


class _Search:
    """The result of one search, which grows vehicle by vehicle until the answer is full."""

    def __init__(self, query: StockQuery, target: WantedVehicle, detail: Detail, limit: int | None) -> None:
        self.target = target
        self.query = query
        self.detail = detail
        self.is_in_feed = False
        self.page = AnswerRows[VehicleRow](limit)
        self.count = 0
        self.unread = 0
        """The rows that could not be read."""
        self.without_price = 0
        self.models: set[str] = set()
        self.bodies: set[str] = set()
        self.other_prices: list[float] = []
        """The prices of vehicles that match all other filters."""

    def add(self, vehicle: InventoryVehicle | None) -> bool:
        """Returns whether the vehicle matches."""
        if vehicle is None:
            self.unread += 1
            return False
        self.count += 1
        if not self.target.match(vehicle):
            return False
        self.is_in_feed = True
        price = price_of(vehicle)
        self.without_price += self.query.limits_price and price is None
        self.models.add(vehicle.model or "")
        self.bodies.add(vehicle.body or "")
        if not self.query.match(vehicle):
            return False
        if self.query.match_price(price):
            self.page.add(vehicle_row(vehicle, self.detail, with_stock_number=self.target.is_one))
            return True
        if price is not None:
            self.other_prices.append(price)
        return False

    @property
    def rows(self) -> list[VehicleRow]:
        return self.page.rows


def _count(counts: StockCounts, vehicle: InventoryVehicle) -> None:
    price = price_of(vehicle)
    counts.models[vehicle.model or ""] += 1
    counts.bodies[vehicle.body or ""] += 1
    counts.trims[vehicle.trim or ""] += 1
    counts.bands[-1 if price is None else max(int(price // PRICE_BAND), 0)] += 1


def _unread_fields(grant: Grant, query: StockQuery) -> int:
    """Returns how many values that the search compares could not be read."""
    return sum(count for kind, count in grant.left_out.items() if kind.path in query.paths)


def _search_hint(search: _Search, more: bool, unread: UnreadRows, *, is_first: bool) -> str | None:
    hint = _full_hint(search, more, unread) if search.rows else _empty_hint(search, more, unread, is_first=is_first)
    if search.without_price:
        price = f"Left out for want of a price in the feed: {search.without_price}; quote_payments knows their price."
        beside = unread.hint_beside_rows() if search.rows else unread.hint("the vehicle") if unread and not more else ""
        return f"{price} {beside}".rstrip()
    return hint


def _full_hint(search: _Search, more: bool, unread: UnreadRows) -> str | None:
    if search.target.is_one:
        return search.target.hint_of_rows([row.in_stock for row in search.rows])
    hints = (cut_hint(search.detail) if search.page.is_cut and more else "", unread.hint_beside_rows())
    return " ".join(filter(None, hints)) or None


def _empty_hint(search: _Search, more: bool, unread: UnreadRows, *, is_first: bool) -> str:
    if search.is_in_feed and search.target.is_one:
        return "This vehicle is in the feed, but other filters leave it out."
    if more:
        return "Nothing yet: search on with next_cursor, or ask for less."
    prices = search.other_prices
    return empty_hint(
        search.target, len(prices), min(prices, default=None), max(prices, default=None), unread, is_first=is_first
    )

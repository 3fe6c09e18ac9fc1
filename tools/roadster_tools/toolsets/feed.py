"""The way through a dealer's feed of vehicles, row by row. The feed is sorted by VIN."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from roadster_client import DealerApi, MalformedAnswer
from roadster_client.models.vehicles import InventoryRows, InventoryVehicle
from roadster_tools.gate.gate import Grant
from roadster_tools.turns import InTurns

from .vehicle_lookup import FEW, vin_before, writings

PAGE = 100
"""Vehicles that one request to Roadster returns at most."""
MOST_PAGES = 10
"""Requests of one search."""
_MOST_PAGES_TO_COMPLETE = 3
"""Requests of one completion, while a person types."""
_MOST_ROWS = 500
"""Vehicles to ask for at most where rows that cannot be read stand at the beginning of a page."""
_LEAST = 0.9
"""The part of the total that a whole reading finds. Vehicles come and go while it lasts."""
_LEAST_IN_STOCK = 0.5
"""The same for vehicles in stock. No document says whether the total counts the other ones too."""


@dataclass
class FeedWalk:
    """A walk through the feed. `position` is the last VIN that was read, None for the start of the feed.

    `updated_since` is in epoch seconds, None for all vehicles.

    `passed` counts the rows behind the position that could not be read. They have no VIN to go on from, so the next
    page has them again, and is asked to be longer.

    `count` is the number of rows up to there, None where the walk did not begin at the start of the feed, or reads only
    updates. `total` is the largest number of vehicles that a page has told.
    """

    feed: DealerApi
    in_stock_only: bool = True
    position: str | None = None
    passed: int = 0
    count: int | None = 0
    total: int | None = None
    is_over: bool = False
    updated_since: int | None = None

    @property
    def is_stuck(self) -> bool:
        """Says that so many rows could not be read that the walk did not go on behind them."""
        return self.passed >= _MOST_ROWS

    async def next_rows(self, size: int = PAGE) -> Iterator[InventoryVehicle | None]:
        """Returns the rows of the next page, None for a row that cannot be read.

        A row counts as passed once it is taken. Only a page without rows is the end: a page may be short because rows
        were left out. Raises MalformedAnswer for an end that comes long before the total.
        """
        if self.is_stuck:
            self.is_over = True
            return iter(())
        page = await self.feed.list_inventory_rows(
            size=min(size, _MOST_ROWS - self.passed),
            from_vin=self.position,
            skip=self.passed,
            updated_since=self.updated_since,
            in_stock_only=self.in_stock_only,
        )
        if page.total is not None:
            self.total = max(page.total, self.total or 0)
        self.is_over = page.count == 0
        if self.is_over and self.passed == 0 and self.is_short:
            raise MalformedAnswer("list_inventory", "the feed ended long before its total")
        return self._pass(page)

    @property
    def is_short(self) -> bool:
        """Says that the walk has found far fewer rows than the total, so that some must be missing."""
        least = _LEAST_IN_STOCK if self.in_stock_only else _LEAST
        return self.count is not None and self.count < (self.total or 0) * least

    async def check_feed(self) -> None:
        """Asks for the first vehicles, after an empty page in the middle of the feed.

        Raises MalformedAnswer for a feed that has a total and no rows at all, because it cannot be read.
        """
        if self.total:
            await self.feed.list_inventory_rows(size=FEW, in_stock_only=self.in_stock_only)

    def _pass(self, page: InventoryRows) -> Iterator[InventoryVehicle | None]:
        for vehicle, vin in zip(page.rows, page.vins, strict=True):
            if self.count is not None:
                self.count += 1
            if vehicle is None:
                self.passed += 1
            else:
                self.position, self.passed = vin, 0
            yield vehicle


async def find_in_feed(feed: DealerApi, vin: str, feed_vin: str | None) -> InventoryVehicle | None:
    """Returns the vehicle with this VIN, in stock or not. Returns None if the feed has none.

    `feed_vin` is the VIN as the feed has it, None where that is not known. It sends a short request for each writing.
    """
    for writing in writings(vin, feed_vin):
        rows = await FeedWalk(feed, in_stock_only=False, position=vin_before(writing), count=None).next_rows(FEW)
        vehicle = next((vehicle for vehicle in rows if vehicle is not None and vehicle.vin == vin), None)
        if vehicle is not None:
            return vehicle
    return None


async def feed_vins(grant: Grant) -> AsyncIterator[str]:
    """Yields the VINs of the feed's first 1,000 vehicles, sold and incoming too."""
    walk = FeedWalk(grant.roadster, in_stock_only=False)
    for _ in range(MOST_PAGES):
        async for vehicle in InTurns(await walk.next_rows()):
            if vehicle is not None:
                yield vehicle.vin
        if walk.is_over:
            break


async def vins_in_stock(grant: Grant, prefix: str, most: int) -> list[str]:
    """Returns the first VINs in stock that start with `prefix`, sorted, from the feed's first 300 vehicles."""
    vins: list[str] = []
    walk = FeedWalk(grant.roadster)
    for _ in range(_MOST_PAGES_TO_COMPLETE):
        rows = InTurns(await walk.next_rows())
        vins += [
            vehicle.vin async for vehicle in rows if vehicle is not None and vehicle.vin.startswith(prefix.upper())
        ]
        if walk.is_over or len(vins) >= most or (walk.position or "")[: len(prefix)] > prefix:
            break
    return vins[:most]

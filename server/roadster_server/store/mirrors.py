"""The mirrors of the dealers' feeds in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roadster_tools.gate.vehicles import Sort, StockPlace, StockQuery

from .database import Database
from .records import MirrorState, NewVehicle, OtherVehicles, StockNumbers, StoredVehicle
from .rows import mirrors, vehicles

_MOST_NAMES = 30
"""Models or bodies that an empty search names."""
_DAY = 24 * 60 * 60 * 1000
_GONE_FOR = 30 * _DAY
"""Milliseconds that a vehicle is kept after the feed had it last."""


@dataclass(frozen=True)
class SqlMirrors:
    """The mirrors. Every method is one transaction at one dealer, and raises StoreError. Times are milliseconds."""

    database: Database

    async def state(self, dealer: str) -> MirrorState:
        async with self.database.reading() as connection:
            return await mirrors.state(connection, dealer)

    async def lease(self, dealer: str, holder: str, *, until: int, now: int) -> MirrorState | None:
        """Gives the refresh to `holder` and returns the state. Returns None while another one has it."""
        async with self.database.writing() as connection:
            return await mirrors.take_lease(connection, dealer, holder, until, now)

    async def put(
        self,
        dealer: str,
        holder: str,
        state: MirrorState,
        new: Sequence[NewVehicle] = (),
        *,
        now: int,
        unseen_before: int | None = None,
    ) -> bool:
        """Adds what the holder of the lease has read, and changes the state.

        Vehicles that were last seen before `unseen_before` are marked as gone. Returns False, and changes nothing,
        where the holder has lost the lease.
        """
        async with self.database.writing() as connection:
            if not await mirrors.put(connection, dealer, holder, state):
                return False
            await vehicles.put(connection, dealer, new, now)
            if unseen_before is not None:
                await vehicles.mark_unseen(connection, dealer, unseen_before, now)
                await vehicles.forget_gone(connection, dealer, now - _GONE_FOR)
            return True

    async def numbers(self, dealer: str, query: StockQuery) -> StockNumbers:
        """Returns numbers about all vehicles that match a search."""
        async with self.database.reading() as connection:
            return StockNumbers(
                await vehicles.count(connection, dealer, in_stock=query.in_stock),
                await vehicles.count_without_price(connection, dealer, query) if query.limits_price else 0,
                await vehicles.groups(connection, dealer, query),
            )

    async def search(
        self,
        dealer: str,
        query: StockQuery,
        sort: Sort | None,
        *,
        after: StockPlace | None,
        most: int,
        are_few: bool = False,
    ) -> list[StoredVehicle]:
        """Returns up to `most` matching vehicles after a place. `are_few` says that less than half of all match."""
        async with self.database.reading() as connection:
            return await vehicles.search(connection, dealer, query, sort, after, most, are_few=are_few)

    async def others(self, dealer: str, query: StockQuery) -> OtherVehicles:
        """Returns what an empty search can say about the rest of the dealer's vehicles."""
        async with self.database.reading() as connection:
            models, bodies = await vehicles.names(connection, dealer, in_stock=query.in_stock, most=_MOST_NAMES)
            prices = await vehicles.other_prices(connection, dealer, query) if query.limits_price else None
            unread = await vehicles.unread(connection, dealer, in_stock=query.in_stock)
            return OtherVehicles(models, bodies, prices, unread)

    async def one(self, dealer: str, vin: str) -> StoredVehicle | None:
        """Returns the vehicle if the feed had it the last time."""
        async with self.database.reading() as connection:
            return await vehicles.one(connection, dealer, vin)

    async def mark_gone(self, dealer: str, vin: str, *, now: int) -> None:
        async with self.database.writing() as connection:
            await vehicles.mark_gone(connection, dealer, vin, now)

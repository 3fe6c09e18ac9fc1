"""The mirrors of the dealers' feeds in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from roadster_tools.gate.vehicles import Sort, StockPlace, StockQuery

from .databases.database import Database
from .mirror_records import MirrorState, NewVehicle, OtherVehicles, StockNumbers, StoredVehicle
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
        return await self.database.read(mirrors.state, dealer)

    async def lease(self, dealer: str, holder: str, *, until: int, now: int) -> MirrorState | None:
        """Gives the refresh to `holder` and returns the state. Returns None while another one has it."""
        return await self.database.write(mirrors.take_lease, dealer, holder, until, now)

    async def put(
        self,
        dealer: str,
        holder: str,
        state: MirrorState,
        new: Sequence[NewVehicle] = (),
        *,
        now: int,
        request_time: int = 0,
        unseen_before: int | None = None,
    ) -> bool:
        """Adds what the holder of the lease has read since the time `request_time`, and changes the state.

        Vehicles that were last seen before `unseen_before` are marked as gone. Returns False, and changes nothing,
        where the holder has lost the lease.
        """

        def put(connection: Connection) -> bool:
            if not mirrors.put(connection, dealer, holder, state):
                return False
            # Nobody knows when the vehicles of the first reading came in, so all of them have the same time.
            arrival = now if state.whole else state.start
            vehicles.put(connection, dealer, new, now, arrival=arrival, request_time=request_time)
            if unseen_before is not None:
                vehicles.mark_unseen(connection, dealer, unseen_before, now)
                vehicles.forget_gone(connection, dealer, now - _GONE_FOR)
            return True

        return await self.database.write(put)

    async def numbers(self, dealer: str, query: StockQuery) -> StockNumbers:
        """Returns numbers about all vehicles that match a search."""

        def count(connection: Connection) -> StockNumbers:
            return StockNumbers(
                vehicles.count(connection, dealer, in_stock=query.in_stock),
                vehicles.count_without_price(connection, dealer, query) if query.limits_price else 0,
                vehicles.groups(connection, dealer, query),
                vehicles.unread(connection, dealer, in_stock=query.in_stock) if query.paths else [],
                vehicles.oldest(connection, dealer),
            )

        return await self.database.read(count)

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
        return await self.database.read(vehicles.search, dealer, query, sort, after, most, are_few=are_few)

    async def others(self, dealer: str, query: StockQuery) -> OtherVehicles:
        """Returns what an empty search can say about the rest of the dealer's vehicles."""

        def look(connection: Connection) -> OtherVehicles:
            models, bodies = vehicles.names(connection, dealer, in_stock=query.in_stock, most=_MOST_NAMES)
            prices = vehicles.other_prices(connection, dealer, query) if query.limits_price else None
            return OtherVehicles(models, bodies, prices)

        return await self.database.read(look)

    async def one(self, dealer: str, vin: str) -> StoredVehicle | None:
        """Returns the vehicle if the feed had it the last time."""
        return await self.database.read(vehicles.one, dealer, vin)

    async def mark(self, dealer: str, vin: str, *, is_gone: bool, now: int) -> bool:
        """Marks a vehicle that the feed had as gone, or as there again. Returns whether it was marked otherwise."""
        if not await self.database.read(vehicles.is_marked, dealer, vin, is_gone=not is_gone):
            return False
        await self.database.write(vehicles.mark, dealer, vin, now if is_gone else 0)
        return True

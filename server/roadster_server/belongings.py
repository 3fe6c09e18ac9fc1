"""What belongs to a dealer, kept in the store."""

from __future__ import annotations

from dataclasses import dataclass

from roadster_client import BelongingKind

from .opening import LazyStore


@dataclass(frozen=True)
class StoredBelongings:
    """Implements `roadster_client.Belongings` for one dealer. Raises StoreError."""

    store: LazyStore
    dealer: str

    async def has(self, kind: BelongingKind, id_: str) -> bool:
        return await (await self.store.get()).belongs(self.dealer, kind, id_)

    async def add(self, kind: BelongingKind, id_: str) -> None:
        await (await self.store.get()).add_belonging(self.dealer, kind, id_)

    async def known(self, kind: BelongingKind, prefix: str, most: int) -> list[str]:
        return await (await self.store.get()).belongings(self.dealer, kind, prefix, most)

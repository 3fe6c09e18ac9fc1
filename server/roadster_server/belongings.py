"""What belongs to a dealer, kept in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import anyio

from roadster_client import BelongingKind, NotKept, OfAnother

from .logs import log
from .opening import LazyStore
from .store import StoreError

_PAUSES: Sequence[float] = (0.1, 0.5)
"""Seconds before the second and the third try."""


@dataclass(frozen=True)
class StoredBelongings:
    """Implements `roadster_client.Belongings` for one dealer. Raises StoreError, but for `add` and `note`."""

    store: LazyStore
    dealer: str

    async def has(self, kind: BelongingKind, id_: str) -> bool:
        return await (await self.store.get()).belongs(self.dealer, kind, id_)

    async def add(self, kind: BelongingKind, id_: str) -> None:
        # What it is about exists: neither one failure nor a caller that has gone may leave it without its dealer.
        with anyio.CancelScope(shield=True):
            if not await self._add(kind, id_):
                log.error("belongs to another dealer", extra={"kind": kind})
                raise OfAnother

    async def _add(self, kind: BelongingKind, id_: str) -> bool:
        for pause in _PAUSES:
            try:
                return await self._add_once(kind, id_)
            except StoreError:
                await anyio.sleep(pause)
        try:
            return await self._add_once(kind, id_)
        except StoreError as error:
            log.error("belonging not kept", extra={"kind": kind, "reason": str(error)})
            raise NotKept(str(error)) from None

    async def _add_once(self, kind: BelongingKind, id_: str) -> bool:
        return await (await self.store.get()).add_belonging(self.dealer, kind, id_)

    async def note(self, kind: BelongingKind, id_: str) -> None:
        try:
            with anyio.CancelScope(shield=True):  # the write before it is done, and ends as done
                await self._add_once(kind, id_)
        except StoreError as error:
            log.warning("not kept for completion", extra={"kind": kind, "reason": str(error)})

    async def known(self, kind: BelongingKind, prefix: str, most: int) -> list[str]:
        return await (await self.store.get()).belongings(self.dealer, kind, prefix, most)

"""The deliveries, orders and customers of each dealer."""

from __future__ import annotations

import anyio
import pytest

from roadster_server.store import open_store
from roadster_server.store.sql import SqlStore
from roadster_server.store.tables import VERSION_TABLE

from .databases import execute, undo_search

pytestmark = pytest.mark.anyio


async def test_delivery_has_one_dealer_other_ids_may_have_several(store: SqlStore) -> None:
    """If several dealers add a delivery at once, exactly one gets it. That one may add it again."""
    owns: dict[str, bool] = {}

    async def add(dealer: str) -> None:
        owns[dealer] = await store.add_owned(dealer, "delivery", "7")

    async with anyio.create_task_group() as tasks:
        for dealer in "abcdef":
            tasks.start_soon(add, dealer)
    (owner,) = [dealer for dealer, is_owner in owns.items() if is_owner]
    assert await store.add_owned(owner, "delivery", "7")
    assert [dealer for dealer in "abcdef" if await store.belongs(dealer, "delivery", "7")] == [owner]
    for kind in ("order", "customer"):
        assert await store.add_owned("a", kind, "7")
        assert await store.add_owned("b", kind, "7")


async def test_migration_leaves_a_delivery_with_its_first_dealer(url: str) -> None:
    async with open_store(url) as store:
        await store.add_owned("a", "delivery", "8")
    await undo_search(url)
    await execute(url, "DROP INDEX roadster_belongings_delivery")
    await execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '0003'")
    for row in (
        "'b', 'delivery', '7', 2",
        "'a', 'delivery', '7', 3",
        "'c', 'delivery', '7', 2",
        "'z', 'order', '7', 1",
    ):
        await execute(url, f"INSERT INTO roadster_belongings (dealer, kind, id, added) VALUES ({row})")
    async with open_store(url) as store:
        owners = [dealer for dealer in "abc" if await store.belongs(dealer, "delivery", "7")]
        assert owners == ["b"]
        assert await store.belongs("a", "delivery", "8")
        assert await store.belongs("z", "order", "7")
        assert not await store.add_owned("a", "delivery", "7")

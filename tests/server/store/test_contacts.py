"""The index of contact data: batches of an older store, keys, and the order in which events come."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from roadster_server.store import NewEvent, open_store
from roadster_server.store.sql import SqlStore
from roadster_tools.gate.customers import CustomerQuery, SearchGap

from .databases import NOON, execute, undo_search

pytestmark = pytest.mark.anyio

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
STEVE = CustomerQuery("email", ("steve@example.com",))
NAMED_STEVE = CustomerQuery("name", ("steve",))


@pytest.fixture
async def keyed(url: str) -> AsyncIterator[SqlStore]:
    async with open_store(url) as store:
        yield replace(store, contact_key=KEY)


def event_of(number: int, dealer: str = "umazda") -> NewEvent:
    """Returns an event of a Steve with that number."""
    return NewEvent(
        source="roadster",
        event_id=f"e-{number}",
        event_type="customer_saved_vehicle",
        dealer=dealer,
        customer=str(number),
        order=None,
        delivery=None,
        happened_at=NOON,
        body=json.dumps({"customer": {"id": number, "first_name": "Steve", "email": "Steve@example.com"}}),
    )


async def ids(store: SqlStore, query: CustomerQuery = STEVE) -> tuple[list[str], SearchGap | None]:
    customers, gap = await store.customers("umazda", query, after=None, most=100)
    return [customer.place.customer_id for customer in customers], gap


async def test_older_events_are_indexed_in_batches(url: str) -> None:
    """Until the last batch is done, a search says that something may be missing."""
    async with open_store(url) as store:
        new = [event_of(number) for number in range(1, 6)] + [event_of(9, "hyundaidemo")]
        await replace(store, contact_key=KEY).add_events(new, dealers=["umazda", "hyundaidemo"], now=NOON)
    await undo_search(url)
    async with open_store(url) as store:
        keyed = replace(store, contact_key=KEY)
        assert await ids(keyed) == ([], "indexing")
        for count, more in ((2, True), (4, True), (5, False)):
            assert await keyed.index_events(["umazda"], most=2) is more
            for query in (STEVE, NAMED_STEVE):
                customers, gap = await ids(keyed, query)
                assert (len(customers), gap) == (count, None if count == 5 else "indexing")
        assert not await keyed.index_events(["umazda"], most=2)
        assert await keyed.index_events(["hyundaidemo", "umazda"], most=1)
        assert not await keyed.index_events(["hyundaidemo", "umazda"], most=1)


async def test_two_keys_find_the_same_events_in_turn(keyed: SqlStore) -> None:
    """During a change of the API key, some processes have the earlier one."""
    await keyed.add_events([event_of(1)], dealers=["umazda"], now=NOON)
    other = replace(keyed, contact_key=OTHER_KEY)
    for store in (other, keyed, other):
        assert await ids(store) == ([], "indexing")
        await store.index_events(["umazda"], most=10)
        assert await ids(store) == (["1"], None)
        assert await ids(store, NAMED_STEVE) == (["1"], None)


async def test_hashes_need_the_key(store: SqlStore) -> None:
    with pytest.raises(RuntimeError, match="without the key"):
        await store.add_customer("umazda", "1", email="steve@example.com", phone=None)


async def test_stored_contact_data_of_a_created_customer_are_hashes(keyed: SqlStore, url: str) -> None:
    await keyed.add_customer("umazda", "1", email="steve@example.com", phone="4155550123")
    rows = await execute(url, "SELECT kind, value, customer FROM roadster_contacts ORDER BY kind")
    assert [(kind, customer) for kind, _, customer in rows] == [("email", "1"), ("phone", "1")]
    assert not any("steve" in value or "555" in value for _, value, _ in rows)


async def test_contact_data_stay_while_a_newer_event_has_them(keyed: SqlStore) -> None:
    """Events may be indexed in any order."""
    day = timedelta(days=1)
    for at, number in ((NOON + day, 1), (NOON, 2)):
        await keyed.add_events([replace(event_of(number), customer="1")], dealers=["umazda"], now=at)
    await keyed.tidy_events(received_before=NOON + day / 2, dealers=["umazda"], now=NOON + day)
    assert await ids(keyed) == (["1"], None)
    await keyed.tidy_events(received_before=NOON + 2 * day, dealers=["umazda"], now=NOON + 2 * day)
    assert await ids(keyed) == ([], None)

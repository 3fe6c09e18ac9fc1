"""The migration of events that were stored before numbers were masked, or before some of their forms were."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from roadster_server.store import NewEvent
from roadster_server.store.lazy import lazy_store
from roadster_server.store.migrations.versions import store_0010
from roadster_server.store.tables import VERSION_TABLE
from roadster_tools.gate.customers import CustomerQuery
from tests.conftest import CONTACT_KEY

from .databases import execute, undo_marks, undo_principal

pytestmark = pytest.mark.anyio

CARD = "4111 1111 1111 1111"


def new_event(number: int, **sections: Any) -> NewEvent:
    customer = {"id": number, "first_name": "Ana"}
    return NewEvent(
        source="roadster",
        event_id=f"e-{number:03}",
        event_type="message",
        dealer="umazda",
        customer=str(number),
        order=None,
        delivery=None,
        happened_at=None,
        body=json.dumps({"customer": customer, **sections}, separators=(",", ":")),
    )


async def put_back(url: str, version: str) -> None:
    """Puts the tables back to the schema 0005 or 0009."""
    if version == "0005":
        await undo_marks(url)
    else:
        await undo_principal(url)
    await execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '{version}'")


@pytest.mark.parametrize("version", ["0005", "0009"])
async def test_stored_numbers_are_masked_by_the_migration(
    version: str, new_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_0010, "_BATCH", 2)
    events = [
        new_event(1, message={"body": f"my card is {CARD}"}),
        new_event(2, message={"body": "call 650-555-1234"}, zip="\u00e9"),
        new_event(3, credit_decision={"comments": ["ssn 123456789"]}),
        new_event(4, customer={"id": 4, "first_name": CARD, "last_name": "Silva"}),
        new_event(5),
    ]
    dealers = ["umazda"]
    async with lazy_store(new_url, contact_key=CONTACT_KEY) as store:
        await store.add_events(events, dealers=dealers, now=datetime.now(UTC))
    await put_back(new_url, version)
    async with lazy_store(new_url, contact_key=CONTACT_KEY) as store:
        while await store.index_events(dealers, most=10):
            pass
        by_name = await store.customers("umazda", CustomerQuery("name", ("silva",)), after=None, most=5)
    bodies = [
        json.loads(body) for (body,) in await execute(new_url, "SELECT body FROM roadster_events ORDER BY event_id")
    ]
    assert [body.get("message") for body in bodies[:2]] == [{"body": "my card is ***"}, {"body": "call 650-555-1234"}]
    assert bodies[2]["credit_decision"] == {"comments": ["ssn ***"]}
    assert bodies[3]["customer"]["first_name"] == "***"
    assert bodies[4] == json.loads(events[4].body)
    assert (
        await execute(new_url, "SELECT 1 FROM roadster_contacts WHERE value LIKE '%4111%' OR value LIKE '%1111%'") == []
    )
    assert [match.place.customer_id for match in by_name[0]] == ["4"]


async def test_masked_events_stay_as_they_are(new_url: str) -> None:
    """Where nothing is to be masked, no event is written and no customer is indexed anew."""
    body = {"customer": {"id": 1, "first_name": "***"}, "message": {"body": "my card is ***"}}
    async with lazy_store(new_url, contact_key=CONTACT_KEY) as store:
        await store.add_events([new_event(1, **body)], dealers=["umazda"], now=datetime.now(UTC))
        await store.index_events(["umazda"], most=10)
    rows = await execute(new_url, "SELECT body, indexed FROM roadster_events")
    await put_back(new_url, "0009")
    async with lazy_store(new_url, contact_key=CONTACT_KEY) as store:
        await store.open()
    assert await execute(new_url, "SELECT body, indexed FROM roadster_events") == rows
    assert rows[0][1] != ""

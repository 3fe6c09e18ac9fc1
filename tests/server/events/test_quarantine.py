"""Events and their dealers: events of unknown dealers wait in quarantine, and all are deleted in the end."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import anyio
import pytest

from roadster_server.events.inbox import keep_tidy
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.dealers import AcknowledgeSettings, DealerSettings
from roadster_server.store import AuditRecord
from roadster_server.store.lazy import LazyStore
from tests.conftest import Connect, kind_of, on_both_databases, text_of
from tests.server.events.hooks import (
    ROADIE_KEY,
    SHIPMENT,
    Hooks,
    brief_event,
    change,
    event,
    list_events,
    read_rows,
    receive,
    tidy,
)
from tests.servers import PATIENCE

pytestmark = pytest.mark.anyio


@on_both_databases
async def test_event_of_an_unknown_dealer_waits_in_quarantine(
    hooks: Hooks, store: LazyStore, store_url: str, live: LiveSettings, connect: Connect
) -> None:
    assert await hooks.deliver(event("e-1", dealer={"dpid": "nobody"})) == {}
    assert await hooks.deliver(event("e-1", dealer={"dpid": "nobody"})) == {}
    await hooks.deliver(event("e-2"))
    assert await read_rows(store_url, "event_id, quarantined") == [("e-1", True), ("e-2", False)]
    assert not await store.belongs("nobody", "customer", "2285882")
    counts = await tidy(live, store)
    assert (counts.released, counts.quarantined) == (0, 1)
    change(live, dealers={**live.current.dealers, "nobody": DealerSettings()})
    counts = await tidy(live, store)
    assert (counts.released, counts.quarantined) == (1, 0)
    assert await store.belongs("nobody", "customer", "2285882")


@on_both_databases
@pytest.mark.reliability("an event of a dpid with an invisible character", "is of an unknown dealer: in quarantine")
@pytest.mark.parametrize(
    "dpid", ["umazda\u200b", "umazda\0", "umazda\n", " umazda", "\ufeffumazda", "UMAZDA", "um\u3164azda"]
)
async def test_dealer_with_another_character_is_unknown(
    dpid: str, hooks: Hooks, store: LazyStore, store_url: str, live: LiveSettings, connect: Connect
) -> None:
    assert await hooks.deliver(event("e-1", dealer={"dpid": dpid})) == {}
    ((dealer, quarantined),) = await read_rows(store_url, "dealer, quarantined")
    assert dealer != "umazda"
    assert quarantined
    assert (await tidy(live, store)).quarantined == 1
    assert (await list_events(connect))["events"] == []
    assert not await store.belongs("umazda", "customer", "2285882")


@on_both_databases
async def test_ids_with_an_invisible_character_are_not_those_without(hooks: Hooks, store: LazyStore) -> None:
    odd = event("e-1", customer={"id": "77\u200b"}, order={"id": "367146\0"})
    await hooks.deliver(odd)
    assert not await store.belongs("umazda", "customer", "77")
    assert not await store.belongs("umazda", "order", "367146")
    await store.add_owned("umazda", "delivery", "5678")
    await hooks.deliver({**SHIPMENT, "data": {**SHIPMENT["data"], "id": "5678\u200b"}}, source="roadie", key=ROADIE_KEY)
    assert (
        await store.tidy_events(
            received_before=datetime.min.replace(tzinfo=UTC), dealers=["umazda"], now=datetime.now(UTC)
        )
    ).quarantined == 1


@on_both_databases
async def test_event_belongs_to_its_dealer(hooks: Hooks, connect: Connect) -> None:
    await hooks.deliver(event("e-1"))
    await hooks.deliver(event("e-2", dealer={"dpid": "toyotademo"}))
    assert [row["event_id"] for row in (await list_events(connect))["events"]] == ["e-1"]
    assert (await list_events(connect, dealer="hyundaidemo"))["events"] == []
    async with connect() as client:
        for tool, arguments in (("list_customer_events", {}), ("get_customer", {"customer_id": 2285882})):
            refusal = await client.call_tool(tool, {"dealer": "toyotademo", **arguments})
            assert kind_of(refusal) == "refused"
            elsewhere = await client.call_tool(tool, {"dealer": "hyundaidemo", **arguments})
            assert "2285882" not in text_of(elsewhere)
    assert kind_of(elsewhere) == "not_found"


@on_both_databases
async def test_event_makes_its_order_and_customer_the_dealers(hooks: Hooks, store: LazyStore) -> None:
    await hooks.deliver(event())
    for kind, id_ in (("customer", "2285882"), ("order", "367146")):
        assert await store.belongs("umazda", kind, id_)
        assert not await store.belongs("hyundaidemo", kind, id_)


async def test_acknowledgement_has_our_ids_of_both_sources(hooks: Hooks, live: LiveSettings) -> None:
    assert await hooks.deliver(brief_event("e-1")) == {}
    ours = DealerSettings(acknowledge=AcknowledgeSettings(dealer_id="D-1", agent_id="A-1"))
    change(live, dealers={**live.current.dealers, "umazda": ours})
    assert await hooks.deliver(brief_event("e-2")) == {"dealer_id": "D-1", "agent_id": "A-1"}
    assert await hooks.deliver(event("e-3")) == {
        "customer_id": "YCid6453",
        "lead_id": "YLid6459",
        "agent_id": "YAid007",
        "dealer_id": "D-1",
    }
    assert await hooks.deliver(brief_event("e-4", api_partner=["x"])) == {"dealer_id": "D-1", "agent_id": "A-1"}


# --- Roadie ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{"x-api-key": ROADIE_KEY}, {"Authorization": f"Bearer {ROADIE_KEY}"}])
async def test_delivery_event_belongs_to_the_deliverys_dealer(
    headers: dict[str, str], hooks: Hooks, store: LazyStore, connect: Connect
) -> None:
    await store.add_owned("umazda", "delivery", "5678")
    for _ in range(2):
        assert await hooks.deliver(SHIPMENT, source="roadie", headers=headers) == {}
    answer = await list_events(connect, event_type="shipment.driver_assigned")
    (row,) = answer["events"]
    assert row["delivery_id"] == 5678
    assert row["time"] == "2018-01-14T18:20:00Z"
    assert "Beth" not in json.dumps(answer)
    assert (await list_events(connect, dealer="hyundaidemo"))["events"] == []


@on_both_databases
async def test_delivery_event_waits_until_its_dealer_is_known(
    hooks: Hooks, store: LazyStore, store_url: str, live: LiveSettings, connect: Connect
) -> None:
    await hooks.deliver(SHIPMENT, source="roadie", key=ROADIE_KEY)
    assert await read_rows(store_url, "delivery, dealer, quarantined") == [("5678", None, True)]
    assert (await tidy(live, store)).quarantined == 1
    await store.add_owned("umazda", "delivery", "5678")
    assert (await tidy(live, store)).released == 1
    assert [row["delivery_id"] for row in (await list_events(connect))["events"]] == [5678]


@on_both_databases
async def test_events_are_deleted_after_the_configured_days(
    hooks: Hooks, live: LiveSettings, store: LazyStore, store_url: str
) -> None:
    await hooks.deliver(event("e-1"))
    await hooks.deliver(event("e-2", dealer={"dpid": "nobody"}))
    now = datetime.now(UTC)
    later = now + timedelta(days=31)
    await tidy(live, store, now + timedelta(days=29))
    assert len(await read_rows(store_url)) == 2
    await receive(store, "e-3", later)
    await tidy(live, store, later)
    assert await read_rows(store_url) == [("e-3",)]


async def test_tidying_happens_at_the_start_and_again(
    hooks: Hooks, live: LiveSettings, store: LazyStore, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each time it uses the settings in force."""
    await hooks.deliver(event("e-1", dealer={"dpid": "nobody"}))
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(keep_tidy, live, store, every=0.01))
            while "events of unknown dealers" not in caplog.messages:  # the first time
                await anyio.sleep(0.01)
            change(live, dealers={**live.current.dealers, "nobody": DealerSettings()})
            while await read_rows(store_url, "event_id, quarantined") != [("e-1", False)]:
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()


RECORD = AuditRecord(
    call_id="c-1",
    phase="ended",
    time=datetime(2026, 3, 1, tzinfo=UTC),
    caller="operator",
    principal="operator",
    client="",
    protocol="",
    tool="forget",
    dealer="umazda",
    verdict="allowed",
    setting="",
    outcome="done",
    upstream_request_id=None,
    latency_ms=None,
    arguments={},
)


@on_both_databases
async def test_forget_deletes_one_customer_of_one_dealer(hooks: Hooks, store: LazyStore, store_url: str) -> None:
    await hooks.deliver(event("e-1"))
    await hooks.deliver(event("e-2"))
    await hooks.deliver(event("e-3", dealer={"dpid": "hyundaidemo"}))
    await hooks.deliver(brief_event("e-4"))
    records = await store.open()
    counts = await records.forget_customer("umazda", "2285882", RECORD)
    assert (counts.events, counts.ids) == (2, 2)
    assert await read_rows(store_url) == [("e-3",), ("e-4",)]
    assert not await records.belongs("umazda", "customer", "2285882")
    assert not await records.belongs("umazda", "order", "367146")
    assert await records.belongs("hyundaidemo", "order", "367146")
    assert await records.belongs("umazda", "customer", "77")
    assert [entry.record.tool async for entry in records.records()] == ["forget"]


@on_both_databases
async def test_store_knows_a_dealer_by_its_events_and_belongings(hooks: Hooks, store: LazyStore) -> None:
    """The dealer need not be in the configuration."""
    records = await store.open()
    assert not await records.knows_dealer("umazda")
    await hooks.deliver(event("e-1", dealer={"dpid": "nobody"}))
    await records.add_owned("umazda", "delivery", "5678")
    assert await records.knows_dealer("nobody")
    assert await records.knows_dealer("umazda")
    assert not await records.knows_dealer("hyundaidemo")


async def test_log_has_no_text_of_an_unknown_dealer(hooks: Hooks, caplog: pytest.LogCaptureFixture) -> None:
    """It may hold anything, also a person's name."""
    await hooks.deliver(event("e-1", dealer={"dpid": "123-45-6789 Steve McQueen"}))
    assert "event of an unknown dealer, kept in quarantine" in caplog.messages
    assert "McQueen" not in "".join(str(record.__dict__) for record in caplog.records)

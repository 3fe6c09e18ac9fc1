"""The inbox of events: taken in over HTTP, durable before the acknowledgement, read by the tools, forgotten."""

from __future__ import annotations

import hmac
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client
from pydantic import SecretStr

from roadster_client.models.webhooks import mask_identity
from roadster_server.events import webhooks
from roadster_server.events.inbox import keep_tidy
from roadster_server.events.webhooks import receivers
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections import AcknowledgeSettings, DealerSettings, WebhookSettings
from roadster_server.store import AuditRecord
from roadster_server.store.lazy import LazyStore, lazy_store
from tests.conftest import SAMPLES, Connect, World, answer_of, kind_of, on_both_databases, settings_for, text_of
from tests.servers import PATIENCE

pytestmark = pytest.mark.anyio

KEY, OLD_KEY, ROADIE_KEY = "our-own-key", "the-key-before", "roadies-key"
SAMPLE: dict[str, Any] = json.loads((SAMPLES / "webhook_event.json").read_text())
IDENTITY = ("12345678", "A225544", "1980-11-23", "123-34-4567")
CONTACT = ("Carlos", "Silva", "+14444444444", "customer@example.com", "Palo Alto", "94020", "Judy", "192.168.1.77")
FINANCIAL = ("4100", "4205")
SHIPMENT = {
    "event": "shipment.driver_assigned",
    "sent_at": "2018-01-14T19:20+01:00",
    "data": {
        "id": 5678,
        "occurred_at": "2018-01-14T19:20+01:00",
        "driver": {"name": "Beth Johnson", "phone": "7701234567"},
    },
}


def event(event_id: str = "e-1", **changed: Any) -> dict[str, Any]:
    """The documented sample at a dealer that is configured."""
    return {**SAMPLE, "event_id": event_id, "dealer": {**SAMPLE["dealer"], "dpid": "umazda"}, **changed}


def brief_event(event_id: str, minute: int = 0, *, kind: str = "customer_saved_vehicle", **more: Any) -> dict[str, Any]:
    """With no more than is required."""
    return {
        "event_id": event_id,
        "event_type": kind,
        "event_time": f"2026-03-01T12:{minute:02}:00Z",
        "customer": {"id": 77, "email": "steve@example.com", "first_name": "Steve"},
        "dealer": {"dpid": "umazda"},
        "api_partner": {"name": "api.partner"},
        **more,
    }


@pytest.fixture
def live(store_url: str) -> LiveSettings:
    keys = WebhookSettings(
        roadster_keys=[SecretStr(KEY), SecretStr(OLD_KEY)], roadie_keys=[SecretStr(ROADIE_KEY)], retention_days=30
    )
    return LiveSettings(settings_for(store_url).model_copy(update={"webhooks": keys}))


def change(live: LiveSettings, **sections: Any) -> None:
    live.current = live.current.model_copy(update=sections)


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[LazyStore]:
    async with lazy_store(store_url) as opened:
        yield opened


class Hooks:
    """Sends what Roadster and Roadie send."""

    def __init__(self, live: LiveSettings, store: LazyStore) -> None:
        self._apps = receivers(live, store, lambda _dealer, _customer: None)

    async def send(
        self,
        body: Any,
        *,
        source: str = "roadster",
        headers: Mapping[str, str] | None = None,
        key: str = KEY,
        method: str = "POST",
    ) -> httpx2.Response:
        given = headers if headers is not None else {"Authorization": f"Bearer {key}"}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        path = f"/webhooks/{source}"
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self._apps[path]), base_url="http://public.example"
        ) as http:
            return await http.request(method, path, content=content, headers=given)

    async def taken(self, body: Any, **more: Any) -> Any:
        response = await self.send(body, **more)
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture
def hooks(live: LiveSettings, store: LazyStore) -> Hooks:
    return Hooks(live, store)


async def rows(url: str, columns: str = "event_id", where: str = "1 = 1") -> list[tuple[Any, ...]]:
    """What the database holds, asked of it directly."""
    statement = f"SELECT {columns} FROM roadster_events WHERE {where} ORDER BY event_id"
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return connection.execute(statement).fetchall()
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row.values()) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def listed(connect: Connect, connected_as: Mapping[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    async with connect(**(connected_as or {})) as client:
        return answer_of(await client.call_tool("list_customer_events", {"dealer": "umazda", **arguments}))


async def deal(connect: Connect, customer_id: int | str, *, detail: str = "brief", **caller: Any) -> dict[str, Any]:
    arguments = {"dealer": "umazda", "customer_id": customer_id, "detail": detail}
    async with connect(**caller) as client:
        return answer_of(await client.call_tool("get_customer", arguments))


# --- taking in ------------------------------------------------------------------------------------


@on_both_databases
async def test_the_documented_event_is_stored_whole_and_acknowledged_with_the_documented_fields(
    hooks: Hooks, live: LiveSettings, store_url: str
) -> None:
    acknowledged = await hooks.taken(event())
    assert acknowledged == json.loads((SAMPLES / "webhook_ack.json").read_text())
    ((body, kind, customer, order),) = await rows(store_url, 'body, event_type, customer, "order"')
    assert json.loads(body) == mask_identity(event())
    assert (kind, customer, order) == ("agent_sent_message", "2285882", "367146")


@on_both_databases
async def test_identity_values_are_masked_before_anything_is_stored(hooks: Hooks, store_url: str) -> None:
    """At any depth, in fields that no document names, and where they are written into a text."""
    more = {
        "co_applicant": {"SSN": "999-11-2222", "jobs": [{"dateOfBirth": "1970-01-02", "Gov-Id": 4711}]},
        "message": {"body": "my number is 987\u200b-65-4321, call me"},
    }
    await hooks.taken(event(**more))
    ((body,),) = await rows(store_url, "body")
    for value in (*IDENTITY, "999-11-2222", "1970-01-02", "4711", "987-65-4321", "65-4321"):
        assert value not in body
    assert json.loads(body)["customer"]["gov_id_type"] == "dni"
    assert json.loads(body)["credit_applicant"]["license_state"] == "CA"


@on_both_databases
async def test_a_repeated_event_is_acknowledged_and_kept_once(hooks: Hooks, store_url: str) -> None:
    first = await hooks.taken(event())
    again = await hooks.taken(event(event_type="another_type"))
    assert again == first
    assert await rows(store_url, "event_id, event_type") == [("e-1", "agent_sent_message")]


@on_both_databases
async def test_the_same_event_many_times_at_once_is_kept_once(hooks: Hooks, store_url: str) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(16):
            tasks.start_soon(hooks.taken, event())
    assert await rows(store_url) == [("e-1",)]


@on_both_databases
async def test_unknown_types_fields_and_shapes_are_kept(hooks: Hooks, store_url: str, connect: Connect) -> None:
    odd = event(
        "e-odd",
        event_type="customer_danced",
        trade_in={"vin": "4T1C11AK0LU322811", "value": 9000},
        vehicle="a Camry",
        credit_decision=[1, 2],
        order=None,
        agent={"id": {"deep": True}},
    )
    await hooks.taken(odd)
    ((body,),) = await rows(store_url, "body")
    assert json.loads(body) == mask_identity(odd)
    (row,) = (await listed(connect, event_type="customer_danced"))["events"]
    assert "vehicle" not in row
    assert (await deal(connect, 2285882))["customer"]["first_name"] == "***"


async def test_each_of_our_keys_opens(hooks: Hooks) -> None:
    for header in (f"Bearer {KEY}", f"bearer {KEY}", f"Token {KEY}", KEY, f"Bearer {OLD_KEY}"):
        await hooks.taken(event(), headers={"Authorization": header})


async def test_another_key_is_401_and_stores_nothing(hooks: Hooks, store_url: str, store: LazyStore) -> None:
    wrong: list[dict[str, Any]] = [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Bearer {ROADIE_KEY}"},
        {"Authorization": b"Bearer \xff\xfe"},
        {"x-api-key": KEY},
    ]
    for headers in wrong:
        response = await hooks.send(event(), headers=headers)
        assert response.status_code == 401, headers
        assert response.headers["www-authenticate"] == "Bearer"
    await store.open()
    assert await rows(store_url) == []


async def test_all_keys_are_compared_in_constant_time(
    hooks: Hooks, live: LiveSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Digests of one length, every key each time, whether the first fits or none."""
    compared: list[tuple[int, int]] = []

    def spy(a: bytes, b: bytes) -> bool:
        compared.append((len(a), len(b)))
        return hmac.compare_digest(a, b)

    class Spied:
        compare_digest = staticmethod(spy)

    monkeypatch.setattr(webhooks, "hmac", Spied)
    for key in (KEY, OLD_KEY, "x", "y" * 1000):
        await hooks.send(event(), key=key)
        assert compared == [(32, 32)] * 2
        compared.clear()


async def test_without_keys_nothing_is_taken_in(hooks: Hooks, live: LiveSettings) -> None:
    change(live, webhooks=WebhookSettings())
    for source in ("roadster", "roadie"):
        for key in ("", KEY):
            assert (await hooks.send(event(), source=source, key=key)).status_code == 404


async def test_keys_are_those_of_the_settings_in_force(hooks: Hooks, live: LiveSettings) -> None:
    await hooks.taken(event())
    change(live, webhooks=WebhookSettings(roadster_keys=[SecretStr("new")]))
    assert (await hooks.send(event("e-2"))).status_code == 401
    await hooks.taken(event("e-2"), key="new")


async def test_what_is_no_json_object_is_400(hooks: Hooks, store: LazyStore, store_url: str) -> None:
    for body in (
        b"",
        b"{",
        b"[" * 100_000,
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"x"',
        b'{"event_id": NaN}',
        b'{"event_id": 1e999}',
        b'{"event_id": ' + b"9" * 5000 + b"}",
        b'{"a":' * 500 + b"1" + b"}" * 500,
    ):
        assert (await hooks.send(body)).status_code == 400, body[:20]
    await store.open()
    assert await rows(store_url) == []


@pytest.mark.parametrize("field", ["event_id", "event_type", "event_time", "customer", "dealer"])
async def test_an_event_without_what_is_required_is_400_and_says_which_field(field: str, hooks: Hooks) -> None:
    wrong: list[Any] = [None, "", [], {}, {"id": None}, "x" * 1000]
    for value in wrong:
        response = await hooks.send(event(**{field: value}))
        assert response.status_code == 400
        assert field in response.json()["error"]
        assert "xxxx" not in response.text


async def test_a_time_that_no_calendar_has_is_400(hooks: Hooks) -> None:
    for when in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "yesterday", "2026-13-01"):
        assert (await hooks.send(event(event_time=when))).status_code == 400


@on_both_databases
async def test_characters_that_no_database_stores_do_not_lose_an_event(
    hooks: Hooks, store_url: str, connect: Connect
) -> None:
    odd = event("e\0-\u202e1", event_type="type\0\n\u2028x", message={"body": "nul \0, line\nend, hid\u200bden"})
    await hooks.taken(odd)
    (row,) = (await listed(connect))["events"]
    assert row["event_id"] == "e-1"
    assert row["event_type"] == "type x"
    assert row["message"] == "nul , line end, hidden"


async def test_a_body_above_the_limit_is_413_whether_it_says_its_length_or_not(hooks: Hooks) -> None:
    too_much = b" " * (1024 * 1024 + 1)
    assert (await hooks.send(too_much)).status_code == 413
    headers = {"Authorization": f"Bearer {KEY}", "Content-Length": "9" * 5000}
    assert (await hooks.send(b"{}", headers=headers)).status_code == 413
    assert (await hooks.send(b"{}", headers={**headers, "Content-Length": "-1"})).status_code == 413
    assert (await hooks.send(json.dumps(event()).encode() + b" " * 1_000_000)).status_code == 200


async def test_a_body_that_does_not_come_to_an_end_is_408(live: LiveSettings, store: LazyStore) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        await anyio.sleep(0.01)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/webhooks/roadster",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {KEY}".encode())],
    }
    with anyio.fail_after(PATIENCE):
        apps = receivers(live, store, lambda _dealer, _customer: None, body_seconds=0.05)
        await apps["/webhooks/roadster"](scope, receive, send)
    assert sent[0]["status"] == 408


async def test_other_methods_are_405(hooks: Hooks) -> None:
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        assert (await hooks.send(b"", method=method)).status_code == 405


async def test_a_store_that_is_down_is_503_and_the_repeated_event_is_kept(
    live: LiveSettings, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lazy_store("postgresql://postgres@127.0.0.1:1/none") as down:
        response = await Hooks(live, down).send(event())
        assert response.status_code == 503
        assert response.headers["retry-after"] == "10"
    async with lazy_store(store_url) as up:
        await Hooks(live, up).taken(event())
    assert await rows(store_url) == [("e-1",)]


@on_both_databases
async def test_a_store_that_fails_in_between_is_503(hooks: Hooks, store: LazyStore, store_url: str) -> None:
    """The table is gone after the store was opened: whatever the driver says, nothing is acknowledged."""
    await hooks.taken(event())
    if store_url.startswith("sqlite"):
        Path(store_url.removeprefix("sqlite:///")).unlink()
    else:
        connection = await asyncpg.connect(store_url)
        await connection.execute("DROP TABLE roadster_events")
        await connection.close()
    assert (await hooks.send(event("e-2"))).status_code == 503


@settings(max_examples=40)
@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*SAMPLE, "id", "dpid", "ssn"]) | st.text(max_size=5), inner, max_size=4)
        ),
        max_leaves=20,
    )
)
async def test_no_body_breaks_the_receiver(hooks: Hooks, body: Any) -> None:
    for source, key in (("roadster", KEY), ("roadie", ROADIE_KEY)):
        for sent in [body] if isinstance(body, bytes) else [body, {**event(), **body} if isinstance(body, dict) else 1]:
            assert (await hooks.send(sent, source=source, key=key)).status_code in {200, 400}


# --- dealers --------------------------------------------------------------------------------------


@on_both_databases
async def test_an_unknown_dealers_event_is_acknowledged_kept_in_quarantine_and_counted(
    hooks: Hooks, store: LazyStore, store_url: str, live: LiveSettings, connect: Connect
) -> None:
    assert await hooks.taken(event("e-1", dealer={"dpid": "nobody"})) == {}
    assert await hooks.taken(event("e-1", dealer={"dpid": "nobody"})) == {}
    await hooks.taken(event("e-2"))
    assert await rows(store_url, "event_id, quarantined") == [("e-1", True), ("e-2", False)]
    assert not await store.belongs("nobody", "customer", "2285882")
    tidied = await tidy(live, store)
    assert (tidied.released, tidied.quarantined) == (0, 1)
    change(live, dealers={**live.current.dealers, "nobody": DealerSettings()})
    tidied = await tidy(live, store)
    assert (tidied.released, tidied.quarantined) == (1, 0)
    assert await store.belongs("nobody", "customer", "2285882")


async def tidy(live: LiveSettings, store: LazyStore, now: datetime | None = None) -> Any:
    now = now or datetime.now(UTC)
    before = now - timedelta(days=live.current.webhooks.retention_days)
    return await store.tidy_events(received_before=before, dealers=live.current.dealers, now=now)


@on_both_databases
async def test_an_event_is_its_dealers_alone(hooks: Hooks, connect: Connect) -> None:
    await hooks.taken(event("e-1"))
    await hooks.taken(event("e-2", dealer={"dpid": "toyotademo"}))
    assert [row["event_id"] for row in (await listed(connect))["events"]] == ["e-1"]
    assert (await listed(connect, dealer="hyundaidemo"))["events"] == []
    async with connect() as client:
        for tool, arguments in (("list_customer_events", {}), ("get_customer", {"customer_id": 2285882})):
            refused = await client.call_tool(tool, {"dealer": "toyotademo", **arguments})
            assert kind_of(refused) == "refused"
            elsewhere = await client.call_tool(tool, {"dealer": "hyundaidemo", **arguments})
            assert "2285882" not in text_of(elsewhere)
    assert kind_of(elsewhere) == "not_found"


@on_both_databases
async def test_orders_and_customers_seen_in_events_are_known_to_their_dealer(hooks: Hooks, store: LazyStore) -> None:
    await hooks.taken(event())
    for kind, id_ in (("customer", "2285882"), ("order", "367146")):
        assert await store.belongs("umazda", kind, id_)
        assert not await store.belongs("hyundaidemo", kind, id_)


async def test_our_identifiers_come_from_the_configuration_and_from_what_is_carried_back(
    hooks: Hooks, live: LiveSettings
) -> None:
    assert await hooks.taken(brief_event("e-1")) == {}
    ours = DealerSettings(acknowledge=AcknowledgeSettings(dealer_id="D-1", agent_id="A-1"))
    change(live, dealers={**live.current.dealers, "umazda": ours})
    assert await hooks.taken(brief_event("e-2")) == {"dealer_id": "D-1", "agent_id": "A-1"}
    assert await hooks.taken(event("e-3")) == {
        "customer_id": "YCid6453",
        "lead_id": "YLid6459",
        "agent_id": "YAid007",
        "dealer_id": "D-1",
    }
    assert await hooks.taken(brief_event("e-4", api_partner=["x"])) == {"dealer_id": "D-1", "agent_id": "A-1"}


# --- Roadie ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{"x-api-key": ROADIE_KEY}, {"Authorization": f"Bearer {ROADIE_KEY}"}])
async def test_a_deliverys_event_is_the_dealers_whose_delivery_it_is(
    headers: dict[str, str], hooks: Hooks, store: LazyStore, connect: Connect
) -> None:
    await store.add_owned("umazda", "delivery", "5678")
    for _ in range(2):
        assert await hooks.taken(SHIPMENT, source="roadie", headers=headers) == {}
    found = await listed(connect, event_type="shipment.driver_assigned")
    (row,) = found["events"]
    assert row["delivery_id"] == 5678
    assert row["time"] == "2018-01-14T18:20:00Z"
    assert "Beth" not in json.dumps(found)
    assert (await listed(connect, dealer="hyundaidemo"))["events"] == []


@on_both_databases
async def test_a_delivery_that_nobody_knows_waits_in_quarantine_until_somebody_does(
    hooks: Hooks, store: LazyStore, store_url: str, live: LiveSettings, connect: Connect
) -> None:
    await hooks.taken(SHIPMENT, source="roadie", key=ROADIE_KEY)
    assert await rows(store_url, "delivery, dealer, quarantined") == [("5678", None, True)]
    assert (await tidy(live, store)).quarantined == 1
    await store.add_owned("umazda", "delivery", "5678")
    assert (await tidy(live, store)).released == 1
    assert [row["delivery_id"] for row in (await listed(connect))["events"]] == [5678]


# --- reading --------------------------------------------------------------------------------------


@on_both_databases
async def test_a_list_is_by_when_it_happened_whatever_the_order_of_arrival(hooks: Hooks, connect: Connect) -> None:
    for minute in (3, 1, 5, 2, 4):
        await hooks.taken(brief_event(f"e-{minute}", minute))
    assert [row["event_id"] for row in (await listed(connect))["events"]] == ["e-5", "e-4", "e-3", "e-2", "e-1"]


@on_both_databases
async def test_a_list_is_by_customer_type_and_time(hooks: Hooks, connect: Connect) -> None:
    await hooks.taken(brief_event("e-1", 1))
    await hooks.taken(brief_event("e-2", 2, kind="customer_started_purchase"))
    await hooks.taken(brief_event("e-3", 3, customer={"id": "78", "email": "c@example.com", "first_name": "Carlos"}))

    async def found(**arguments: Any) -> list[str]:
        return [row["event_id"] for row in (await listed(connect, **arguments))["events"]]

    assert await found(customer_id=77) == ["e-2", "e-1"]
    assert await found(customer_id=78) == ["e-3"]
    assert await found(event_type="customer_started_purchase") == ["e-2"]
    assert await found(since="2026-03-01T12:02:00Z") == ["e-3", "e-2"]
    assert await found(since="2026-03-01T12:02:00") == ["e-3", "e-2"]
    assert await found(until="2026-03-01T13:02:00+01:00") == ["e-1"]
    assert await found(since="2026-03-01", until="2026-03-01T12:03:00Z", customer_id=77) == ["e-2", "e-1"]


async def test_the_ids_in_a_list_are_taken_by_the_other_tools(hooks: Hooks, connect: Connect) -> None:
    """As they stand there: a number, but for an id that is none."""
    for number, id_ in enumerate((77, "78", "YC-7", "007", "9" * 16)):
        await hooks.taken(brief_event(f"e-{number}", number, customer={"id": id_, "first_name": "Steve"}))
    ids = [row["customer_id"] for row in (await listed(connect))["events"]]
    assert ids == ["9" * 16, "007", "YC-7", 78, 77]
    assert (await deal(connect, ids[-1]))["customer_id"] == 77
    assert (await deal(connect, "78"))["customer_id"] == 78


async def test_an_event_type_that_was_not_received_is_answered_with_those_that_were(
    hooks: Hooks, connect: Connect
) -> None:
    """At this dealer; and the text has them, too."""
    await hooks.taken(brief_event("e-1", kind="customer_started_purchase"))
    await hooks.taken(brief_event("e-2"))
    await hooks.taken(brief_event("e-3", kind="agent_sent_message", dealer={"dpid": "hyundaidemo"}))
    async with connect() as client:
        given = {"dealer": "umazda", "event_type": "started_purchase"}
        result = await client.call_tool("list_customer_events", given)
    assert answer_of(result)["event_types"] == ["customer_saved_vehicle", "customer_started_purchase"]
    assert "event_types: customer_saved_vehicle, customer_started_purchase" in text_of(result)
    assert "event_types" not in await listed(connect)


async def test_an_empty_list_says_what_to_do(connect: Connect) -> None:
    found = await listed(connect)
    assert found["events"] == []
    assert found["truncated"] is False
    assert "Leave filters out" in found["hint"]


@on_both_databases
async def test_a_cursor_leads_through_everything_once(hooks: Hooks, connect: Connect) -> None:
    """Also through events of the same second, of which there are many."""
    for number in range(13):
        await hooks.taken(brief_event(f"e-{number:02}", number // 5))
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    async with connect() as client:
        for _ in range(5):
            page = answer_of(await client.call_tool("list_customer_events", {"dealer": "umazda", "limit": 3, **cursor}))
            seen += [row["event_id"] for row in page["events"]]
            assert page["truncated"] is ("next_cursor" in page)
            cursor = {"cursor": page.get("next_cursor")}
    assert sorted(seen) == [f"e-{number:02}" for number in range(13)]
    assert seen[0][:3] == "e-1"
    assert not page["truncated"]


async def test_a_cursor_is_of_its_search_its_dealer_and_its_caller(hooks: Hooks, connect: Connect) -> None:
    for number in range(3):
        await hooks.taken(brief_event(f"e-{number}", number))
    cursor = (await listed(connect, limit=1))["next_cursor"]

    async def kind(client: Client, tool: str = "list_customer_events", **arguments: Any) -> str | None:
        return kind_of(await client.call_tool(tool, {"dealer": "umazda", "cursor": cursor, **arguments}))

    async with connect() as client:
        assert await kind(client) is None
        assert await kind(client, customer_id=77) == "invalid_arguments"
        assert await kind(client, dealer="hyundaidemo") == "invalid_arguments"
        assert await kind(client, tool="list_inventory") == "invalid_arguments"
        assert await kind(client, cursor=cursor[:-2]) == "invalid_arguments"
        of_stock = answer_of(await client.call_tool("list_inventory", {"dealer": "umazda", "limit": 1}))["next_cursor"]
        assert await kind(client, cursor=of_stock) == "invalid_arguments"
    async with connect(name="somebody-else") as client:
        assert await kind(client) == "invalid_arguments"


async def test_since_must_be_before_until(connect: Connect) -> None:
    async with connect() as client:
        for window in (
            {"since": "2026-03-02", "until": "2026-03-01"},
            {"since": "soon"},
            {"until": "2026-02-30T00:00:00Z"},
        ):
            result = await client.call_tool("list_customer_events", {"dealer": "umazda", **window})
            assert kind_of(result) == "invalid_arguments"
            assert "soon" not in text_of(result)


async def test_a_customers_deal_is_the_newest_of_each_part(hooks: Hooks, connect: Connect) -> None:
    """Sent out of order: what is newest is said by the time of the event."""
    early = {"vehicle": {"vin": "4T1C11AK0LU322811", "make": "Toyota", "trim": "LE"}, "order": {"id": 5, "plans": []}}
    late = {"vehicle": {"make": "Mazda"}, "credit_decision": {"status": "approved", "rate": 4.7, "term": 72}}
    await hooks.taken(brief_event("e-3", 3, kind="service_made_credit_decision", **late))
    await hooks.taken(brief_event("e-1", 1, kind="customer_started_purchase", **early))
    await hooks.taken(brief_event("e-2", 2, kind="agent_sent_message", message={"body": "Call me"}))
    found = await deal(connect, 77)
    assert found["as_of"] == "2026-03-01T12:03:00Z"
    assert found["vehicle"] == {"make": "Mazda"}, "a vehicle is never mixed from two events"
    assert found["order"]["id"] == "5"
    assert found["part_times"]["order"] == "2026-03-01T12:01:00Z"
    assert found["credit_decision"] == {"status": "approved", "rate_percent": 4.7, "term": 72}
    assert [step["event_type"] for step in found["history"]] == [
        "service_made_credit_decision",
        "agent_sent_message",
        "customer_started_purchase",
    ]
    assert found["older"] is False


async def test_a_deal_has_nothing_that_is_empty(hooks: Hooks, connect: Connect) -> None:
    """Neither lists, nor our ids where there are none, nor times that say what as_of says."""
    await hooks.taken(brief_event("e-1", order={"id": 5, "plans": [], "accessories": []}))
    assert await deal(connect, 77) == {
        "customer_id": 77,
        "as_of": "2026-03-01T12:00:00Z",
        "customer": {"first_name": "***", "email": "***"},
        "order": {"id": "5"},
        "history": [{"time": "2026-03-01T12:00:00Z", "event_type": "customer_saved_vehicle"}],
        "older": False,
    }


async def test_the_sample_as_a_deal_shows_what_it_should(hooks: Hooks, connect: Connect) -> None:
    await hooks.taken(event())
    found = await deal(connect, 2285882)
    assert found["vehicle"]["model"] == "Camry"
    assert found["order"]["financing"]["purchase_price"] == 23827
    assert [plan["title"] for plan in found["order"]["plans"]] == ["Delivery", "Vehicle Service Contract"]
    assert found["credit_decision"]["approved_amount"] == 42295
    assert found["agent"]["id"] == "94366"
    assert found["our_ids"]["customer_id"] == "YCid6453"
    assert found["as_of"] == "2020-07-18T20:29:02Z"


async def test_messages_stay_in_the_history_though_later_events_have_none(hooks: Hooks, connect: Connect) -> None:
    for number in range(3):
        await hooks.taken(
            brief_event(f"m-{number}", number, kind="agent_sent_message", message={"body": f"No {number}"})
        )
    await hooks.taken(brief_event("e-9", 9))
    found = await listed(connect, customer_id=77, event_type="agent_sent_message")
    assert [row["message"] for row in found["events"]] == ["No 2", "No 1", "No 0"]


@pytest.mark.parametrize("detail", ["brief", "full"])
async def test_personal_data_are_masked_as_for_every_tool(detail: str, hooks: Hooks, connect: Connect) -> None:
    """In fields and in what people wrote; identity data for everybody."""
    text = "Carlos, write to customer@example.com or call (415) 555-0123, yours Judy"
    await hooks.taken(event(message={**SAMPLE["message"], "body": text}))
    for caller, hidden in (({}, (*CONTACT, *FINANCIAL, "555-0123")), ({"personal_data": "contact"}, ())):
        shown = json.dumps(
            [await listed(connect, caller, detail=detail), await deal(connect, 2285882, detail=detail, **caller)]
        )
        for value in (*hidden, *IDENTITY):
            assert value not in shown, value
        assert ("customer@example.com" in shown) is (not hidden)
        assert ("or call" in shown) is True


async def test_full_is_every_documented_field_and_no_other(hooks: Hooks, connect: Connect) -> None:
    await hooks.taken(event(unknown={"secret": "hidden here"}))
    (row,) = (await listed(connect, {"personal_data": "contact"}, detail="full"))["events"]
    assert row["event"]["credit_applicant"]["jobs"][0]["income"] == "4100"
    assert row["event"]["message"]["from"] == "Judy Agent"
    assert "hidden here" not in json.dumps(row)


async def test_a_customer_of_whom_nothing_was_received_is_not_found(connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("get_customer", {"dealer": "umazda", "customer_id": 4711})
    assert kind_of(result) == "not_found"
    assert "list_customer_events" in text_of(result)
    assert await world.requests() == []


async def test_reading_needs_the_toolset(connect: Connect, hooks: Hooks) -> None:
    await hooks.taken(event())
    async with connect(access={}) as client:
        for tool, arguments in (("list_customer_events", {}), ("get_customer", {"customer_id": 2285882})):
            assert kind_of(await client.call_tool(tool, {"dealer": "umazda", **arguments})) == "refused"


# --- forgetting -----------------------------------------------------------------------------------


@on_both_databases
async def test_events_are_kept_for_the_days_that_the_configuration_says(
    hooks: Hooks, live: LiveSettings, store: LazyStore, store_url: str
) -> None:
    await hooks.taken(event("e-1"))
    await hooks.taken(event("e-2", dealer={"dpid": "nobody"}))
    now = datetime.now(UTC)
    await tidy(live, store, now + timedelta(days=29))
    assert len(await rows(store_url)) == 2
    await tidy(live, store, now + timedelta(days=31))
    assert await rows(store_url) == []


async def test_tidying_happens_at_the_start_and_again(
    hooks: Hooks, live: LiveSettings, store: LazyStore, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each time with the settings of then."""
    await hooks.taken(event("e-1", dealer={"dpid": "nobody"}))
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(keep_tidy, live, store, every=0.01))
            while "events of unknown dealers" not in caplog.messages:  # the first time
                await anyio.sleep(0.01)
            change(live, dealers={**live.current.dealers, "nobody": DealerSettings()})
            while await rows(store_url, "event_id, quarantined") != [("e-1", False)]:
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()


RECORD = AuditRecord(
    call_id="c-1",
    phase="ended",
    time=datetime(2026, 3, 1, tzinfo=UTC),
    caller="operator",
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
async def test_forgetting_deletes_one_customer_of_one_dealer_and_what_was_known_of_them(
    hooks: Hooks, store: LazyStore, store_url: str
) -> None:
    await hooks.taken(event("e-1"))
    await hooks.taken(event("e-2"))
    await hooks.taken(event("e-3", dealer={"dpid": "hyundaidemo"}))
    await hooks.taken(brief_event("e-4"))
    opened = await store.open()
    assert await opened.forget_customer("umazda", "2285882", RECORD) == 2
    assert await rows(store_url) == [("e-3",), ("e-4",)]
    assert not await opened.belongs("umazda", "customer", "2285882")
    assert not await opened.belongs("umazda", "order", "367146")
    assert await opened.belongs("hyundaidemo", "order", "367146")
    assert await opened.belongs("umazda", "customer", "77")
    assert [stored.record.tool async for stored in opened.records()] == ["forget"]


@on_both_databases
async def test_the_store_knows_a_dealer_by_its_events_and_by_what_belongs_to_it(hooks: Hooks, store: LazyStore) -> None:
    """Also one that the configuration does not have."""
    opened = await store.open()
    assert not await opened.knows_dealer("umazda")
    await hooks.taken(event("e-1", dealer={"dpid": "nobody"}))
    await opened.add_owned("umazda", "delivery", "5678")
    assert await opened.knows_dealer("nobody")
    assert await opened.knows_dealer("umazda")
    assert not await opened.knows_dealer("hyundaidemo")

"""Web hooks: an event is checked, durable before its acknowledgement, and stored once."""

from __future__ import annotations

import hmac
import json
import threading
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from roadster_client.models.webhooks import mask_identity
from roadster_server.events import webhooks
from roadster_server.events.webhooks import receivers
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.http import WebhookSettings
from roadster_server.store.lazy import LazyStore, lazy_store
from tests.conftest import CONTACT_KEY, SAMPLES, Connect, on_both_databases
from tests.server.events.hooks import (
    IDENTITY,
    KEY,
    OLD_KEY,
    ROADIE_KEY,
    SAMPLE,
    Hooks,
    brief_event,
    change,
    event,
    get_deal,
    list_events,
    read_rows,
)
from tests.servers import PATIENCE

pytestmark = pytest.mark.anyio


@on_both_databases
async def test_documented_event_is_stored_and_acknowledged(hooks: Hooks, live: LiveSettings, store_url: str) -> None:
    acknowledgement = await hooks.deliver(event())
    assert acknowledgement == json.loads((SAMPLES / "webhook_ack.json").read_text())
    ((body, kind, customer, order),) = await read_rows(store_url, 'body, event_type, customer, "order"')
    assert json.loads(body) == mask_identity(event())
    assert (kind, customer, order) == ("agent_sent_message", "2285882", "367146")


@on_both_databases
async def test_identity_values_are_masked_before_they_are_stored(hooks: Hooks, store_url: str) -> None:
    """They may stand at any depth, in fields that no document names, and inside a text."""
    more = {
        "co_applicant": {"SSN": "999-11-2222", "jobs": [{"dateOfBirth": "1970-01-02", "Gov-Id": 4711}]},
        "message": {"body": "my number is 987\u200b-65-4321, call me"},
    }
    await hooks.deliver(event(**more))
    ((body,),) = await read_rows(store_url, "body")
    for value in (*IDENTITY, "999-11-2222", "1970-01-02", "4711", "987-65-4321", "65-4321"):
        assert value not in body
    assert json.loads(body)["customer"]["gov_id_type"] == "dni"
    assert json.loads(body)["credit_applicant"]["license_state"] == "CA"


@on_both_databases
async def test_repeated_event_is_acknowledged_and_stored_once(hooks: Hooks, store_url: str) -> None:
    first = await hooks.deliver(event())
    again = await hooks.deliver(event(event_type="another_type"))
    assert again == first
    assert await read_rows(store_url, "event_id, event_type") == [("e-1", "agent_sent_message")]


@on_both_databases
async def test_event_that_comes_many_times_at_once_is_stored_once(hooks: Hooks, store_url: str) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(16):
            tasks.start_soon(hooks.deliver, event())
    assert await read_rows(store_url) == [("e-1",)]


@on_both_databases
async def test_event_of_unknown_type_and_shape_is_stored(hooks: Hooks, store_url: str, connect: Connect) -> None:
    odd = event(
        "e-odd",
        event_type="customer_danced",
        trade_in={"vin": "4T1C11AK0LU322811", "value": 9000},
        vehicle="a Camry",
        credit_decision=[1, 2],
        order=None,
        agent={"id": {"deep": True}},
    )
    await hooks.deliver(odd)
    ((body,),) = await read_rows(store_url, "body")
    assert json.loads(body) == mask_identity(odd)
    (row,) = (await list_events(connect, event_type="customer_danced"))["events"]
    assert "vehicle" not in row
    assert (await get_deal(connect, 2285882))["customer"]["first_name"] == "***"


async def test_key_of_ours_is_accepted_in_each_form(hooks: Hooks) -> None:
    for header in (f"Bearer {KEY}", f"bearer {KEY}", f"Token {KEY}", KEY, f"Bearer {OLD_KEY}"):
        await hooks.deliver(event(), headers={"Authorization": header})


async def test_key_that_is_wrong_is_401_and_stores_nothing(hooks: Hooks, store_url: str, store: LazyStore) -> None:
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
    assert await read_rows(store_url) == []


async def test_keys_are_compared_in_constant_time(
    hooks: Hooks, live: LiveSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It compares digests of one length with every key each time, whether one fits or none."""
    lengths: list[tuple[int, int]] = []

    def spy(a: bytes, b: bytes) -> bool:
        lengths.append((len(a), len(b)))
        return hmac.compare_digest(a, b)

    class Spied:
        compare_digest = staticmethod(spy)

    monkeypatch.setattr(webhooks, "hmac", Spied)
    for key in (KEY, OLD_KEY, "x", "y" * 1000):
        await hooks.send(event(), key=key)
        assert lengths == [(32, 32)] * 2
        lengths.clear()


async def test_source_without_keys_sends_nothing(hooks: Hooks, live: LiveSettings) -> None:
    change(live, webhooks=WebhookSettings())
    for source in ("roadster", "roadie"):
        for key in ("", KEY):
            assert (await hooks.send(event(), source=source, key=key)).status_code == 404


async def test_keys_are_those_of_the_settings_in_force(hooks: Hooks, live: LiveSettings) -> None:
    await hooks.deliver(event())
    change(live, webhooks=WebhookSettings(roadster_keys=[SecretStr("new")]))
    assert (await hooks.send(event("e-2"))).status_code == 401
    await hooks.deliver(event("e-2"), key="new")


async def test_body_that_is_no_json_object_is_400(hooks: Hooks, store: LazyStore, store_url: str) -> None:
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
    assert await read_rows(store_url) == []


@pytest.mark.parametrize("field", ["event_id", "customer", "dealer"])
async def test_event_without_a_required_field_is_400_and_names_it(field: str, hooks: Hooks) -> None:
    wrong: list[Any] = [None, "", [], {}, {"id": None}, "x" * 1000]
    for value in wrong:
        response = await hooks.send(event(**{field: value}))
        assert response.status_code == 400
        assert field in response.json()["error"]
        assert "xxxx" not in response.text


@on_both_databases
async def test_event_with_characters_that_no_database_stores_is_stored(
    hooks: Hooks, store_url: str, connect: Connect
) -> None:
    odd = event("e\0-\u202e1", event_type="type\0\n\u2028x", message={"body": "nul \0, line\nend, hid\u200bden"})
    await hooks.deliver(odd)
    (row,) = (await list_events(connect))["events"]
    assert row["event_id"] == "e-1"
    assert row["event_type"] == "type x"
    assert row["message"] == "nul , line end, hidden"


async def test_body_above_the_limit_is_413_with_and_without_a_length(hooks: Hooks) -> None:
    too_much = b" " * (1024 * 1024 + 1)
    assert (await hooks.send(too_much)).status_code == 413
    headers = {"Authorization": f"Bearer {KEY}", "Content-Length": "9" * 5000}
    assert (await hooks.send(b"{}", headers=headers)).status_code == 413
    assert (await hooks.send(b"{}", headers={**headers, "Content-Length": "-1"})).status_code == 413
    assert (await hooks.send(json.dumps(event()).encode() + b" " * 1_000_000)).status_code == 200


async def test_body_that_does_not_end_is_408(live: LiveSettings, store: LazyStore) -> None:
    documents: list[Any] = []

    async def receive() -> Any:
        await anyio.sleep(0.01)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: Any) -> None:
        documents.append(message)

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
    assert documents[0]["status"] == 408


async def test_methods_other_than_post_are_405(hooks: Hooks) -> None:
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        assert (await hooks.send(b"", method=method)).status_code == 405


async def test_event_is_503_while_the_store_is_down_and_stored_later(
    live: LiveSettings, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lazy_store("postgresql://postgres@127.0.0.1:1/none", contact_key=CONTACT_KEY) as down:
        response = await Hooks(live, down).send(event())
        assert response.status_code == 503
        assert response.headers["retry-after"] == "10"
    async with lazy_store(store_url, contact_key=CONTACT_KEY) as up:
        await Hooks(live, up).deliver(event())
    assert await read_rows(store_url) == [("e-1",)]


@on_both_databases
async def test_event_is_503_where_the_store_fails_in_between(hooks: Hooks, store: LazyStore, store_url: str) -> None:
    """The table disappears after the store was opened. Nothing is acknowledged, whatever error the driver has."""
    await hooks.deliver(event())
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
async def test_receiver_survives_any_body(hooks: Hooks, body: Any) -> None:
    for source, key in (("roadster", KEY), ("roadie", ROADIE_KEY)):
        for documents in (
            [body] if isinstance(body, bytes) else [body, {**event(), **body} if isinstance(body, dict) else 1]
        ):
            assert (await hooks.send(documents, source=source, key=key)).status_code in {200, 400}


@pytest.mark.reliability("an event of 100 KB while others come", "the others are answered while it is masked")
async def test_large_event_is_masked_while_others_are_answered(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its masking ends only when the other event is answered."""
    is_masking, is_answered = threading.Event(), threading.Event()
    note = "x" * 100_000

    def mask_slowly(document: Any) -> Any:
        if document.get("note") == note:
            is_masking.set()
            assert is_answered.wait(PATIENCE)
        return mask_identity(document)

    monkeypatch.setattr(webhooks, "mask_identity", mask_slowly)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hooks.deliver, brief_event("large", note=note))
        await anyio.to_thread.run_sync(is_masking.wait, PATIENCE)
        await hooks.deliver(brief_event("small"))
        is_answered.set()
    assert is_masking.is_set()

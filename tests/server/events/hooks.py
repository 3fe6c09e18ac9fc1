"""Events as Roadster and Roadie send them, and ways to look at what is stored."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx2

from roadster_server.events.webhooks import receivers
from roadster_server.settings.live import LiveSettings
from roadster_server.store import NewEvent
from roadster_server.store.lazy import LazyStore
from roadster_server.store.sql import SqlStore
from tests.conftest import SAMPLES, Connect, answer_of

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


def event(event_id: str = "e-1", **changes: Any) -> dict[str, Any]:
    """Returns the documented sample at a dealer of the configuration."""
    return {**SAMPLE, "event_id": event_id, "dealer": {**SAMPLE["dealer"], "dpid": "umazda"}, **changes}


def brief_event(event_id: str, minute: int = 0, *, kind: str = "customer_saved_vehicle", **more: Any) -> dict[str, Any]:
    """Returns an event with only the required fields."""
    return {
        "event_id": event_id,
        "event_type": kind,
        "event_time": f"2026-03-01T12:{minute:02}:00Z",
        "customer": {"id": 77, "email": "steve@example.com", "first_name": "Steve"},
        "dealer": {"dpid": "umazda"},
        "api_partner": {"name": "api.partner"},
        **more,
    }


def change(live: LiveSettings, **sections: Any) -> None:
    live.current = live.current.model_copy(update=sections)


class Hooks:
    """A sender of events, as Roadster and Roadie are."""

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
        request_headers = headers if headers is not None else {"Authorization": f"Bearer {key}"}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        path = f"/webhooks/{source}"
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self._apps[path]), base_url="http://public.example"
        ) as http:
            return await http.request(method, path, content=content, headers=request_headers)

    async def deliver(self, body: Any, **more: Any) -> Any:
        response = await self.send(body, **more)
        assert response.status_code == 200, response.text
        return response.json()


async def read_rows(url: str, columns: str = "event_id", where: str = "1 = 1") -> list[tuple[Any, ...]]:
    """Reads from the database, past the store."""
    statement = f"SELECT {columns} FROM roadster_events WHERE {where} ORDER BY event_id"
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return connection.execute(statement).fetchall()
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row.values()) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def list_events(
    connect: Connect, connected_as: Mapping[str, Any] | None = None, **arguments: Any
) -> dict[str, Any]:
    async with connect(**(connected_as or {})) as client:
        return answer_of(await client.call_tool("list_customer_events", {"dealer": "umazda", **arguments}))


async def get_deal(connect: Connect, customer_id: int | str, *, detail: str = "brief", **caller: Any) -> dict[str, Any]:
    arguments = {"dealer": "umazda", "customer_id": customer_id, "detail": detail}
    async with connect(**caller) as client:
        return answer_of(await client.call_tool("get_customer", arguments))


async def tidy(live: LiveSettings, store: LazyStore, now: datetime | None = None) -> Any:
    now = now or datetime.now(UTC)
    before = now - timedelta(days=live.current.webhooks.retention_days)
    return await store.tidy_events(received_before=before, dealers=live.current.dealers, now=now)


async def receive(
    store: LazyStore | SqlStore, event_id: str, at: datetime, happened_at: datetime | None = None
) -> None:
    """Stores an event that its sender sent a moment before `at`."""
    new = NewEvent("roadster", event_id, "x", "umazda", "7", None, None, happened_at or at - timedelta(seconds=1), "{}")
    await store.add_events([new], dealers=["umazda"], now=at)

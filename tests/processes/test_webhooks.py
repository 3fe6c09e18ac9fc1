"""Web hooks as they run: real HTTP, kill -9 at random moments, the sandbox as sender, `forget`."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import httpx2
import pytest

from roadster_server.store import open_store
from roadster_tools.gate.inbox import EventQuery
from tests.command_line import run_cli
from tests.conftest import on_both_databases
from tests.servers import PATIENCE, free_port, serving

pytestmark = pytest.mark.anyio

EVENTS = int(os.environ.get("WEBHOOK_EVENTS", "400"))
"""How many are sent. The full run is one of 5,000."""
KILLS = 4
SENDERS = 16

KEY = "our-own-key"
SECRETS = {"ROADSTER_API_KEY": "sandbox-key", "WEBHOOK_KEY": KEY, "ROADIE_WEBHOOK_KEY": "roadies-key"}
CONFIG = """
[roadster]
base_url = "{upstream}/v1"
api_key = "env:ROADSTER_API_KEY"
[store]
url = "{store}"
[webhooks]
roadster_keys = ["env:WEBHOOK_KEY"]
roadie_keys = ["env:ROADIE_WEBHOOK_KEY"]
[dealers.umazda]
[callers.local]
dealers = ["umazda"]
access = {{ events = "read" }}
"""


def write_config(folder: Path, store: str, upstream: str = "http://127.0.0.1:9") -> Path:
    path = folder / "roadster.toml"
    path.write_text(CONFIG.format(store=store, upstream=upstream))
    return path


def numbered_event(number: int) -> bytes:
    """An event whose time is in another order than its number."""
    event = {
        "event_id": f"event-{number:05}",
        "event_type": "agent_sent_message",
        "event_time": f"2026-03-01T{number % 24:02}:{number % 60:02}:00-08:00",
        "customer": {"id": 1_000 + number % 7, "email": "steve@example.com", "first_name": "Steve"},
        "dealer": {"dpid": "umazda"},
        "order": {"id": 50_000 + number % 11},
        "api_partner": {"name": "api.partner"},
        "message": {"body": f"message {number}"},
    }
    return json.dumps(event).encode()


def post(server: str, body: bytes, *, key: str = KEY, hook: str = "roadster", **headers: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {key}", **headers}
    return httpx2.post(f"{server}/webhooks/{hook}", content=body, headers=headers, timeout=PATIENCE)


# Kill -9


class KilledServer:
    """A server that is killed each time when so many events were acknowledged as `moments` say, and started again."""

    def __init__(self, port: int, config: Path, moments: list[int]) -> None:
        self._command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
        self._probe = f"http://127.0.0.1:{port}/healthz"
        self._moments = moments
        self._running = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self.up = anyio.Event()
        self.kills = 0

    def start(self) -> None:
        self._process = self._running.enter_context(serving(*self._command, url=self._probe, **SECRETS))
        self.up.set()

    async def on_acknowledged(self, count: int) -> None:
        if self._moments and count >= self._moments[0] and self._process is not None and self.up.is_set():
            self._moments.pop(0)
            self.up = anyio.Event()
            self.kills += 1
            os.kill(self._process.pid, signal.SIGKILL)
            await anyio.to_thread.run_sync(self._process.wait)
            await anyio.to_thread.run_sync(self.start)

    def stop(self) -> None:
        self._running.close()


@on_both_databases
async def test_kill_9_loses_no_acknowledged_event_and_keeps_none_twice(store_url: str, tmp_path: Path) -> None:
    """Roadster sends again what was not acknowledged, and some of what was."""
    chance = random.Random(20260301)
    port = free_port()
    moments = sorted(chance.randrange(1, EVENTS) for _ in range(KILLS))
    server = KilledServer(port, write_config(tmp_path, store_url), moments)
    waiting = list(range(EVENTS))
    chance.shuffle(waiting)
    acknowledged: set[int] = set()
    headers = {"Authorization": f"Bearer {KEY}"}

    async def send() -> None:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=PATIENCE) as http:
            while waiting:
                await server.up.wait()
                if not waiting:
                    break
                number = waiting.pop()
                try:
                    response = await http.post("/webhooks/roadster", content=numbered_event(number))
                except httpx2.TransportError:
                    waiting.insert(0, number)
                    continue
                if response.status_code != 200:
                    assert response.status_code == 503
                    waiting.insert(0, number)
                    continue
                if number not in acknowledged and chance.random() < 0.05:
                    waiting.insert(0, number)
                acknowledged.add(number)
                await server.on_acknowledged(len(acknowledged))

    try:
        await anyio.to_thread.run_sync(server.start)
        async with anyio.create_task_group() as tasks:
            for _ in range(SENDERS):
                tasks.start_soon(send)
    finally:
        await anyio.to_thread.run_sync(server.stop)
    assert server.kills == KILLS
    assert acknowledged == set(range(EVENTS))
    events = await all_events(store_url)
    assert len(events) == EVENTS
    assert {event_id for event_id, _ in events} == {f"event-{number:05}" for number in range(EVENTS)}
    times = [happened_at for _, happened_at in events]
    assert times == sorted(times, reverse=True)


async def all_events(store_url: str) -> list[tuple[str, int]]:
    """Id and time of each, as they are read. Their customers belong to the dealer."""
    events: list[tuple[str, int]] = []
    async with open_store(store_url) as store:
        place = None
        while page := await store.events("umazda", EventQuery(), before=place, most=1000):
            events += [(event.event_id, event.place.happened_at) for event in page]
            place = page[-1].place
        for number in range(7):
            assert await store.belongs("umazda", "customer", str(1_000 + number))
    return events


# One server


class Place(NamedTuple):
    """The URL of a server, and its configuration."""

    server: str
    config: Path


@pytest.fixture(scope="module")
def place(upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("webhooks")
    port = free_port()
    config = write_config(folder, f"sqlite:///{folder}/store.db", upstream)
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS):
        yield Place(f"http://127.0.0.1:{port}", config)


def call(config: Path, tool: str, **arguments: Any) -> Any:
    return json.loads(run_cli("call", tool, json.dumps(arguments), "--config", str(config), **SECRETS).stdout)


async def test_an_event_of_the_sandbox_is_read_and_forgotten(place: Place, upstream: str) -> None:
    """From the sender to the assistant. The same reset sends the same event."""
    order = {"url": f"{place.server}/webhooks/roadster", "key": KEY, "type": "agent_sent_message", "message": "Hi"}
    for _ in range(2):
        httpx2.post(f"{upstream}/__sandbox/reset", timeout=PATIENCE).raise_for_status()
        delivery = httpx2.post(f"{upstream}/__sandbox/events", json=order, timeout=PATIENCE).json()
        assert (delivery["status"], delivery["answer"]) == (200, "{}")
    (row,) = call(place.config, "list_customer_events")["events"]
    assert (row["event_id"], row["message"]) == (delivery["event"]["event_id"], "Hi")
    customer = delivery["event"]["customer"]["id"]
    assert call(place.config, "get_customer", customer_id=customer)["vehicle"]["make"] == "Mazda"

    command = ("forget", "--dealer", "umazda", "--customer", str(customer), "--config", str(place.config))
    counts = "1 events, 2 ids, 3 search entries"
    assert run_cli(*command, **SECRETS).stdout == f"deleted of customer {customer} at umazda: {counts}\n"
    async with open_store(f"sqlite:///{place.config.parent}/store.db") as store:
        assert await store.events("umazda", EventQuery(customer_id=customer), before=None, most=1) == []
        get, forget = [stored.record async for stored in store.records(last=2)]
        assert (get.tool, forget.tool) == ("get_customer", "forget")
        assert forget.arguments == get.arguments, "the id is on record as a hash, the same as of a call"
        assert (await store.verify()).first_broken is None


def test_a_forgotten_event_is_not_in_the_files_of_the_store(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    config = write_config(tmp_path, f"sqlite:///{store}")
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    body = numbered_event(1).replace(b"message 1", b"Sandrine wants a Camry")
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS):
        post(f"http://127.0.0.1:{port}", body).raise_for_status()
    assert b"Sandrine" in store.read_bytes()
    run_cli("forget", "--dealer", "umazda", "--customer", "1001", "--config", str(config), **SECRETS)
    assert b"Sandrine" not in b"".join(file.read_bytes() for file in tmp_path.glob("store.db*"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_this_user_may_read_the_store(place: Place) -> None:
    for file in place.config.parent.glob("store.db*"):
        assert file.stat().st_mode & 0o077 == 0


def test_a_web_hook_comes_by_any_host_name_and_needs_its_key(place: Place) -> None:
    """The routes of the tools stay guarded."""
    body, public = numbered_event(4711), {"Host": "hooks.example.com"}
    assert post(place.server, body, **public).status_code == 200
    without_key = httpx2.post(f"{place.server}/webhooks/roadster", content=body, headers=public, timeout=PATIENCE)
    assert without_key.status_code == 401
    assert post(place.server, body, hook="roadie", **public).status_code == 401
    assert post(place.server, body, hook="other", **public).status_code == 421
    assert httpx2.post(f"{place.server}/mcp", content=body, headers=public, timeout=PATIENCE).status_code == 421


def test_a_refused_body_leaves_the_server_alive(place: Place) -> None:
    for key, status in (("wrong", 401), (KEY, 413)):
        try:
            response = post(place.server, b"x" * 8_000_000, key=key)
        except httpx2.TransportError:  # it may close before all was sent
            continue
        assert response.status_code == status
    assert httpx2.get(f"{place.server}/healthz", timeout=PATIENCE).status_code == 200


def test_no_log_line_holds_what_was_sent(tmp_path: Path) -> None:
    config, log = write_config(tmp_path, f"sqlite:///{tmp_path}/store.db"), tmp_path / "log"
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", log=log, **SECRETS):
        for body, key in ((numbered_event(1), KEY), (b'{"Steve":', KEY), (numbered_event(2), "bad-Steve")):
            post(f"http://127.0.0.1:{port}", body, key=key)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    hooks = [line for line in lines if line["event"] == "web hook"]
    assert [(line["outcome"], line["status"]) for line in hooks] == [("kept", 200), ("refused", 400), ("refused", 401)]
    for secret in ("Steve", "steve", KEY, "message 1", "event-0"):
        assert secret not in log.read_text()

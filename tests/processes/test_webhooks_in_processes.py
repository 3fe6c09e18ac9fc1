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
from typing import Any

import anyio
import httpx2
import pytest

from roadster_server.store import open_store
from roadster_tools.gate.inbox import EventQuery
from tests.conftest import free_port, run_cli, serving

pytestmark = pytest.mark.anyio

EVENTS = int(os.environ.get("WEBHOOK_EVENTS", "400"))
"""How many are sent; the full run is one of 5,000."""

KILLS = 4
SENDERS = 16
SECRETS = {"ROADSTER_API_KEY": "sandbox-key", "WEBHOOK_KEY": "our-own-key", "ROADIE_WEBHOOK_KEY": "roadies-key"}
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


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    url: str = request.getfixturevalue("postgresql_url")
    return url


def numbered_event(number: int) -> bytes:
    """In a time order of its own, which is not that of the numbers."""
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


class Killed:
    """A server that is killed when so many events were acknowledged as `moments` say, and then started again."""

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

    async def acknowledged(self, count: int) -> None:
        if self._moments and count >= self._moments[0] and self._process is not None and self.up.is_set():
            self._moments.pop(0)
            self.up = anyio.Event()
            self.kills += 1
            os.kill(self._process.pid, signal.SIGKILL)
            await anyio.to_thread.run_sync(self._process.wait)
            await anyio.to_thread.run_sync(self.start)

    def stop(self) -> None:
        self._running.close()


async def test_no_acknowledged_event_is_lost_by_kill_9_and_none_is_kept_twice(store_url: str, tmp_path: Path) -> None:
    """As Roadster does it: what was not acknowledged is sent again, and some of what was, too."""
    chance = random.Random(20260301)
    port = free_port()
    moments = sorted(chance.randrange(1, EVENTS) for _ in range(KILLS))
    server = Killed(port, write_config(tmp_path, store_url), moments)
    waiting = list(range(EVENTS))
    chance.shuffle(waiting)
    acknowledged: set[int] = set()
    headers = {"Authorization": "Bearer our-own-key"}

    async def send() -> None:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as http:
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
                await server.acknowledged(len(acknowledged))

    try:
        await anyio.to_thread.run_sync(server.start)
        async with anyio.create_task_group() as tasks:
            for _ in range(SENDERS):
                tasks.start_soon(send)
    finally:
        await anyio.to_thread.run_sync(server.stop)
    assert server.kills == KILLS
    assert acknowledged == set(range(EVENTS))
    kept = await everything(store_url)
    assert len(kept) == EVENTS
    assert {event_id for event_id, _ in kept} == {f"event-{number:05}" for number in range(EVENTS)}
    assert [happened for _, happened in kept] == sorted((happened for _, happened in kept), reverse=True)


async def everything(store_url: str) -> list[tuple[str, int]]:
    search = EventQuery()
    kept: list[tuple[str, int]] = []
    async with open_store(store_url) as store:
        place = None
        while page := await store.events("umazda", search, before=place, most=1000):
            kept += [(event.event_id, event.place.happened_at) for event in page]
            place = page[-1].place
        for number in range(7):
            assert await store.belongs("umazda", "customer", str(1_000 + number))
    return kept


# --- one server -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    """The URLs of a sandbox and of a server over it, and the server's configuration."""
    folder = tmp_path_factory.mktemp("webhooks")
    sandbox, port = free_port(), free_port()
    config = write_config(folder, f"sqlite:///{folder}/store.db", f"http://127.0.0.1:{sandbox}")
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    with (
        serving("sandbox", "--port", str(sandbox), url=f"http://127.0.0.1:{sandbox}/__sandbox/state"),
        serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS),
    ):
        yield f"http://127.0.0.1:{sandbox}", f"http://127.0.0.1:{port}", config


def call(config: Path, tool: str, **arguments: Any) -> Any:
    return json.loads(run_cli("call", tool, json.dumps(arguments), "--config", str(config), **SECRETS).stdout)


async def test_the_sandbox_sends_an_event_that_is_read_and_forgotten(place: tuple[str, str, Path]) -> None:
    """From the sender to the assistant, in processes of their own; the same reset sends the same event."""
    sandbox, server, config = place
    order = {"url": f"{server}/webhooks/roadster", "key": "our-own-key", "type": "agent_sent_message", "message": "Hi"}
    for _ in range(2):
        httpx2.post(f"{sandbox}/__sandbox/reset").raise_for_status()
        sent = httpx2.post(f"{sandbox}/__sandbox/events", json=order).json()
        assert (sent["status"], sent["answer"]) == (200, "{}")
    (row,) = call(config, "list_customer_events")["events"]
    assert (row["event_id"], row["message"]) == (sent["event"]["event_id"], "Hi")
    customer = sent["event"]["customer"]["id"]
    assert call(config, "get_customer", customer_id=customer)["vehicle"]["make"] == "Mazda"

    told = run_cli("forget", "--dealer", "umazda", "--customer", str(customer), "--config", str(config), **SECRETS)
    assert told.stdout == f"deleted: 1 events of customer {customer} at umazda\n"
    async with open_store(f"sqlite:///{config.parent}/store.db") as store:
        search = EventQuery(customer_id=customer)
        assert await store.events("umazda", search, before=None, most=1) == []
        asked, forgotten = [stored.record async for stored in store.records(last=2)]
        assert (asked.tool, forgotten.tool) == ("get_customer", "forget")
        assert forgotten.arguments == asked.arguments, "the id is on record as a hash, the same as of a call"
        assert (await store.verify()).first_broken is None


def test_forgetting_makes_no_store_where_there_is_none(tmp_path: Path) -> None:
    config = write_config(tmp_path, f"sqlite:///{tmp_path}/nothing.db")
    told = run_cli("forget", "--dealer", "umazda", "--customer", "1", "--config", str(config), **SECRETS)
    assert told.returncode == 2
    assert "there is no store at" in told.stderr
    assert not (tmp_path / "nothing.db").exists()


def test_what_was_forgotten_is_not_in_the_files_of_the_store(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    own = write_config(tmp_path, f"sqlite:///{store}")
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(own))
    body = numbered_event(1).replace(b"message 1", b"Sandrine wants a Camry")
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS):
        headers = {"Authorization": "Bearer our-own-key"}
        httpx2.post(f"http://127.0.0.1:{port}/webhooks/roadster", content=body, headers=headers).raise_for_status()
    assert b"Sandrine" in store.read_bytes()
    run_cli("forget", "--dealer", "umazda", "--customer", "1001", "--config", str(own), **SECRETS)
    assert b"Sandrine" not in b"".join(file.read_bytes() for file in tmp_path.glob("store.db*"))


async def test_a_dealer_that_nobody_knows_is_a_mistake_and_no_success(tmp_path: Path) -> None:
    """A typing error must not look like data deleted; a dealer that left the configuration still has its events."""
    url = f"sqlite:///{tmp_path}/store.db"
    async with open_store(url) as store:
        await store.add_owned("gone", "customer", "1001")
    command = ("forget", "--customer", "1001", "--config", str(write_config(tmp_path, url)))
    typo = run_cli(*command, "--dealer", "nobody", **SECRETS)
    assert (typo.returncode, typo.stdout) == (2, "")
    assert "nobody: there is no such dealer, and the store knows nothing of one; there are: umazda" in typo.stderr
    assert run_cli(*command, "--dealer", "gone", **SECRETS).returncode == 0
    async with open_store(url) as store:
        assert not await store.belongs("gone", "customer", "1001")
        assert [stored.record.dealer async for stored in store.records()] == ["gone"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_this_user_may_read_the_store(place: tuple[str, str, Path]) -> None:
    for file in place[2].parent.glob("store.db*"):
        assert file.stat().st_mode & 0o077 == 0


def test_a_web_hook_comes_by_any_host_name_and_needs_its_key(place: tuple[str, str, Path]) -> None:
    """Without and with a foreign Origin; the tools' routes stay guarded."""
    _, server, _ = place
    body = numbered_event(4711)
    public = {"Host": "hooks.example.com"}
    good = {**public, "Authorization": "Bearer our-own-key"}
    assert httpx2.post(f"{server}/webhooks/roadster", content=body, headers=good).status_code == 200
    assert httpx2.post(f"{server}/webhooks/roadster", content=body, headers=public).status_code == 401
    assert httpx2.post(f"{server}/webhooks/roadie", content=body, headers=good).status_code == 401
    assert httpx2.post(f"{server}/webhooks/other", content=body, headers=good).status_code == 421
    assert httpx2.post(f"{server}/mcp", content=body, headers=good).status_code == 421


def test_a_refused_body_leaves_the_server_alive(place: tuple[str, str, Path]) -> None:
    _, server, _ = place
    for headers, status in (({}, 401), ({"Authorization": "Bearer our-own-key"}, 413)):
        try:
            refused = httpx2.post(f"{server}/webhooks/roadster", content=b"x" * 8_000_000, headers=headers)
        except httpx2.TransportError:  # it may close before all was sent
            continue
        assert refused.status_code == status
    assert httpx2.get(f"{server}/healthz").status_code == 200


def test_no_log_line_holds_what_was_sent(tmp_path: Path, capfd: Any) -> None:
    config = write_config(tmp_path, f"sqlite:///{tmp_path}/store.db")
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS):
        for body, key in (
            (numbered_event(1), "our-own-key"),
            (b'{"Steve":', "our-own-key"),
            (numbered_event(2), "bad-Steve"),
        ):
            httpx2.post(
                f"http://127.0.0.1:{port}/webhooks/roadster",
                content=body,
                headers={"Authorization": f"Bearer {key}"},
            )
    _, logged = capfd.readouterr()
    lines = [json.loads(line) for line in logged.splitlines()]
    hooks = [line for line in lines if line["event"] == "web hook"]
    assert [(line["outcome"], line["status"]) for line in hooks] == [("kept", 200), ("refused", 400), ("refused", 401)]
    for secret in ("Steve", "steve", "our-own-key", "message 1", "event-0"):
        assert secret not in logged


@pytest.mark.parametrize(
    "order",
    [
        {"url": "http://example.com/webhooks/roadster", "key": "k"},
        {"url": "http://127.0.0.1.example.com/", "key": "k"},
        {"url": "file:///etc/passwd", "key": "k"},
        {"url": "http://localhost:1/", "key": "two words"},
        {"url": "http://localhost:1/"},
        {"url": "http://localhost:1/", "key": "k", "dealer": "nobody"},
        {"url": "http://localhost:1/", "key": "k", "more": 1},
    ],
)
def test_the_sandbox_sends_events_to_this_machine_alone(order: dict[str, Any], place: tuple[str, str, Path]) -> None:
    answer = httpx2.post(f"{place[0]}/__sandbox/events", json=order)
    assert answer.status_code == 400
    assert answer.json()["status"] == "error"


def test_the_sandbox_says_that_nobody_answered(place: tuple[str, str, Path]) -> None:
    order = {"url": f"http://127.0.0.1:{free_port()}/", "key": "k"}
    assert httpx2.post(f"{place[0]}/__sandbox/events", json=order).status_code == 502

"""The settings in force while the file changes."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import ElicitResult

from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.loading import load
from tests.conftest import Connect, World, kind_of, settings_for, text_of
from tests.tool_examples import STEVE


@pytest.mark.anyio
@pytest.mark.parametrize(
    "bad",
    [
        '[uploads]\nfolder = "~nosuchuser/x"',
        f'[uploads]\nfolder = "/{"x" * 5000}"',
        f"[http]\nallowed_hosts = [{'9' * 5000}]",
        "[http]\nallowed_hosts = " + "[" * 3000 + "]" * 3000,
    ],
)
async def test_live_settings_survive_a_file_that_cannot_be_used(
    bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "the-api-key")
    config = tmp_path / "roadster.toml"
    config.write_text('[roadster]\napi_key = "env:KEY"\n[dealers.umazda]\n[callers.local]\n')
    live = LiveSettings(load(config), config)
    before = live.current
    config.write_text(config.read_text() + bad)
    await live.reload()
    assert live.current is before


@pytest.mark.anyio
@pytest.mark.parametrize("wrong", ["rights", "missing", "line"])
@pytest.mark.parametrize("key", ["secrets_file", "file"])
async def test_mend_of_a_file_that_a_refused_configuration_names_is_noticed(
    key: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configuration itself does not change again."""
    monkeypatch.setenv("KEY", "the-api-key")
    config, secrets = tmp_path / "roadster.toml", tmp_path / "secrets"
    rest = '[roadster]\napi_key = "{}"\n[dealers.umazda]\n[callers.local]\ndealers = ["umazda"]\n'
    config.write_text(rest.format("env:KEY"))
    live = LiveSettings(load(config), config)
    if wrong != "missing":
        secrets.write_text("" if key == "file" else "OTHER" if wrong == "line" else "OTHER=x")
        secrets.chmod(0o644)
    names_secrets = {
        "file": rest.format(f"file:{secrets}"),
        "secrets_file": 'secrets_file = "secrets"\n' + rest.format("env:OTHER"),
    }
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(live.watch)
        config.write_text(names_secrets[key] + "[dealers.new]\n")
        await live.reload()
        assert "new" not in live.current.dealers
        secrets.write_text("other-key" if key == "file" else "OTHER=other-key")
        secrets.chmod(0o600)
        with anyio.fail_after(60):
            while "new" not in live.current.dealers:
                await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
@pytest.mark.reliability("a dealer taken out of the configuration while a person decides", "refused; nothing is sent")
async def test_dealers_table_that_goes_while_a_person_decides_is_a_refusal(
    connect: Connect, world: World, store_url: str
) -> None:
    """The caller's own list still has the dealer, as between two halves of an edit."""
    live = LiveSettings(settings_for(store_url, access={"customers": "confirm"}))

    async def agree_late(*_: Any) -> ElicitResult:
        dealers = {dpid: dealer for dpid, dealer in live.current.dealers.items() if dpid != "umazda"}
        live.current = live.current.model_copy(update={"dealers": dealers})
        return ElicitResult(action="accept", content={"confirm": True})

    async with connect(live=live, ask=agree_late, mode="legacy") as client:
        result = await client.call_tool("create_customer", {"dealer": "umazda", "customer": STEVE})
    assert kind_of(result) == "refused"
    assert "dealers.umazda is not in the configuration any more" in text_of(result)
    assert [request["operation"] for request in await world.requests()] == ["list_dealers"]


GROUP = """
include = ["dealers.d/*.toml"]
[roadster]
api_key = "env:KEY"
[store]
url = "{store}"
[callers.tester]
dealers = {dealers}
access = {{ inventory = "read", customers = "read" }}
"""


@pytest.fixture
def group(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a configuration of these dealers, with a file for each, and returns its path."""
    monkeypatch.setenv("KEY", "sandbox-key")
    monkeypatch.setattr("roadster_server.settings.live._LOOK_EVERY", 0.01)
    (tmp_path / "dealers.d").mkdir()

    def write(*dealers: str) -> Path:
        for dealer in dealers:
            (tmp_path / "dealers.d" / f"{dealer}.toml").write_text(f"[dealers.{dealer}]\n")
        config = tmp_path / "roadster.toml"
        config.write_text(GROUP.format(store=store_url, dealers=[*dealers]))
        return config

    return write


class SlowLoad:
    """A load that takes until it is told to end, in the place of a large configuration."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, during: Callable[[], None] = lambda: None) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.count = 0
        self._during = during
        monkeypatch.setattr("roadster_server.settings.live.load", self._load)

    def _load(self, path: Path) -> Any:
        self.count += 1
        settings = load(path)
        if self.count == 1:
            self._during()
        self.begun.set()
        assert self.may_end.wait(60)
        return settings


@asynccontextmanager
async def watching(live: LiveSettings) -> AsyncIterator[None]:
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(live.watch)
            yield
            tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_calls_are_answered_by_the_settings_before_until_all_of_the_new_ones_are_in_force(
    connect: Connect, group: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = group("umazda")
    live = LiveSettings(load(config), config)
    slow = SlowLoad(monkeypatch)
    async with connect(live=live) as client, watching(live):
        before = live.current
        group("umazda", "hyundaidemo")
        while not slow.begun.is_set():
            await anyio.sleep(0.01)
        assert kind_of(await client.call_tool("list_inventory", {"dealer": "umazda"})) is None
        assert kind_of(await client.call_tool("list_inventory", {"dealer": "hyundaidemo"})) == "refused"
        assert live.current is before
        slow.may_end.set()
        while live.current is before:
            await anyio.sleep(0.01)
        assert "hyundaidemo" in live.current.dealers
        assert "rights" in vars(live.current), "the first call would work out the rights of all"
        assert kind_of(await client.call_tool("list_inventory", {"dealer": "hyundaidemo"})) is None


@pytest.mark.anyio
@pytest.mark.parametrize("new_file", [False, True])
async def test_change_during_a_reload_is_taken_by_one_more(
    new_file: bool, group: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = group("umazda")
    live = LiveSettings(load(config), config)

    def change_what_was_read() -> None:
        if new_file:
            (config.parent / "dealers.d" / "late.toml").write_text("[dealers.late]\n")
        else:
            (config.parent / "dealers.d" / "umazda.toml").write_text("[dealers.umazda]\n[dealers.late]\n")

    slow = SlowLoad(monkeypatch, change_what_was_read)
    slow.may_end.set()
    async with watching(live):
        group("umazda", "hyundaidemo")
        while "late" not in live.current.dealers:
            await anyio.sleep(0.01)
    assert {*live.current.dealers} == {"umazda", "hyundaidemo", "late"}


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no such signal")
@pytest.mark.anyio
async def test_signal_during_a_reload_asks_for_one_more(
    group: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = group("umazda")
    live = LiveSettings(load(config), config)
    slow = SlowLoad(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGHUP))
    slow.may_end.set()
    async with watching(live):
        group("umazda", "hyundaidemo")
        while slow.count < 2:
            await anyio.sleep(0.01)


RELOADS = 100
CONFIG = """
[roadster]
api_key = "env:KEY"
[store]
url = "{store}"
[dealers.hyundaidemo]
[callers.tester]
dealers = ["hyundaidemo"{dealer}]
[callers.tester.access]
inventory = "read"
customers = "write"
events = "read"
forms = "read"
"""


@pytest.mark.anyio
@pytest.mark.reliability(
    "100 reloads that take a dealer out and back while its calls run", "each call is answered or refused in words"
)
async def test_reloads_under_load_end_each_call_with_an_answer_or_a_refusal(
    connect: Connect, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A dealer comes and goes while calls of it are in flight."""
    caplog.set_level(logging.WARNING, "roadster_server")
    monkeypatch.setenv("KEY", "sandbox-key")
    config = tmp_path / "roadster.toml"
    without = CONFIG.format(store=store_url, dealer="")
    complete = CONFIG.format(store=store_url, dealer=', "umazda"') + "[dealers.umazda]\npartner_id = '51101'\n"
    config.write_text(complete)
    live = LiveSettings(load(config), config)
    outcomes = Counter[str | None]()
    reloading = True
    calls: list[tuple[str, dict[str, Any]]] = [
        ("list_inventory", {}),
        ("list_customer_events", {}),
        ("list_templates", {}),
        ("create_customer", {"customer": STEVE}),
    ]

    async def call(client: Client, tool: str, arguments: dict[str, Any]) -> None:
        while reloading:
            outcomes[kind_of(await client.call_tool(tool, {"dealer": "umazda", **arguments}))] += 1

    async with connect(live=live) as client, anyio.create_task_group() as tasks:
        for tool, arguments in calls:
            for _ in range(2):
                tasks.start_soon(call, client, tool, arguments)
        for number in range(RELOADS):
            calls_so_far = outcomes.total()
            config.write_text(complete if number % 2 else without)
            await live.reload()
            while outcomes.total() < calls_so_far + 2:
                await anyio.sleep(0)
        reloading = False
    assert set(outcomes) == {None, "refused"}
    assert caplog.messages == []


def test_file_nested_too_deep_is_refused_in_words(tmp_path: Path) -> None:
    config = tmp_path / "roadster.toml"
    config.write_text("[http]\nallowed_hosts = " + "[" * 3000 + "]" * 3000)
    with pytest.raises(ConfigurationError, match="its lists or tables are nested too deep"):
        load(config)

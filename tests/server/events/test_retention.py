"""Old events are deleted by a clock that an event confirms, and by no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest

from roadster_server.events.inbox import keep_tidy
from roadster_server.settings.live import LiveSettings
from roadster_server.store import open_store
from roadster_server.store.lazy import LazyStore
from roadster_server.telemetry.metrics import Metrics
from tests.callers import SECRETS, write_config
from tests.command_line import run_cli
from tests.conftest import on_both_databases
from tests.server.store.databases import execute
from tests.server.store.test_files import REQUEST
from tests.servers import PATIENCE

from .hooks import read_rows, receive, tidy

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
JUMPS = [-400 * DAY, -2 * MINUTE, 2 * DAY, 400 * DAY]


@on_both_databases
async def test_old_events_go_while_newer_ones_come(live: LiveSettings, store: LazyStore, store_url: str) -> None:
    await receive(store, "e-1", NOON)
    await receive(store, "e-2", NOON + 30 * DAY)
    assert (await tidy(live, store, NOON + 30 * DAY)).doubt is None
    assert await read_rows(store_url) == [("e-1",), ("e-2",)]
    assert (await tidy(live, store, NOON + 30 * DAY + MINUTE)).doubt is None
    assert await read_rows(store_url) == [("e-2",)]


@on_both_databases
@pytest.mark.parametrize("jump", JUMPS, ids=str)
@pytest.mark.reliability(
    "a clock that jumped, before old events are deleted",
    "no event is deleted too early; log, doctor and metrics say that none is",
)
async def test_clock_that_jumped_deletes_no_event(
    live: LiveSettings, store: LazyStore, store_url: str, jump: timedelta
) -> None:
    """Neither while it is wrong and events come, nor after it was set right."""
    ids = [(f"e-{number}",) for number in range(30)]
    for number, (event_id,) in enumerate(ids):
        await receive(store, event_id, NOON + number * DAY)
    right = NOON + 29 * DAY
    await receive(store, "e-99", right + jump, happened_at=right)
    assert (await tidy(live, store, right + jump)).doubt == ("behind" if jump < timedelta() else "ahead")
    await receive(store, "e-98", right + MINUTE)
    assert (await tidy(live, store, right + MINUTE)).doubt is None
    assert await read_rows(store_url) == sorted([*ids, ("e-98",), ("e-99",)])


async def test_store_that_was_off_for_a_week_goes_on_with_the_first_event(
    live: LiveSettings, store: LazyStore, store_url: str
) -> None:
    await receive(store, "e-1", NOON)
    await receive(store, "e-2", NOON + 25 * DAY)
    later = NOON + 32 * DAY
    assert (await tidy(live, store, later)).doubt == "ahead"
    await receive(store, "e-3", later)
    assert (await tidy(live, store, later)).doubt is None
    assert await read_rows(store_url) == [("e-2",), ("e-3",)]


async def test_event_of_the_far_future_or_past_confirms_nothing_and_blocks_nothing(
    live: LiveSettings, store: LazyStore, store_url: str
) -> None:
    await receive(store, "e-1", NOON)
    later = NOON + 31 * DAY
    for number, happened_at in enumerate((NOON - 400 * DAY, NOON + 36_500 * DAY)):
        await receive(store, f"f-{number}", later, happened_at)
    assert (await tidy(live, store, later)).doubt == "ahead"
    await receive(store, "e-2", later)
    assert (await tidy(live, store, later)).doubt is None
    assert await read_rows(store_url) == [("e-2",), ("f-0",), ("f-1",)]


async def test_quiet_store_without_old_events_is_no_finding(live: LiveSettings, store: LazyStore) -> None:
    assert (await tidy(live, store, NOON)).doubt is None
    await receive(store, "e-1", NOON)
    assert (await tidy(live, store, NOON + 20 * DAY)).doubt is None


async def test_clock_in_doubt_is_logged_once_and_counted(
    live: LiveSettings, store: LazyStore, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    rounds = 0

    class Counted(Metrics):
        def on_tidied(self, *, is_stopped: bool) -> None:
            nonlocal rounds
            rounds += 1
            metrics.on_tidied(is_stopped=is_stopped)

    await receive(store, "e-1", datetime.now(UTC) - 60 * DAY)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(keep_tidy, live, store, Counted(), every=0.0))
            while rounds < 3:
                await anyio.sleep(0)
            tasks.cancel_scope.cancel()
    assert caplog.messages == ["old events not deleted"]
    [[sample]] = [metric.samples for metric in metrics.retention_stopped.collect()]
    assert sample.value == 1


@on_both_databases
async def test_files_that_are_over_are_deleted_while_a_server_runs(
    live: LiveSettings, store: LazyStore, store_url: str
) -> None:
    """A file that nobody sent, a link that nobody used, and parts of an attempt that was cut off."""
    now = int(datetime.now(UTC).timestamp() * 1000)
    for number, lasts in enumerate((-1, 60 * 60 * 1000)):
        request = replace(REQUEST, file=f"f{number}", link=f"l{number}", expires=now + lasts)
        await store.request_file(request, now=0, most=9)
        await store.add_file_part(request.file, "c", 0, b"sealed", expires=request.expires)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keep_tidy, live, store)
        with anyio.fail_after(PATIENCE):
            while len(await execute(store_url, "SELECT 1 FROM roadster_file_requests")) > 1:
                await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()
    assert await execute(store_url, "SELECT file FROM roadster_file_parts") == [("f1",)]


async def test_doctor_finds_it_and_a_person_deletes_them(upstream: str, tmp_path: Path) -> None:
    config = str(write_config(tmp_path, upstream, bot="read"))
    assert run_cli("doctor", "--config", config, **SECRETS).returncode in (0, 1)
    url = f"sqlite:///{tmp_path}/store.db"
    async with open_store(url) as store:
        await receive(replace(store, contact_key=b"k"), "e-1", datetime.now(UTC) - 500 * DAY)
    found = run_cli("doctor", "--config", config, **SECRETS)
    assert "retention" in found.stdout
    refused = run_cli("store", "prune", "--config", config, **SECRETS)
    assert (refused.returncode, await read_rows(url)) == (2, [("e-1",)])
    pruned = run_cli("store", "prune", "--yes", "--config", config, **SECRETS)
    assert (pruned.returncode, pruned.stdout.splitlines()[-1]) == (0, "deleted: 1 events")
    assert await read_rows(url) == []
    again = run_cli("store", "prune", "--config", config, **SECRETS)
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "nothing to delete")
    assert "retention" not in run_cli("doctor", "--config", config, **SECRETS).stdout

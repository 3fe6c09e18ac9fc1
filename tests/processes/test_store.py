"""One store of several processes, and what a start of one loads."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from roadster_server.store import Unknown, open_store
from tests.conftest import on_both_databases
from tests.servers import PATIENCE

pytestmark = pytest.mark.anyio


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def output_of(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout.strip()


def test_import_of_the_store_leaves_sqlalchemy_out() -> None:
    """This keeps the start of a stdio server short."""
    script = "import sys, roadster_server.store; print([m for m in ('sqlalchemy', 'alembic') if m in sys.modules])"
    assert output_of(script) == "[]"


OPEN = """
import sys, anyio
from roadster_server.store import open_store
async def main():
    async with open_store(sys.argv[1]):
        print([m for m in ("alembic", "asyncpg") if m in sys.modules])
anyio.run(main)
"""


def test_migrated_store_opens_without_alembic_or_the_other_driver(store_url: str) -> None:
    assert output_of(OPEN, store_url) == "[]"


OPEN_AND_APPEND = """
import sys, anyio
from datetime import datetime, UTC
from roadster_server.store import AuditRecord, open_store
async def main(url, name, count):
    async with open_store(url) as store:
        for number in range(int(count)):
            await store.append(AuditRecord(f"{name}-{number}", "ended", datetime.now(UTC), "sales-bot", None, "", "",
                                           "t", None, "allowed", "", "done", None, None, {}))
anyio.run(main, *sys.argv[1:])
"""


async def test_processes_open_a_new_store_at_once_and_keep_one_chain(new_url: str) -> None:
    processes = [start(OPEN_AND_APPEND, new_url, name, "25") for name in "abc"]
    stderr = [process.communicate(timeout=PATIENCE)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], stderr
    async with open_store(new_url) as store:
        verification = await store.verify()
        assert (verification.count, verification.first_broken) == (75, None)
        ids = [row.record.call_id async for row in store.records()]
    assert {name: [id_ for id_ in ids if id_.startswith(name)] for name in "abc"} == {
        name: [f"{name}-{number}" for number in range(25)] for name in "abc"
    }


SEND_UNTIL_KILLED = """
import sys, anyio, itertools
from datetime import datetime, UTC
from roadster_server.store import AuditRecord, open_store
async def main(url, name):
    async with open_store(url) as store:
        for number in itertools.count():
            key, now = f"{name}-{number}", datetime.now(UTC)
            claim = await store.claim(key, "a", now=now)
            await store.record_sent(AuditRecord(key, "sent", now, "sales-bot", None, "", "", "t",
                                                None, "allowed", "", "", None, None, {}), claim)
            print(key, flush=True)
anyio.run(main, *sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@on_both_databases
async def test_audit_and_claims_survive_a_killed_process(store_url: str) -> None:
    """The next call with the key learns that the outcome is unknown, and sends nothing."""
    for name in ("first", "second"):
        process = start(SEND_UNTIL_KILLED, store_url, name)
        assert process.stdout
        keys = [process.stdout.readline().strip() for _ in range(10)]
        process.send_signal(signal.SIGKILL)
        keys += process.communicate()[0].splitlines()
        later = datetime.now(UTC) + timedelta(minutes=3)
        async with open_store(store_url) as store:
            assert (await store.verify()).first_broken is None
            assert set(keys) <= {row.record.call_id async for row in store.records()}
            for key in keys:
                assert await store.claim(key, "a", now=later) == Unknown()

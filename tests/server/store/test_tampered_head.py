"""An audit whose newest record is not as it was written: nothing is added to it, and nothing else stops."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from roadster_server.store import Claim, StoreError, open_store
from roadster_server.store.tables import audit
from tests.callers import SECRETS, write_config
from tests.command_line import run_cli
from tests.conftest import Connect, World, kind_of, text_of
from tests.tool_examples import STEVE

from .databases import NOON, RECORD, execute, fill, lift_protection, path_of

pytestmark = pytest.mark.anyio

LARGEST = 2**63 - 1
COLUMNS = ", ".join(column.name for column in audit.columns if column.name != "seq")
NEW_CUSTOMER = {"dealer": "umazda", "customer": STEVE}
NO_TEXT = [
    f"UPDATE roadster_audit SET {column.name} = CAST(x'ff41' AS TEXT) WHERE seq = 3"
    for column in audit.columns
    if column.name in ("caller", "arguments", "hash")
]
TAMPERINGS = [
    f"INSERT INTO roadster_audit (seq, {COLUMNS}) SELECT {LARGEST}, {COLUMNS} FROM roadster_audit WHERE seq = 3",
    f"UPDATE roadster_audit SET seq = {LARGEST} WHERE seq = 3",
    "UPDATE roadster_audit SET outcome = 'refused' WHERE seq = 3",
    "DELETE FROM roadster_audit WHERE seq = 2",
]


async def tamper(url: str, statement: str) -> None:
    async with open_store(url) as store:
        await fill(store, 3)
    await lift_protection(url)
    await execute(url, statement)


async def assert_refuses_writes(url: str) -> None:
    async with open_store(url) as store:
        assert (await store.verify()).first_broken in (2, 3, 4)
        for write in (store.append(RECORD), store.record_sent(RECORD, None), store.probe()):
            with pytest.raises(StoreError, match="put a backup in its place"):
                await write
        assert isinstance(await store.claim("s", "a", now=NOON), Claim), "the other tables work"


@pytest.mark.parametrize("statement", TAMPERINGS)
async def test_head_that_was_changed_takes_no_record(url: str, statement: str) -> None:
    await tamper(url, statement)
    await assert_refuses_writes(url)


@pytest.mark.parametrize("statement", NO_TEXT)
async def test_head_with_bytes_that_are_no_text_takes_no_record(store_url: str, statement: str) -> None:
    await tamper(store_url, statement)
    await assert_refuses_writes(store_url)
    async with open_store(store_url) as store:
        with pytest.raises(StoreError, match="audit record 3 was changed and cannot be read"):
            assert [row async for row in store.records()]


async def test_bytes_that_are_no_text_are_found_in_the_middle(store_url: str) -> None:
    """The first record that was changed is named, on a page of many."""
    async with open_store(store_url) as store:
        await fill(store, 20)
    await lift_protection(store_url)
    await execute(store_url, "UPDATE roadster_audit SET tool = CAST(x'ff' AS TEXT) WHERE seq = 13")
    async with open_store(store_url) as store:
        assert (await store.verify()).first_broken == 13


@pytest.mark.reliability(
    "records of the audit that were changed so that they cannot be read",
    "`audit tail` names them, prints the others and exits with 1",
)
@pytest.mark.parametrize("value", ["CAST(x'ff' AS TEXT)", "x'ff'", "'no JSON'"])
async def test_records_that_cannot_be_read_are_named_between_the_others(
    store_url: str, tmp_path: Path, value: str
) -> None:
    async with open_store(store_url) as store:
        await fill(store, 20)
    await lift_protection(store_url)
    await execute(store_url, f"UPDATE roadster_audit SET arguments = {value} WHERE seq IN (13, 14, 20)")
    config = write_config(tmp_path, "https://api.example.com", store=f"sqlite:///{path_of(store_url)}", bot="read")
    for command, first in (("tail", 11), ("export", 1)):
        last = ("--last", "10") if command == "tail" else ()
        end = run_cli("audit", command, *last, "--config", str(config), **SECRETS)
        assert end.returncode == 1
        assert [json.loads(line)["seq"] for line in end.stdout.splitlines()] == [
            seq for seq in range(first, 21) if seq not in (13, 14, 20)
        ]
        assert [line.split(" was changed")[0] for line in end.stderr.splitlines()] == [
            "record 13",
            "record 14",
            "record 20",
        ]


@pytest.mark.parametrize("statement", [TAMPERINGS[0], NO_TEXT[0]], ids=["largest number", "no text"])
@pytest.mark.reliability("an audit whose newest record was changed", "writes are refused in words, reads are answered")
async def test_server_with_a_changed_audit_refuses_writes_and_lives(
    connect: Connect, world: World, store_url: str, tmp_path: Path, statement: str
) -> None:
    """`audit verify` says that it was changed, with exit code 1."""
    await tamper(store_url, statement)
    async with connect() as client:
        for _ in range(2):
            refused = await client.call_tool("create_customer", NEW_CUSTOMER)
            assert kind_of(refused) == "unrecorded"
            assert "the store does not work" in text_of(refused)
            assert str(tmp_path) not in text_of(refused)
            assert kind_of(await client.call_tool("list_dealers")) is None
    assert {request["operation"] for request in await world.requests()} == {"list_dealers"}
    config = write_config(tmp_path, "https://api.example.com", store=f"sqlite:///{path_of(store_url)}", bot="read")
    end = run_cli("audit", "verify", "--config", str(config), **SECRETS)
    assert end.stderr == ""
    assert (end.returncode, end.stdout.partition(":")[0]) == (
        1,
        f"broken at record {4 if 'INSERT' in statement else 3}",
    )

"""`forget` where there is nothing to delete. The tests of web hooks show what it deletes."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadster_server.store import open_store
from tests.callers import SECRETS, write_config
from tests.command_line import run_cli

pytestmark = pytest.mark.anyio


def test_forget_makes_no_store_where_there_is_none(tmp_path: Path) -> None:
    config = write_config(tmp_path, "http://127.0.0.1:9", local="read")
    end = run_cli("forget", "--dealer", "umazda", "--customer", "1", "--config", str(config), **SECRETS)
    assert end.returncode == 2
    assert "there is no store at" in end.stderr
    assert not (tmp_path / "store.db").exists()


async def test_forget_refuses_a_dealer_that_nobody_knows(tmp_path: Path) -> None:
    """A typing error must not look like data deleted. A dealer that left the configuration still has its events."""
    url = f"sqlite:///{tmp_path}/store.db"
    async with open_store(url) as store:
        await store.add_owned("gone", "customer", "1001")
    config = write_config(tmp_path, "http://127.0.0.1:9", url, local="read")
    command = ("forget", "--customer", "1001", "--config", str(config))
    typo = run_cli(*command, "--dealer", "nobody", **SECRETS)
    assert (typo.returncode, typo.stdout) == (2, "")
    message = "there is no such dealer, and the store knows nothing of one; one of umazda, hyundaidemo"
    assert f"nobody: {message}" in typo.stderr
    assert run_cli(*command, "--dealer", "gone", **SECRETS).returncode == 0
    async with open_store(url) as store:
        assert not await store.belongs("gone", "customer", "1001")
        assert [entry.record.dealer async for entry in store.records()] == ["gone"]


async def test_forget_refuses_what_is_no_customers_id(tmp_path: Path) -> None:
    """An event may bring an id of another form. What the store has under it can be deleted."""
    url = f"sqlite:///{tmp_path}/store.db"
    async with open_store(url) as store:
        await store.add_owned("umazda", "customer", "c-77")
    config = write_config(tmp_path, "http://127.0.0.1:9", url, local="read")
    command = ("forget", "--dealer", "umazda", "--config", str(config), "--customer")
    typo = run_cli(*command, "abc", **SECRETS)
    assert (typo.returncode, typo.stdout) == (2, "")
    assert "abc: is no customer's id, and the store knows nothing of one" in typo.stderr
    ends = [run_cli(*command, customer, **SECRETS) for customer in ("c-77", "1650260")]
    assert [(end.returncode, end.stdout) for end in ends] == [
        (0, "deleted of customer c-77 at umazda: 0 events, 1 ids, 0 search entries\n"),
        (0, "nothing was known of customer 1650260 at umazda\n"),
    ]
    async with open_store(url) as store:
        assert not await store.belongs("umazda", "customer", "c-77")
        assert len([entry async for entry in store.records()]) == 2

"""Writes on the command line, and the commands that print and check their audit records."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.callers import NEW_CUSTOMER, SECRETS, customers_created, write_config
from tests.command_line import run_cli
from tests.tool_examples import STEVE

pytestmark = pytest.mark.usefixtures("fresh_world")


def test_call_sends_a_write_only_with_yes(upstream: str, tmp_path: Path) -> None:
    config = str(write_config(tmp_path, upstream, local="confirm"))
    command = ("call", "create_customer", json.dumps(NEW_CUSTOMER), "--config", config)
    refusal = run_cli(*command, **SECRETS)
    assert (refusal.returncode, json.loads(refusal.stdout)["error"]) == (3, "not_confirmed")
    assert "add --yes" in json.loads(refusal.stdout)["message"]
    assert customers_created(upstream) == 0
    answer = run_cli(*command, "--yes", **SECRETS)
    assert answer.returncode == 0, answer.stdout
    assert customers_created(upstream) == 1


def test_call_repeated_with_one_key_is_sent_once(upstream: str, tmp_path: Path) -> None:
    config = str(write_config(tmp_path, upstream, local="write"))
    arguments = json.dumps({**NEW_CUSTOMER, "idempotency_key": "order-4711"})
    first, again = (run_cli("call", "create_customer", arguments, "--config", config, **SECRETS) for _ in range(2))
    assert json.loads(again.stdout) == {**json.loads(first.stdout), "replayed": True}
    assert customers_created(upstream) == 1


def test_audit_is_verified_printed_and_exported(upstream: str, tmp_path: Path) -> None:
    config = write_config(tmp_path, upstream, local="write")

    def audit(*arguments: str) -> CompletedProcess[str]:
        return run_cli("audit", *arguments, "--config", str(config), **SECRETS)

    for tool, call in (
        ("list_inventory", {"limit": 1}),
        ("list_inventory", {"dealer": "toyotademo"}),
        ("create_customer", NEW_CUSTOMER),
    ):
        run_cli("call", tool, json.dumps(call), "--config", str(config), **SECRETS)
    whole = audit("verify")
    assert whole.returncode == 0
    assert whole.stdout.startswith("whole; records: 4, head: ")
    records = [json.loads(line) for line in audit("tail").stdout.splitlines()]
    assert [(record["seq"], record["outcome"]) for record in records] == [
        (1, "done"),
        (2, "refused"),
        (3, "sent"),
        (4, "done"),
    ]
    assert json.loads(audit("tail", "--last", "1").stdout)["seq"] == 4
    assert len(audit("export").stdout.splitlines()) == 4
    future = audit("export", "--since", "2999-01-01")
    assert (future.returncode, future.stdout) == (0, "")
    for value in STEVE.values():
        assert value not in json.dumps(records)

    with closing(sqlite3.connect(tmp_path / "store.db")) as store, store:
        for (trigger,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            store.execute(f"DROP TRIGGER {trigger}")
        store.execute("UPDATE roadster_audit SET outcome = 'done' WHERE seq = 2")
    verification = audit("verify")
    assert verification.returncode == 1
    assert verification.stdout.startswith("broken at record 2")


def test_audit_that_is_gone_is_not_an_empty_one(upstream: str, tmp_path: Path) -> None:
    config = write_config(tmp_path, upstream, local="write")
    missing = run_cli("audit", "verify", "--config", str(config), **SECRETS)
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "there is no store at" in missing.stderr

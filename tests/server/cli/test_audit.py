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
    assert verification.stdout == "broken at record 2: it, or one before it, is not as it was written\n"
    with closing(sqlite3.connect(tmp_path / "store.db")) as store, store:
        store.execute("UPDATE roadster_audit SET outcome = 'declined' WHERE seq = 4")
    assert audit("verify").stdout == (
        "broken at 2 places, which are records 2, 4: each of them, or one before it, is not as it was written\n"
    )


def test_audit_that_is_gone_is_not_an_empty_one(upstream: str, tmp_path: Path) -> None:
    config = write_config(tmp_path, upstream, local="write")
    missing = run_cli("audit", "verify", "--config", str(config), **SECRETS)
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "there is no store at" in missing.stderr


def test_audit_is_searched_for_one_customer_of_a_dealer(upstream: str, tmp_path: Path) -> None:
    """A number and the same number as text are one customer, also in the answer that made them. No id is on record."""
    config = str(write_config(tmp_path, upstream, local="write"))
    for customer in (1650260, 1650261, "1650260"):
        arguments = json.dumps({"customer_id": customer, "agent": {"email": "agent@example.com"}})
        run_cli("call", "assign_agent", arguments, "--yes", "--config", config, **SECRETS)
    run_cli("call", "create_customer", json.dumps(NEW_CUSTOMER), "--yes", "--config", config, **SECRETS)
    run_cli("forget", "--dealer", "umazda", "--customer", "1650260", "--config", config, **SECRETS)

    def search(command: str, *more: str) -> list[str]:
        subject = ("--customer", "1650260", "--dealer", "umazda")
        output = run_cli("audit", command, *subject, *more, "--config", config, **SECRETS).stdout
        assert "1650260" not in output
        return [json.loads(line)["tool"] for line in output.splitlines()]

    of_customer = search("export")
    every_record = run_cli("audit", "export", "--config", config, **SECRETS).stdout.splitlines()
    assert len(of_customer) < len(every_record)
    assert set(of_customer) == {"assign_agent", "create_customer", "forget"}
    assert of_customer == search("tail")
    assert search("tail", "--last", "1") == ["forget"]
    other = run_cli("audit", "tail", "--customer", "1650260", "--dealer", "hyundaidemo", "--config", config, **SECRETS)
    assert (other.returncode, other.stdout) == (0, "")
    assert "no record of the present API key names this customer" in other.stderr


@pytest.mark.parametrize(("dealer", "customer"), [("umazd", "1650260"), ("umazda", "abc"), ("umazda", "01650260")])
def test_audit_is_not_searched_for_a_typing_error(dealer: str, customer: str, upstream: str, tmp_path: Path) -> None:
    """No record looks like "nobody touched this customer"."""
    config = str(write_config(tmp_path, upstream, local="write"))
    run_cli("call", "create_customer", json.dumps(NEW_CUSTOMER), "--yes", "--config", config, **SECRETS)
    command = ("audit", "tail", "--dealer", dealer, "--customer", customer, "--config", config)
    end = run_cli(*command, **SECRETS)
    assert (end.returncode, end.stdout) == (2, "")


@pytest.mark.parametrize("option", ["--customer", "--dealer"])
def test_audit_is_not_searched_by_a_customer_or_a_dealer_alone(option: str, upstream: str, tmp_path: Path) -> None:
    config = str(write_config(tmp_path, upstream, local="write"))
    end = run_cli("audit", "tail", option, "1650260", "--config", config, **SECRETS)
    assert end.returncode == 2
    assert "--customer and --dealer belong together" in end.stderr


def test_arguments_and_scripts_may_begin_with_a_byte_order_mark(upstream: str, tmp_path: Path) -> None:
    config = str(write_config(tmp_path, upstream, local="read"))
    (tmp_path / "arguments.json").write_text('{"limit": 1}', encoding="utf-8-sig")
    (tmp_path / "deal.jsonl").write_text('{"tool": "list_inventory", "arguments": {"limit": 1}}', encoding="utf-8-sig")
    call = ("call", "list_inventory", f"@{tmp_path}/arguments.json", "--config", config)
    assert run_cli(*call, **SECRETS).returncode == 0
    assert run_cli("run", str(tmp_path / "deal.jsonl"), "--config", config, **SECRETS).returncode == 0

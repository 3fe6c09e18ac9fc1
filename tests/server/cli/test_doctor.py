"""`doctor` prints one line for each fault, with what to do. The worst one decides the exit code."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.command_line import run_cli
from tests.server.cli.doctors import doctor, edit, problems
from tests.server.transports.test_http import SECRETS


def test_doctor_prints_one_line_for_each_check(config: Path) -> None:
    end = doctor(config)
    assert problems(end) == []
    assert end.returncode == 0
    checks = [line.removeprefix("ok").strip().partition(":")[0] for line in end.stdout.splitlines()]
    assert checks == [
        "configuration",
        "secrets",
        "files",
        "links",
        "callers",
        "approvals",
        "dealer figures",
        "mykaarma dealers",
        "store",
        "audit",
        "store's files",
        "roadster reach",
        "roadster credentials",
        "dealers",
        "answers of hyundaidemo",
        "answers of umazda",
        "roadie reach",
        "roadie credentials",
        "mykaarma reach",
        "mykaarma credentials",
        "clock",
    ]


def test_doctor_prints_each_mistake_of_a_configuration(config: Path) -> None:
    edit(config, "[dealers.hyundaidemo]", "[dealers.hyundaidemo]\ncolour = 1")
    end = run_cli("doctor", "--config", str(config), UMAZDA_LINK_KEY="k" * 32)
    assert end.returncode == 2
    results = problems(end)
    assert len(results) == 5  # the missing key is named wherever it is wanted
    assert any("ROADSTER_API_KEY is not set; set it" in line for line in results)
    assert any("dealers.hyundaidemo.colour: unknown key, expected one of " in line for line in results)


def test_doctor_finds_a_link_key_without_a_host(config: Path) -> None:
    edit(config, 'express_host = "express.umazda.com"', "")
    end = doctor(config)
    assert end.returncode == 1
    assert "dealers.umazda has a link_key and no express_host" in problems(end)[0]


@pytest.mark.skipif(os.name != "posix", reason="Windows has other permissions")
def test_doctor_finds_files_that_others_may_read_or_change(config: Path, tmp_path: Path) -> None:
    key = tmp_path / "api.key"
    key.write_text("sandbox-key")
    key.chmod(0o644)
    edit(config, "env:ROADSTER_API_KEY", f"file:{key}")
    config.chmod(0o666)
    assert doctor(config).returncode == 1  # makes the store
    store = tmp_path / "store.db"
    store.chmod(0o640)
    mends = [line.rpartition("; ")[2] for line in problems(doctor(config))]
    assert mends == [f"chmod go-w {config}", f"chmod 600 {key}", f"chmod 600 {store}"]
    for mend in mends:
        subprocess.run(mend.split(), check=True)
    assert doctor(config).returncode == 0


def test_doctor_exits_with_1_when_the_store_does_not_open(config: Path, tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("not a database, whatever its name says")
    end = doctor(config)
    assert end.returncode == 1
    assert "is not a sound SQLite file; move it away" in problems(end)[0]


def test_doctor_exits_with_1_when_the_audit_is_broken(config: Path, tmp_path: Path) -> None:
    run_cli("call", "list_dealers", "--config", str(config), **SECRETS)
    store = sqlite3.connect(tmp_path / "store.db")
    for (trigger,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        store.execute(f"DROP TRIGGER {trigger}")
    store.execute("UPDATE roadster_audit SET outcome = 'refused'")
    store.commit()
    store.close()
    end = doctor(config)
    assert end.returncode == 1
    assert "audit: broken at record 1" in problems(end)[0]

"""`token revoke`: whose tokens it puts on the list, and the mistakes after which nothing is revoked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from roadster_server.store import open_store
from tests.command_line import run_cli
from tests.conftest import PROJECT
from tests.server.store.databases import RECORD

pytestmark = pytest.mark.anyio

TOKEN, SECOND = "the-first-token", "the-second-token"
FIRST_HASH, SECOND_HASH = (hashlib.sha256(token.encode()).hexdigest() for token in (TOKEN, SECOND))
JWT = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJpc3MiOiJub2JvZHkiLCJzdWIiOiJuIn0.c2lnbmF0dXJl"
EXAMPLE = (PROJECT / "examples" / "people.toml").read_text()


@pytest.fixture
def store_file(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def config(tmp_path: Path, store_file: str) -> Path:
    path = tmp_path / "roadster.toml"
    desk = f'[callers.idle]\n[callers.desk]\ntoken_sha256 = ["{FIRST_HASH}", "{SECOND_HASH}"]'
    path.write_text(f'{EXAMPLE.replace("[callers.desk]", desk)}\n[store]\nurl = "{store_file}"\n')
    return path


@pytest.mark.parametrize(
    ("arguments", "stdin", "noun", "subjects"),
    [
        ([], f"{TOKEN}\n", "a token of desk", {FIRST_HASH}),
        ([], f"Bearer {SECOND}\r\n", "a token of desk", {SECOND_HASH}),
        (["--sha256", FIRST_HASH.upper()], "", "a token of desk", {FIRST_HASH}),
        (["--caller", "desk"], "", "all 2 tokens of desk", {FIRST_HASH, SECOND_HASH}),
        (["--person", "work:steve@example.com"], "", "all tokens that work:steve@example.com has now", None),
        (["--person", "work:a:b"], "", "all tokens that work:a:b has now", {"work:a:b"}),
    ],
)
async def test_revokes_and_puts_it_on_record(
    arguments: list[str], stdin: str, noun: str, subjects: set[str] | None, config: Path, store_file: str
) -> None:
    async with open_store(store_file) as store:
        end = run_cli("token", "revoke", *arguments, "--config", str(config), stdin=stdin, ROADSTER_API_KEY="k")
        person = arguments[1] if arguments[:1] == ["--person"] else None
        notice = f"roadster-mcp: the audit has no record of {person}; check the spelling\n" if person else ""
        assert (end.returncode, end.stderr) == (0, notice)
        assert end.stdout == f"revoked: {noun}; servers refuse it within two seconds\n"
        assert (await store.revocations(0)).times.keys() == (subjects or {"work:steve@example.com"})
        (row,) = [row async for row in store.records()]
    assert (row.record.tool, row.record.principal) == ("token revoke", "operator")
    assert "steve" not in json.dumps(dict(row.record.arguments))


async def test_knows_a_person_who_is_on_record(config: Path, store_file: str) -> None:
    async with open_store(store_file) as store:
        await store.append(replace(RECORD, caller="work:sales", principal="work:anna"))
    for person, notice in (
        ("work:anna", ""),
        ("work:annna", "roadster-mcp: the audit has no record of work:annna; check the spelling\n"),
    ):
        end = run_cli("token", "revoke", "--person", person, "--config", str(config), ROADSTER_API_KEY="k")
        assert (end.returncode, end.stderr) == (0, notice)
        assert end.stdout.startswith("revoked: ")


async def test_a_search_that_finds_nothing_names_an_unknown_provider(config: Path, store_file: str) -> None:
    async with open_store(store_file):
        pass
    for person, more in (
        ("work:anna", ""),
        ("wrk:anna", "; the configuration has no identity provider 'wrk', one of work"),
    ):
        end = run_cli("audit", "tail", "--person", person, "--config", str(config), ROADSTER_API_KEY="k")
        assert (end.returncode, end.stdout) == (0, "")
        assert end.stderr == f"no record is of this caller or person{more}\n"


@pytest.mark.parametrize(
    ("arguments", "stdin", "problem"),
    [
        ([], "", "there is no token on stdin"),
        ([], "\n", "there is no token on stdin"),
        ([], "another-token\n", "no caller of the configuration has this token"),
        ([], f"{JWT}\n", "this is a token of an identity provider"),
        (["--sha256", "abc"], "", "no caller of the configuration has this token"),
        (["--caller", "idle"], "", "callers.idle has no token"),
        (["--caller", "nobody"], "", "callers.nobody: no such caller; one of idle, desk"),
        (["--person", "steve"], "", "steve: names no person"),
        (["--person", "wrok:steve"], "", "with a provider of the configuration, one of work"),
        (["--person", "work:"], "", "work:: names no person"),
        (["--caller", "desk", "--person", "work:steve"], "", "exclude each other"),
    ],
)
async def test_revokes_nothing_after_a_mistake(
    arguments: list[str], stdin: str, problem: str, config: Path, store_file: str
) -> None:
    async with open_store(store_file) as store:
        end = run_cli("token", "revoke", *arguments, "--config", str(config), stdin=stdin, ROADSTER_API_KEY="k")
        assert (end.returncode, end.stdout) == (2, "")
        assert problem in end.stderr
        assert stdin.strip() == "" or stdin.strip() not in end.stderr
        assert (await store.revocations(0)).times == {}


def test_makes_no_store(config: Path) -> None:
    end = run_cli("token", "revoke", "--caller", "desk", "--config", str(config), ROADSTER_API_KEY="k")
    assert (end.returncode, end.stdout) == (2, "")
    assert "there is no store at" in end.stderr


def test_takes_no_token_as_an_argument(config: Path) -> None:
    assert run_cli("token", "revoke", TOKEN, "--config", str(config), ROADSTER_API_KEY="k").returncode == 2

"""Writes that people approve on a page, called from the command line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from roadster_sandbox import SandboxTransport
from roadster_server.backend import Backend
from roadster_server.calls.approvals.approvals import Approvals
from roadster_server.cli.calls.call import Outcome, call_once
from roadster_server.cli.calls.script import read_script
from roadster_server.cli.calls.script_run import Report, run_script
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.people import PeopleSettings
from roadster_server.settings.settings import Settings
from tests.conftest import World
from tests.server.calls.approvals import approving_settings, open_office
from tests.server.calls.writes import NEW_CUSTOMER, sent_writes
from tests.servers import PATIENCE
from tests.tool_examples import NEW_TEMPLATE

pytestmark = pytest.mark.anyio

ORIGIN = "https://mcp.example.com"
PAGE = f"{ORIGIN}/people/approvals/"


@pytest.fixture
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails a call that waits for a decision on the page."""

    async def wait(*_: object) -> None:
        pytest.fail("the call waits")

    monkeypatch.setattr(Approvals, "wait", wait)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def page_settings(store_url: str, resource_url: str | None = f"{ORIGIN}/mcp", **caller: Any) -> Settings:
    settings = approving_settings(store_url, **caller)
    http = settings.http.model_copy(update={"resource_url": resource_url})
    return settings.model_copy(update={"http": http, "people": PeopleSettings(local_caller="manager")})


async def call(world: World, settings: Settings, *, yes: bool) -> Outcome:
    backend = Backend(LiveSettings(settings), SandboxTransport(world.app))
    with anyio.fail_after(PATIENCE):
        return await call_once(backend, "tester", "create_customer", dict(NEW_CUSTOMER), yes)


@pytest.mark.usefixtures("no_wait")
@pytest.mark.parametrize("confirm_by", [["page"], ["page", "form"]])
async def test_yes_is_no_yes_on_a_page_and_waits_for_nobody(
    confirm_by: list[str], world: World, store_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = await call(world, page_settings(store_url, confirm_by=confirm_by), yes=True)
    assert outcome.code == 6
    assert outcome.waiting["url"].startswith(PAGE)
    assert outcome.message.endswith("decide on the page, where --yes is no yes, then make the same call again.")
    notice = capsys.readouterr().err
    assert notice.startswith("roadster-mcp: Create a customer at ")
    assert outcome.waiting["url"] in notice
    assert await sent_writes(world) == []


async def test_a_form_that_comes_first_is_confirmed_by_yes(world: World, store_url: str) -> None:
    assert (await call(world, page_settings(store_url), yes=True)).code == 0
    assert await sent_writes(world) == ["create_customer"]


@pytest.mark.usefixtures("no_wait")
async def test_without_a_terminal_the_link_is_in_the_answer(
    world: World, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can be asked by a form, so the default ways lead to the page."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    outcome = await call(world, page_settings(store_url), yes=False)
    assert (outcome.code, outcome.waiting["url"][: len(PAGE)]) == (6, PAGE)
    assert "--yes is no yes" in outcome.message


async def test_a_person_at_the_terminal_reads_the_link_and_gets_the_answer_once_it_is_decided(
    world: World, store_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked at the terminal: only the page takes the yes."""
    settings = page_settings(store_url, confirm_by=["page"])
    outcomes: list[Outcome] = []
    notices = ""
    monkeypatch.setattr(sys, "stdin", Terminal())
    async with open_office(world, settings) as office, anyio.create_task_group() as tasks:

        async def ask() -> None:
            outcomes.append(await call(world, settings, yes=False))

        tasks.start_soon(ask)
        with anyio.fail_after(PATIENCE):
            while PAGE not in notices:
                notices += capsys.readouterr().err
                await anyio.sleep(0.02)
        assert await office.decide(notices.partition(PAGE)[2].split()[0])
    assert [outcome.code for outcome in outcomes] == [0]
    assert "Type yes" not in notices
    assert await sent_writes(world) == ["create_customer"]


async def test_without_an_address_of_pages_the_answer_names_the_setting(world: World, store_url: str) -> None:
    outcome = await call(world, page_settings(store_url, None, confirm_by=["page"]), yes=True)
    assert (outcome.code, outcome.kind) == (3, "not_confirmed")
    assert "http.resource_url" in outcome.message


@pytest.mark.usefixtures("no_wait")
async def test_a_script_with_yes_ends_with_the_links(world: World, store_url: str, tmp_path: Path) -> None:
    backend = Backend(LiveSettings(page_settings(store_url, confirm_by=["page"])), SandboxTransport(world.app))
    lines = [
        {"tool": "create_customer", "arguments": {**NEW_CUSTOMER, "idempotency_key": key}}
        for key in ("first-deal", "second-deal")
    ]
    script = tmp_path / "script.jsonl"
    script.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    out, report = io.StringIO(), Report()
    with anyio.fail_after(PATIENCE):
        await run_script(backend, "tester", read_script(str(script), io.StringIO()), out, report, jobs=1, yes=True)
    results = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [result["waiting"]["url"][: len(PAGE)] for result in results] == [PAGE, PAGE]
    assert all("--yes is no yes" in result["message"] for result in results)
    assert report.code == 6


async def test_a_file_is_asked_for_by_a_link_and_yes_waits_for_nobody(
    world: World, store_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = Backend(LiveSettings(page_settings(store_url)), SandboxTransport(world.app))
    arguments = {"dealer": "umazda", **{name: NEW_TEMPLATE[name] for name in NEW_TEMPLATE if name != "contents"}}
    with anyio.fail_after(PATIENCE):
        outcome = await call_once(backend, "tester", "create_template", arguments, True)
    assert (outcome.code, outcome.kind) == (6, "waiting")
    assert outcome.waiting["url"].startswith(f"{ORIGIN}/people/files/")
    assert outcome.waiting["url"] in capsys.readouterr().err
    assert outcome.waiting["upload"] in outcome.message
    assert await sent_writes(world) == []

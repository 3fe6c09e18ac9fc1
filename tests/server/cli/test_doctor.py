"""`roadster-mcp doctor`: each fault that it can see is one line that says what to do, and decides the exit code."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount

from roadster_sandbox import SandboxTransport
from roadster_server.backend import Backend
from roadster_server.cli.doctor import Finding, examine
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections import DealerSettings, RoadsterSettings
from tests.command_line import run_cli
from tests.conftest import World, settings_for
from tests.server.transports.test_http import SECRETS, write_config
from tests.servers import free_port


@pytest.fixture
def config(upstream: str, tmp_path: Path) -> Path:
    return write_config(tmp_path, upstream)


def doctor(config: Path, **secrets: str) -> subprocess.CompletedProcess[str]:
    done = run_cli("doctor", "--config", str(config), **{**SECRETS, **secrets})
    assert "Traceback" not in done.stderr
    for secret in {**SECRETS, **secrets}.values():
        assert secret not in done.stdout + done.stderr
    return done


def problems(done: subprocess.CompletedProcess[str]) -> list[str]:
    lines = done.stdout.splitlines()
    assert all(line.startswith(("ok       ", "problem  ")) for line in lines)
    return [line.removeprefix("problem  ") for line in lines if line.startswith("problem  ")]


def edited(config: Path, old: str, new: str) -> Path:
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new, 1))
    return config


def test_where_all_is_well_each_check_is_one_line_and_the_exit_code_is_0(config: Path) -> None:
    done = doctor(config)
    assert problems(done) == []
    assert done.returncode == 0
    checks = [line.removeprefix("ok").strip().partition(":")[0] for line in done.stdout.splitlines()]
    assert checks == [
        "configuration",
        "secrets",
        "files",
        "links",
        "callers",
        "mykaarma dealers",
        "store",
        "audit",
        "store's files",
        "roadster reach",
        "roadster credentials",
        "dealers",
        "roadie reach",
        "roadie credentials",
        "mykaarma reach",
        "mykaarma credentials",
        "clock",
    ]


def test_a_configuration_that_cannot_be_used_is_exit_2_with_a_line_for_each_mistake(config: Path) -> None:
    edited(config, "[dealers.hyundaidemo]", "[dealers.hyundaidemo]\ncolour = 1")
    done = run_cli("doctor", "--config", str(config), UMAZDA_LINK_KEY="k" * 32)
    assert done.returncode == 2
    found = problems(done)
    assert len(found) == 5  # the missing key is named wherever it is wanted
    assert any("ROADSTER_API_KEY is not set; set it" in line for line in found)
    assert any("dealers.hyundaidemo.colour: unknown key; remove it" in line for line in found)


def test_refused_credentials_are_exit_4_and_name_their_setting(config: Path) -> None:
    done = doctor(config, ROADSTER_API_KEY="another-key")
    assert done.returncode == 4
    assert [line for line in problems(done) if "[roadster] api_key" in line]


def test_an_upstream_that_is_down_is_exit_4(tmp_path: Path) -> None:
    done = doctor(write_config(tmp_path, f"http://127.0.0.1:{free_port()}"))
    assert done.returncode == 4
    assert problems(done)[0].startswith("roadster reach: 127.0.0.1:")
    assert "no connection; correct [roadster] base_url" in problems(done)[0]


def test_an_upstream_that_speaks_no_tls_is_told_from_one_that_is_down(config: Path, upstream: str) -> None:
    edited(config, upstream, upstream.replace("http://", "https://"))
    (problem,) = problems(doctor(config))
    assert "TLS failed" in problem


def test_dealers_that_roadster_does_not_know_so_are_exit_1(config: Path) -> None:
    edited(config, 'partner_id = "CA317"', 'partner_id = "CA318"')
    edited(config, "[store]", "[dealers.nowhere]\n\n[store]")
    done = doctor(config)
    assert done.returncode == 1
    assert len(problems(done)) == 2
    assert any("dealers.hyundaidemo.partner_id" in line and "'CA317'" in line for line in problems(done))
    assert any("dealers.nowhere is none of this account's" in line for line in problems(done))


def test_callers_who_can_do_nothing_or_not_connect_are_found(config: Path) -> None:
    config.write_text(
        config.read_text() + '[callers.idle]\ntoken_sha256 = ["' + hashlib.sha256(b"idle").hexdigest() + '"]\n'
        '[callers.tokenless]\ndealers = ["umazda"]\naccess = { inventory = "read" }\n'
    )
    done = doctor(config)
    assert done.returncode == 1
    assert len(problems(done)) == 2
    assert any("callers.idle may do nothing; add dealers" in line for line in problems(done))
    assert any("roadster-mcp token tokenless" in line for line in problems(done))


def test_a_link_key_without_a_host_for_its_links_is_found(config: Path) -> None:
    edited(config, 'express_host = "express.umazda.com"', "")
    done = doctor(config)
    assert done.returncode == 1
    assert "dealers.umazda has a link_key and no express_host" in problems(done)[0]


@pytest.mark.skipif(os.name != "posix", reason="Windows has other permissions")
def test_files_that_others_may_read_or_change_are_found_with_the_command_that_mends_it(
    config: Path, tmp_path: Path
) -> None:
    key = tmp_path / "api.key"
    key.write_text("sandbox-key")
    key.chmod(0o644)
    edited(config, "env:ROADSTER_API_KEY", f"file:{key}")
    config.chmod(0o666)
    assert doctor(config).returncode == 1  # makes the store
    store = tmp_path / "store.db"
    store.chmod(0o640)
    mends = [line.rpartition("; ")[2] for line in problems(doctor(config))]
    assert mends == [f"chmod go-w {config}", f"chmod 600 {key}", f"chmod 600 {store}"]
    for mend in mends:
        subprocess.run(mend.split(), check=True)
    assert doctor(config).returncode == 0


def test_a_store_that_cannot_be_opened_is_exit_1(config: Path, tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("not a database, whatever its name says")
    done = doctor(config)
    assert done.returncode == 1
    assert "is not a sound SQLite file; move it away" in problems(done)[0]


def test_a_broken_audit_is_exit_1(config: Path, tmp_path: Path) -> None:
    run_cli("call", "list_dealers", "--config", str(config), **SECRETS)
    store = sqlite3.connect(tmp_path / "store.db")
    for (trigger,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        store.execute(f"DROP TRIGGER {trigger}")
    store.execute("UPDATE roadster_audit SET outcome = 'refused'")
    store.commit()
    store.close()
    done = doctor(config)
    assert done.returncode == 1
    assert "audit: broken at record 1" in problems(done)[0]


def upstreams(world: World, path: str, answer: Response) -> SandboxTransport:
    """The sandbox, but for the API below `path`, which answers as a test says."""
    return SandboxTransport(Starlette(routes=[Mount(path, answer), Mount("/", world.app)]))


async def findings(transport: httpx2.AsyncBaseTransport, store_url: str, **change: Any) -> dict[str, Finding]:
    settings = settings_for(store_url).model_copy(update=change)
    backend = Backend(LiveSettings(settings), transport)
    return {finding.check: finding async for finding in examine(backend, None)}


@pytest.mark.anyio
@pytest.mark.parametrize("hours", [-2, 2])
async def test_a_clock_that_is_off_is_found(hours: int, world: World, store_url: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
    answer = JSONResponse([], headers={"Date": date})
    clock = (await findings(upstreams(world, "/v1", answer), store_url))["clock"]
    assert clock.code == 1
    assert ("ahead of" if hours < 0 else "behind") in clock.text
    assert "NTP" in clock.text


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (JSONResponse({"errors": [{"code": 1006, "message": "no such shipment"}]}, 404), 0),
        (JSONResponse({"errors": [{"code": 1006, "message": "no such shipment"}]}, 400), 0),
        (JSONResponse({"errors": [{"code": 1002, "parameter": "id", "message": "invalid"}]}, 400), 0),
        (JSONResponse({}, 401), 4),
        (Response(status_code=503), 4),
    ],
)
async def test_roadies_credentials_are_tried_with_a_shipment_that_cannot_exist(
    answer: Response, code: int, world: World, store_url: str
) -> None:
    found = await findings(upstreams(world, "/roadie", answer), store_url)
    assert found["roadie credentials"].code == code


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Response(status_code=204), 0),
        (JSONResponse({}, 401), 4),
        (Response(status_code=404), 4),
        (JSONResponse({"errors": [{"errorCode": "X"}]}, 200), 4),
        (HTMLResponse("<html>Log in</html>"), 4),
    ],
)
async def test_mykaarmas_credentials_are_tried_with_a_customer_who_cannot_exist(
    answer: Response, code: int, world: World, store_url: str
) -> None:
    found = await findings(upstreams(world, "/mykaarma", answer), store_url)
    assert found["mykaarma credentials"].code == code


@pytest.mark.anyio
async def test_each_dealer_without_its_mykaarma_uuid_is_named_where_a_caller_needs_it(
    world: World, store_url: str
) -> None:
    """One of several is a problem too. Nobody is missed at a dealer where no caller may use the tool."""
    dealers = settings_for(store_url).dealers
    found = await findings(
        SandboxTransport(world.app),
        store_url,
        dealers={**dealers, **{dpid: DealerSettings() for dpid in ("hyundaidemo", "toyotademo")}},
    )
    assert found["mykaarma dealers"].code == 1
    assert "dealers.hyundaidemo.mykaarma_dealer_uuid is not set" in found["mykaarma dealers"].text
    assert found["mykaarma credentials"].code == 0


@pytest.mark.anyio
async def test_mykaarma_is_asked_nothing_where_no_dealer_has_its_uuid(world: World, store_url: str) -> None:
    """An empty list of dealers could mean all of them."""
    dealers = {dpid: DealerSettings() for dpid in settings_for(store_url).dealers}
    settings = settings_for(store_url).model_copy(update={"dealers": dealers})
    backend = Backend(LiveSettings(settings), SandboxTransport(world.app))
    told = [finding.text async for finding in examine(backend, None) if finding.check == "mykaarma dealers"]
    assert [line.partition(" ")[0] for line in told] == [
        "dealers.umazda.mykaarma_dealer_uuid",
        "dealers.hyundaidemo.mykaarma_dealer_uuid",
        "no",
    ]
    assert "get_customer_record" not in {request["operation"] for request in await world.requests()}


@pytest.mark.anyio
async def test_upstreams_are_only_read_from(world: World, store_url: str) -> None:
    asked: list[tuple[str, str]] = []

    class Noting(SandboxTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            asked.append((request.method, request.url.path))
            return await super().handle_async_request(request)

    await findings(Noting(world.app), store_url)
    assert asked == [
        ("GET", "/v1/"),
        ("GET", "/v1/dealers"),
        ("GET", "/roadie/v1/"),
        ("GET", "/roadie/v1/shipments/0"),
        ("GET", "/mykaarma/customer/v2/"),
        ("POST", "/mykaarma/customer/v2/customer/00000000-0000-0000-0000-000000000000"),
    ]


@pytest.mark.anyio
async def test_a_name_that_dns_does_not_know_is_told_from_an_upstream_that_is_down(store_url: str) -> None:
    nowhere = RoadsterSettings(base_url="https://nowhere.invalid/v1", api_key=SecretStr("key"))
    backend = Backend(
        LiveSettings(settings_for(store_url).model_copy(update={"roadster": nowhere, "roadie": None, "mykaarma": None}))
    )
    found = {finding.check: finding async for finding in examine(backend, None)}
    assert "the name is not known; correct [roadster] base_url" in found["roadster reach"].text
    assert found["roadster reach"].code == 4

"""`doctor` prints one line for each fault, with what to do. The worst one decides the exit code."""

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

from roadster_client import OPERATIONS
from roadster_sandbox import SandboxTransport, create_app
from roadster_server.backend import Backend
from roadster_server.cli.doctor.examination import examine
from roadster_server.cli.doctor.findings import Finding
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.dealers import DealerSettings
from roadster_server.settings.sections.stores import InventorySettings
from roadster_server.settings.sections.upstreams import RoadsterSettings
from tests.command_line import run_cli
from tests.conftest import Answering, World, response, settings_for
from tests.server.transports.test_http import SECRETS, write_config
from tests.servers import free_port
from tests.tool_examples import SOME_VIN


@pytest.fixture
def config(upstream: str, tmp_path: Path) -> Path:
    return write_config(tmp_path, upstream)


def doctor(config: Path, **secrets: str) -> subprocess.CompletedProcess[str]:
    end = run_cli("doctor", "--config", str(config), **{**SECRETS, **secrets})
    assert "Traceback" not in end.stderr
    for secret in {**SECRETS, **secrets}.values():
        assert secret not in end.stdout + end.stderr
    return end


def problems(end: subprocess.CompletedProcess[str]) -> list[str]:
    lines = end.stdout.splitlines()
    assert all(line.startswith(("ok       ", "warning  ", "problem  ")) for line in lines)
    return [line.removeprefix("problem  ") for line in lines if line.startswith("problem  ")]


def edit(config: Path, old: str, new: str) -> Path:
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new, 1))
    return config


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


def test_doctor_names_who_sees_dealer_figures(config: Path) -> None:
    """A role counts if a rule gives it to people."""
    assert "ok       dealer figures: shown to nobody\n" in doctor(config).stdout
    edit(config, "[callers.local]", "[callers.local]\ndealer_figures = true")
    roles = """
[http]
resource_url = "https://mcp.example.com/mcp"
[roles.manager]
dealer_figures = true
[roles.unused]
dealer_figures = true
[identity.work]
issuer = "https://login.example.com"
audiences = ["https://mcp.example.com/mcp"]
[[identity.work.people]]
match = { groups = "managers" }
role = "manager"
dealers = ["umazda"]
"""
    config.write_text(config.read_text() + roles)
    assert "ok       dealer figures: shown to callers.local, roles.manager\n" in doctor(config).stdout


def test_doctor_prints_each_mistake_of_a_configuration(config: Path) -> None:
    edit(config, "[dealers.hyundaidemo]", "[dealers.hyundaidemo]\ncolour = 1")
    end = run_cli("doctor", "--config", str(config), UMAZDA_LINK_KEY="k" * 32)
    assert end.returncode == 2
    results = problems(end)
    assert len(results) == 5  # the missing key is named wherever it is wanted
    assert any("ROADSTER_API_KEY is not set; set it" in line for line in results)
    assert any("dealers.hyundaidemo.colour: unknown key, expected one of " in line for line in results)


def test_doctor_names_the_setting_of_refused_credentials(config: Path) -> None:
    end = doctor(config, ROADSTER_API_KEY="another-key")
    assert end.returncode == 4
    assert [line for line in problems(end) if "[roadster] api_key" in line]


def test_doctor_exits_with_4_when_an_upstream_is_down(tmp_path: Path) -> None:
    end = doctor(write_config(tmp_path, f"http://127.0.0.1:{free_port()}"))
    assert end.returncode == 4
    assert problems(end)[0].startswith("roadster reach: 127.0.0.1:")
    assert "no connection; correct [roadster] base_url" in problems(end)[0]


def test_doctor_tells_failing_tls_from_an_upstream_that_is_down(config: Path, upstream: str) -> None:
    edit(config, upstream, upstream.replace("http://", "https://"))
    (problem,) = problems(doctor(config))
    assert "TLS failed" in problem


def test_doctor_finds_dealers_with_other_ids_at_roadster(config: Path) -> None:
    edit(config, 'partner_id = "CA317"', 'partner_id = "CA318"')
    edit(config, "[store]", "[dealers.nowhere]\n\n[store]")
    end = doctor(config)
    assert end.returncode == 1
    assert len(problems(end)) == 2
    assert any("dealers.hyundaidemo.partner_id" in line and "'CA317'" in line for line in problems(end))
    assert any("dealers.nowhere is none of this account's" in line for line in problems(end))


def test_doctor_finds_callers_that_cannot_do_anything(config: Path) -> None:
    config.write_text(
        config.read_text() + '[callers.idle]\ntoken_sha256 = ["' + hashlib.sha256(b"idle").hexdigest() + '"]\n'
        '[callers.tokenless]\ndealers = ["umazda"]\naccess = { inventory = "read" }\n'
    )
    end = doctor(config)
    assert end.returncode == 1
    assert len(problems(end)) == 2
    assert any("callers.idle may do nothing; add dealers" in line for line in problems(end))
    assert any("roadster-mcp token tokenless" in line for line in problems(end))


PEOPLE = """
[http]
resource_url = "https://mcp.example.com/mcp"
[roles.sales]
access = { inventory = "read" }
[roles.empty]
access = { inventory = "off" }
[identity.work]
issuer = "https://login.example.com"
audiences = ["https://mcp.example.com/mcp"]
jwks_url = "http://127.0.0.1:9/jwks"
"""
RULE = """
[[identity.work.people]]
match = {match}
role = "{role}"
{dealers}
"""


def test_doctor_reads_what_people_may_read(config: Path) -> None:
    """A configuration may have people only."""
    rules = RULE.format(match='{ groups = "sales" }', role="sales", dealers='dealers = ["umazda"]')
    config.write_text(config.read_text().partition("[callers.")[0] + PEOPLE + rules)
    lines = doctor(config).stdout.splitlines()
    counts = "dealers: 3, callers: 0, roles: 2, identity providers: 1, rules for people: 1"
    assert f"ok       configuration: {counts}" in lines
    assert "ok       people: each rule can give something" in lines
    assert not [line for line in lines if "callers:" in line and "configuration" not in line]
    assert [line for line in lines if "answers of" in line] == [
        "ok       answers of umazda: all of it can be read: list_inventory, get_vehicle"
    ]
    edit(config, 'dealers = ["umazda"]\n', 'dealers_claim = "rooftops"\n')
    text = doctor(config).stdout
    assert "ok       answers of umazda: " in text
    assert "ok       answers of hyundaidemo: " in text, "a claim may name each dealer"


def test_doctor_finds_rules_that_give_nothing(config: Path) -> None:
    rules = [
        ('{ groups = "none" }', "sales", ""),
        ('{ groups = "sales" }', "sales", 'dealers = ["umazda"]'),
        ('{ groups = "sales", level = 1 }', "sales", 'dealers = ["umazda"]'),
        ('{ iss = "https://elsewhere.example.com" }', "sales", 'dealers = ["umazda"]'),
        ("{ level = 1 }", "empty", 'dealers = ["umazda"]'),
        ("{ level = true }", "sales", 'dealers = ["umazda"]'),
        ('{ iss = "https://login.example.com" }', "sales", 'dealers = ["umazda"]'),
        ('{ groups = "late" }', "sales", 'dealers = ["umazda"]'),
    ]
    twin = (
        '[identity.twin]\nissuer = "https://b.example.com"\naudiences = ["b"]\njwks_url = "http://127.0.0.1:9/jwks"\n'
    )
    text = "".join(RULE.format(match=match, role=role, dealers=dealers) for match, role, dealers in rules)
    config.write_text(config.read_text() + PEOPLE + text + twin)
    end = doctor(config)
    assert [line for line in problems(end) if line.startswith("people: ")] == [
        "people: identity.work.people.1 gives no dealer, so its people may do nothing; add dealers or dealers_claim",
        "people: identity.work.people.3 is never reached: rule 2 matches everybody whom it matches; move or remove one",
        "people: identity.work.people.4.match.iss is not identity.work.issuer, so the rule matches nobody; correct it",
        "people: identity.work.people.5 gives the role empty, which may do nothing; add access to [roles.empty]",
        "people: identity.work.people.8 is never reached: rule 7 matches everybody whom it matches; move or remove one",
        "people: identity.twin has no rule, so its people may do nothing; add [[identity.twin.people]]",
    ]


def test_doctor_finds_a_caller_without_a_token_where_people_connect(config: Path) -> None:
    callers = '[callers.desk]\ndealers = ["umazda"]\naccess = { inventory = "read" }\n'
    config.write_text(config.read_text().partition("[callers.")[0] + callers)
    assert problems(doctor(config)) == [], "nobody connects over HTTP"
    config.write_text(config.read_text() + PEOPLE)
    line = "callers: callers.desk cannot connect over HTTP, as people can; make a token with roadster-mcp token desk, "
    assert line + "or take the caller out" in problems(doctor(config))
    config.write_text(config.read_text() + '[people]\nlocal_caller = "desk"\n')
    found = problems(doctor(config))
    assert found
    assert not any("callers.desk" in problem for problem in found), "a person signs in to the pages as desk"


def test_doctor_finds_writes_that_would_wait_where_nobody_can_approve(config: Path) -> None:
    manager = '[roles.manager]\napproves = ["customers"]\n[callers.owner]\nrole = "manager"\ndealers = ["umazda"]\n'
    desk = '[callers.desk]\ndealers = ["umazda"]\naccess = { customers = "confirm", documents = "confirm" }\n'
    config.write_text(f"{config.read_text().partition('[callers.')[0]}{manager}{desk}")
    (problem,) = [line for line in problems(doctor(config)) if line.startswith("approvals: ")]
    assert problem.startswith("approvals: desk asks for create_customer on a page, and nobody can sign in")
    config.write_text(f'{config.read_text()}[people]\nlocal_caller = "owner"\n')
    assert "ok       approvals: nothing waits where nobody can approve it\n" in doctor(config).stdout


def test_doctor_finds_links_to_an_address_at_which_nobody_can_sign_in(config: Path) -> None:
    people = '[people]\nlocal_caller = "local"\n[http]\nresource_url = "https://mcp.example.com/mcp"\n'
    config.write_text(config.read_text() + people)
    (problem,) = [line for line in problems(doctor(config)) if line.startswith("approvals: ")]
    assert "and links of answers lead to mcp.example.com; add client_id" in problem


def test_doctor_warns_of_a_public_host_that_requests_may_not_name(config: Path) -> None:
    """Only where the proxy passes Host on, which doctor cannot see. So it is no problem."""
    before = config.read_text()
    mend = 'add it to http.allowed_hosts: ["mcp.example.com:8443"]'
    for url, hosts, is_warned in (
        ("https://MCP.example.com:8443/mcp", "[]", True),
        ("https://MCP.example.com:8443/mcp", '["mcp.example.com:8443"]', False),
        ("https://mcp.example.com:443/mcp", '["MCP.example.com"]', False),
        ("http://127.0.0.1:8000/mcp", "[]", False),
    ):
        config.write_text(f'{before}[http]\nresource_url = "{url}"\nallowed_hosts = {hosts}\n')
        end = doctor(config)
        assert end.returncode == 0
        warnings = [line for line in end.stdout.splitlines() if line.startswith("warning  hosts: ")]
        assert bool(warnings) is is_warned
        assert all(mend in line for line in warnings)


def test_doctor_names_who_confirms_on_a_card(config: Path) -> None:
    assert " cards: " not in doctor(config).stdout
    desk = '[callers.desk]\ndealers = ["umazda"]\naccess = { customers = "confirm" }\nconfirm_by = ["card", "page"]\n'
    base = config.read_text().partition("[callers.")[0] + desk
    words = (
        "ok       cards: for callers.desk, as strong as the word of the host. Without one are hosts that do not say "
        "that they show views (MCP Apps)"
    )
    config.write_text(base)
    assert f"{words}\n" in doctor(config).stdout
    config.write_text(f'{base}[approvals]\ntwo_person = ["deliveries"]\n')
    assert f"{words}, and approvals.two_person: deliveries\n" in doctor(config).stdout


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


def upstreams(world: World, path: str, answer: Response) -> SandboxTransport:
    """Returns the sandbox with another answer for the API below `path`."""
    return SandboxTransport(Starlette(routes=[Mount(path, answer), Mount("/", world.app)]))


async def all_findings(transport: httpx2.AsyncBaseTransport, store_url: str, **change: Any) -> list[Finding]:
    settings = settings_for(store_url).model_copy(update=change)
    return [finding async for finding in examine(Backend(LiveSettings(settings), transport), None)]


async def findings(transport: httpx2.AsyncBaseTransport, store_url: str, **change: Any) -> dict[str, Finding]:
    return {finding.check: finding for finding in await all_findings(transport, store_url, **change)}


@pytest.mark.anyio
@pytest.mark.parametrize("hours", [-2, 2])
async def test_doctor_finds_a_clock_that_is_off(hours: int, world: World, store_url: str) -> None:
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
async def test_doctor_asks_roadie_for_a_shipment_that_cannot_exist(
    answer: Response, code: int, world: World, store_url: str
) -> None:
    results = await findings(upstreams(world, "/roadie", answer), store_url)
    assert results["roadie credentials"].code == code


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
async def test_doctor_asks_mykaarma_for_a_customer_who_cannot_exist(
    answer: Response, code: int, world: World, store_url: str
) -> None:
    results = await findings(upstreams(world, "/mykaarma", answer), store_url)
    assert results["mykaarma credentials"].code == code


@pytest.mark.anyio
async def test_doctor_names_dealers_without_mykaarma_and_tries_the_others(world: World, store_url: str) -> None:
    """A group may have only some of its dealers there."""
    dealers = settings_for(store_url).dealers
    results = await findings(
        SandboxTransport(world.app),
        store_url,
        dealers={**dealers, **{dpid: DealerSettings() for dpid in ("hyundaidemo", "toyotademo")}},
    )
    finding = results["mykaarma dealers"]
    assert finding.code == 0
    assert finding.text == ("not configured, so get_crm_customer fails there: dealers.hyundaidemo, dealers.toyotademo")
    assert results["mykaarma credentials"].code == 0


@pytest.mark.anyio
async def test_doctor_does_not_ask_mykaarma_without_any_uuid(world: World, store_url: str) -> None:
    """An empty list of dealers could mean all of them."""
    dealers = {dpid: DealerSettings() for dpid in settings_for(store_url).dealers}
    results = await findings(SandboxTransport(world.app), store_url, dealers=dealers)
    assert results["mykaarma dealers"].code == 1
    assert results["mykaarma dealers"].text.startswith("no dealer has a mykaarma_dealer_uuid")
    assert "get_customer_record" not in {request["operation"] for request in await world.requests()}


@pytest.mark.anyio
async def test_doctor_only_reads_from_upstreams(world: World, store_url: str) -> None:
    paths: list[tuple[str, str]] = []

    class Noting(SandboxTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            paths.append((request.method, request.url.path))
            return await super().handle_async_request(request)

    results = await all_findings(Noting(world.app), store_url)
    assert [result for result in results if result.code] == []
    assert {request["operation"] for request in await world.requests()} - {None} <= {
        name for name, operation in OPERATIONS.items() if not operation.writes
    }
    assert paths[:2] == [("GET", "/v1/"), ("GET", "/v1/dealers")]
    assert [path for path in paths if not path[1].startswith("/v1/")] == [
        ("GET", "/roadie/v1/"),
        ("GET", "/roadie/v1/shipments/0"),
        ("GET", "/mykaarma/customer/v2/"),
        ("POST", "/mykaarma/customer/v2/customer/00000000-0000-0000-0000-000000000000"),
    ]


@pytest.mark.anyio
async def test_doctor_lists_the_paths_that_cannot_be_read(world: World, store_url: str) -> None:
    """It looks at one page of each read, and names places, never values."""

    def odd(request: httpx2.Request) -> Any:
        match request.url.path:
            case "/v1/vehicles":
                vehicle = {"vin": SOME_VIN, "price": "Call Zebulon", "options": [{"name": []}, {"name": "Mats"}]}
                return {"vehicles": [vehicle, {"vin": None}, {**vehicle, "vin": "4T1C11AK0LU322811"}]}
            case "/v1/dealers":
                return [{"dpid": dpid, "phone": [1]} for dpid in ("umazda", "hyundaidemo", "toyotademo")]
            case "/v1/templates":
                return response({}, 404)
        return None

    results = await all_findings(Answering(world, odd), store_url)
    lines = [result.line() for result in results if result.check in ("dealers", "answers of umazda")]
    assert [line.partition(";")[0] for line in lines] == [
        "ok       dealers: Roadster knows each by its ids",
        "problem  dealers: list_dealers: *.phone cannot be read (3)",
        "problem  answers of umazda: list_inventory: vehicles.*.price cannot be read (2)",
        "problem  answers of umazda: list_inventory: vehicles.*.options.* cannot be read (2)",
        "problem  answers of umazda: list_inventory: vehicles.* cannot be read (1)",
        "problem  answers of umazda: list_templates: not found",
    ]
    assert {result.code for result in results if result.line().startswith("problem")} == {4}
    assert "Zebulon" not in str(results)


@pytest.mark.anyio
async def test_doctor_names_a_feed_that_ignores_updated_since(world: World, store_url: str) -> None:
    """It is no problem that anybody here can solve, so the exit code stays 0."""
    settings = settings_for(store_url).model_copy(update={"inventory": InventorySettings()})
    backend = Backend(LiveSettings(settings), SandboxTransport(world.app))
    assert not any("updated_since" in finding.text for finding in [each async for each in examine(backend, None)])
    await world.fault("list_inventory", "ignored_update", times=100)
    findings = [each async for each in examine(backend, None) if "updated_since" in each.text]
    assert {finding.check for finding in findings} == {f"answers of {dealer}" for dealer in ("umazda", "hyundaidemo")}
    assert all(finding.code == 0 for finding in findings)


@pytest.mark.anyio
async def test_doctor_tells_an_unknown_name_from_a_server_that_is_down(store_url: str) -> None:
    nowhere = RoadsterSettings(base_url="https://nowhere.invalid/v1", api_key=SecretStr("key"))
    backend = Backend(
        LiveSettings(settings_for(store_url).model_copy(update={"roadster": nowhere, "roadie": None, "mykaarma": None}))
    )
    results = {finding.check: finding async for finding in examine(backend, None)}
    assert "the name is not known; correct [roadster] base_url" in results["roadster reach"].text
    assert results["roadster reach"].code == 4


@pytest.mark.anyio
async def test_doctor_names_the_first_of_many_like_problems(world: World, store_url: str) -> None:
    many = {f"rooftop{number}": DealerSettings() for number in range(3000)}
    settings = settings_for(store_url).model_copy(update={"dealers": many})
    backend = Backend(LiveSettings(settings), SandboxTransport(world.app))
    texts = [finding.text async for finding in examine(backend, None) if finding.check == "dealers"]
    assert texts == [
        *(
            f"dealers.rooftop{n} is none of this account's; correct the dpid, or ask Roadster to add the dealer"
            for n in range(20)
        ),
        "2980 more like these; mend these first, and run doctor again",
    ]


@pytest.mark.anyio
@pytest.mark.parametrize(("key", "code"), [("umazda-own-key", 0), ("a-wrong-key", 4)])
async def test_doctor_checks_the_key_of_each_dealer_with_its_own(key: str, code: int, store_url: str) -> None:
    settings = settings_for(store_url)
    own = settings.dealers["umazda"].model_copy(update={"api_key": SecretStr(key)})
    settings = settings.model_copy(update={"dealers": {**settings.dealers, "umazda": own}})
    transport = SandboxTransport(create_app(own_keys={"umazda": "umazda-own-key"}))
    findings = [finding async for finding in examine(Backend(LiveSettings(settings), transport), None)]
    results = {finding.check: finding for finding in findings}
    assert results["roadster credentials"].code == 0
    assert results["answers of hyundaidemo"].code == 0
    known = ["Roadster knows each by its ids"] + ([] if code else ["Roadster knows each by its ids: umazda"])
    assert [finding.text for finding in findings if finding.check == "dealers"] == known
    assert results["roadster credentials of umazda"].code == code
    assert ("correct dealers.umazda.api_key" in results["roadster credentials of umazda"].text) == bool(code)
    assert [finding.check for finding in findings].count("roadster reach") == 1
    assert key not in "".join(finding.line() for finding in findings)

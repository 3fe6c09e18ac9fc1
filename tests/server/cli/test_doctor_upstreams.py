"""`doctor` reads from the upstreams only, and finds which of them do not answer as they should."""

from __future__ import annotations

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
from tests.conftest import Answering, World, response, settings_for
from tests.server.cli.doctors import doctor, edit, problems
from tests.server.transports.test_http import write_config
from tests.servers import free_port
from tests.tool_examples import SOME_VIN


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

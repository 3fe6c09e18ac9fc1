"""`/metrics`: what it counts, over one process and several, and that nobody's data get into it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, get_args

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from roadster_client import OPERATIONS, Origin, Request, errors, open_upstream
from roadster_client.models.vehicles import VehicleInfo
from roadster_sandbox import SandboxTransport
from roadster_server.cli.calls.call import EXIT_CODES
from roadster_server.events.webhooks import receivers
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.http import WebhookSettings
from roadster_server.settings.settings import Settings
from roadster_server.store import EventOutcome
from roadster_server.telemetry.metrics import Metrics
from roadster_server.transports.http.application import http_app
from roadster_tools import TOOLS, Access
from tests.conftest import EVERYTHING, FOREIGN, World, kind_of, own_delivery, settings_for
from tests.server.events.hooks import SHIPMENT, brief_event
from tests.tool_examples import SOME_VIN, STEVE, every_call
from tests.upstreams import VIRTUAL_TIME, WatchedNetwork, reply

pytestmark = pytest.mark.anyio

KEY = "our-own-key"
Samples = dict[tuple[str, frozenset[str]], float]


@dataclass
class Server:
    """A client of a server in memory, and the same server's HTTP side."""

    client: Client
    http: httpx2.AsyncClient

    async def text(self) -> str:
        return (await self.http.get("/metrics")).raise_for_status().text

    async def figure(self, name: str, **labels: str) -> float:
        """Returns a value, 0 if it is missing: a counter begins with its first event."""
        return figure(await self.text(), name, **labels)

    async def hook(self, body: Any, *, source: str = "roadster", key: str = KEY) -> int:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {key}"}
        return (await self.http.post(f"/webhooks/{source}", content=content, headers=headers)).status_code


def figure(text: str, name: str, **labels: str) -> float:
    values = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"roadster_mcp_{name}" and sample.labels == labels
    ]
    return values[0] if values else 0.0


@asynccontextmanager
async def watched_server(settings: Settings, world: World, caller: str = "tester") -> AsyncIterator[Server]:
    keys = WebhookSettings(roadster_keys=[SecretStr(KEY)], roadie_keys=[SecretStr(KEY)])
    live = LiveSettings(settings.model_copy(update={"webhooks": keys}))
    metrics = Metrics()
    async with open_calls(live, local=True, transport=SandboxTransport(world.app), observer=metrics) as calls:
        server = build_server(calls, lambda: live.current.caller(caller))
        app = http_app(
            server,
            live,
            calls.services.store.problem,
            "http",
            host="127.0.0.1",
            port=8123,
            webhooks=receivers(live, calls.services.store, lambda _dealer, _customer: None, metrics),
            metrics=metrics,
        )
        async with (
            Client(server) as client,
            # Prometheus uses an address that it finds itself.
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://10.1.2.3:8123") as http,
        ):
            yield Server(client, http)


# Nobody's data

PLANTED = ("McQueen", "steve.mcqueen@example.com", "4155556666", "planted", "Natalie", "Carlos", FOREIGN, "umazda")
OUTCOMES = {
    "done", "asked", "approved", "previewed", "replayed", "defect", "cancelled", *EXIT_CODES,
}  # fmt: skip
REQUEST_OUTCOMES = {"done", "timed_out", "cancelled", "defect"} | {
    errors.name_of(kind("", "")) for kind in (errors.Unavailable, errors.Unreachable, errors.NotFound)
}
BOUNDED: dict[str, set[str]] = {
    "tool": {*TOOLS, "unknown"},
    "setting": {
        "access", "access.tool", "access.toolset", "dealers", "orders", "calls_per_minute", "writes_per_hour",
        "idempotency_key", "roadie", "mykaarma", "other",
    },
    "api": {operation.api for operation in OPERATIONS.values()},
    "operation": set(OPERATIONS),
    "source": {"roadster", "roadie"},
}  # fmt: skip


async def test_metrics_of_the_whole_catalogue_hold_nobodys_data(world: World, store_url: str) -> None:
    """The calls include foreign dealers, unknown tools and hostile web hooks. Labels have only known values."""
    await own_delivery(store_url)
    async with watched_server(settings_for(store_url, "planted-caller"), world, "planted-caller") as server:
        for tool, arguments in every_call("umazda").items():
            await server.client.call_tool(tool, dict(arguments))
            await server.client.call_tool(tool, {**arguments, "dealer": FOREIGN})
            await server.client.call_tool(tool, {**arguments, "planted": "planted", "dealer": "planted dealer"})
        await server.client.call_tool("planted McQueen", {"customer": STEVE})
        with suppress(MCPError):
            await server.client.read_resource("roadster://planted/vehicles/McQueen")
        await server.hook(brief_event("planted"))
        await server.hook(brief_event("e-2", dealer={"dpid": "planted"}))
        await server.hook(brief_event("e-3", kind="planted McQueen"))
        await server.hook({**SHIPMENT, "event": "planted"}, source="roadie")
        await server.hook(b"planted {")
        await server.hook(brief_event("e-4"), key="planted")
        await server.http.get("/webhooks/planted")
        text = await server.text()
    for value in PLANTED:
        assert value not in text
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    outcomes = labels.pop("outcome")
    assert outcomes <= OUTCOMES | {*get_args(EventOutcome), "refused"} | REQUEST_OUTCOMES
    del labels["le"]
    assert labels.keys() == BOUNDED.keys()
    for label, values in labels.items():
        assert values <= BOUNDED[label], label
    assert {*TOOLS, "unknown"} == labels["tool"]
    assert set(OPERATIONS) == labels["operation"]


@pytest.mark.parametrize(
    ("caller", "call", "setting"),
    [
        ({"access": {}}, {}, "access"),
        ({"access": {"inventory": Access.OFF}}, {}, "access.toolset"),
        ({"access": {"list_inventory": Access.OFF}}, {}, "access.tool"),
        ({}, {"dealer": FOREIGN}, "dealers"),
        ({"name": "a.b.access"}, {"dealer": FOREIGN}, "access.toolset"),
        ({"calls_per_minute": 1}, {}, "calls_per_minute"),
    ],
)
async def test_metrics_count_refusals_by_kind_of_setting(
    caller: dict[str, Any], call: dict[str, Any], setting: str, world: World, store_url: str
) -> None:
    """A caller whose name looks like a setting only counts under another kind."""
    settings = settings_for(store_url, **{"access": dict(EVERYTHING), **caller})
    async with watched_server(settings, world, caller.get("name", "tester")) as server:
        for _ in range(2):
            result = await server.client.call_tool("list_inventory", {"dealer": "umazda", **call})
        assert kind_of(result) in {"refused", "limited"}
        assert await server.figure("refusals_total", setting=setting) == (1 if setting == "calls_per_minute" else 2)


# Counts


async def test_metrics_count_calls_by_tool_and_outcome(world: World, store_url: str) -> None:
    """A replay has an outcome of its own."""
    async with watched_server(settings_for(store_url), world) as server:
        for _ in range(2):
            await server.client.call_tool(
                "create_customer", {"dealer": "umazda", "customer": STEVE, "idempotency_key": "one-customer-once"}
            )
        assert await server.figure("calls_total", tool="create_customer", outcome="done") == 1
        assert await server.figure("calls_total", tool="create_customer", outcome="replayed") == 1
        assert await server.figure("call_seconds_count", tool="create_customer") == 2


async def test_metrics_count_what_was_left_out_by_the_names_of_models(world: World, store_url: str) -> None:
    await world.fault("get_vehicle", "wrong_types")
    async with watched_server(settings_for(store_url), world) as server:
        result = await server.client.call_tool("get_vehicle", {"dealer": "umazda", "vin": SOME_VIN})
        assert not result.is_error
        text = await server.text()
    labels = [
        sample.labels
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "roadster_mcp_left_out_total"
    ]
    fields = {"vehicle_info", *(f"vehicle_info.{name}" for name in VehicleInfo.model_fields)}
    assert {label["operation"] for label in labels} == {"get_vehicle"}
    assert {"vehicle_info.make", "vehicle_info.year"} <= {label["path"] for label in labels} <= fields
    assert figure(text, "left_out_total", operation="get_vehicle", path="vehicle_info.year") == 1


async def test_metrics_count_attempts_and_retries(world: World, store_url: str) -> None:
    await world.fault("list_inventory", "status", times=2, status=503)
    async with watched_server(settings_for(store_url), world) as server:
        await server.client.call_tool("list_inventory", {"dealer": "umazda"})
        labels = {"api": "roadster", "operation": "list_inventory"}
        assert await server.figure("upstream_requests_total", **labels, outcome="unavailable") == 2
        assert await server.figure("upstream_requests_total", **labels, outcome="done") == 1
        assert await server.figure("upstream_retries_total", **labels) == 2
        assert await server.figure("upstream_request_seconds_count", **labels) == 3
        assert await server.figure("upstream_running", api="roadster") == 0
        assert await server.figure("upstream_waiting", api="roadster") == 0


async def test_metrics_count_events_by_outcome_with_their_age(world: World, store_url: str) -> None:
    async with watched_server(settings_for(store_url), world) as server:
        await server.hook(brief_event("e-1"))
        await server.hook(brief_event("e-1"))
        await server.hook(brief_event("e-2", dealer={"dpid": "elsewhere"}))
        await server.hook(brief_event("e-3"), key="another")
        await server.hook(brief_event("e-4", event_time="2999-01-01T00:00:00Z"))
        for outcome, count in (("kept", 2), ("duplicate", 1), ("quarantined", 1), ("refused", 1)):
            assert await server.figure("events_total", source="roadster", outcome=outcome) == count
        assert await server.figure("event_age_seconds_count", source="roadster") == 4
        assert await server.figure("event_age_seconds_bucket", source="roadster", le="1.0") == 1, "from the future: 0"


class InVirtualTime:
    @pytest.fixture
    def anyio_backend(self) -> tuple[str, dict[str, Any]]:
        return VIRTUAL_TIME


def page() -> Request:
    return Request(OPERATIONS["list_inventory"])


def scrape(metrics: Metrics) -> str:
    return bytes(metrics.scrape(None).body).decode()  # type: ignore[arg-type]


class TestOneUpstream(InVirtualTime):
    async def test_metrics_show_waiting_and_running_requests(self) -> None:
        """A caller has eight requests at once. The ninth waits until one ends."""
        go_on = anyio.Event()
        metrics = Metrics()

        async def answer(_request: httpx2.Request) -> httpx2.Response:
            await go_on.wait()
            return reply()

        async with (
            open_upstream("http://x/v1", api_key="k", transport=WatchedNetwork(answer), observer=metrics) as upstream,
            anyio.create_task_group() as tasks,
        ):
            for _ in range(9):
                tasks.start_soon(upstream.send, page(), Origin("tester"))
            await anyio.wait_all_tasks_blocked()
            text = scrape(metrics)
            assert figure(text, "upstream_running", api="roadster") == 8
            assert figure(text, "upstream_waiting", api="roadster") == 1
            go_on.set()
        text = scrape(metrics)
        assert figure(text, "upstream_running", api="roadster") == 0
        assert figure(text, "upstream_waiting", api="roadster") == 0

    async def test_metrics_show_an_open_breaker_until_a_call_succeeds(self) -> None:
        metrics, is_failing = Metrics(), True

        async def answer(_request: httpx2.Request) -> httpx2.Response:
            return reply(status=500) if is_failing else reply()

        async with open_upstream(
            "http://x/v1", api_key="k", transport=WatchedNetwork(answer), observer=metrics
        ) as upstream:
            for _ in range(6):
                with suppress(errors.ClientError):
                    await upstream.send(page(), Origin("tester", "umazda"))
            assert figure(scrape(metrics), "upstream_breakers_open", api="roadster") == 1
            assert figure(
                scrape(metrics), "upstream_requests_total", api="roadster", operation="list_inventory",
                outcome="unavailable",
            ) == 5, "the sixth was not sent"  # fmt: skip
            is_failing = False
            await anyio.sleep(11)
            await upstream.send(page(), Origin("tester", "umazda"))
        assert figure(scrape(metrics), "upstream_breakers_open", api="roadster") == 0

    async def test_metrics_tell_timed_out_from_cancelled_requests(self) -> None:
        metrics = Metrics()

        async def answer(_request: httpx2.Request) -> httpx2.Response:
            await anyio.sleep_forever()
            raise AssertionError

        async with open_upstream(
            "http://x/v1", api_key="k", transport=WatchedNetwork(answer), observer=metrics
        ) as upstream:
            with anyio.move_on_after(1):
                await upstream.send(page())
            with pytest.raises(errors.TimedOut):
                await upstream.send(page())
        for outcome in ("cancelled", "timed_out"):
            labels = {"api": "roadster", "operation": "list_inventory", "outcome": outcome}
            assert figure(scrape(metrics), "upstream_requests_total", **labels) == 1


# HTTP


async def test_metrics_need_neither_a_token_nor_a_known_host(world: World, store_url: str) -> None:
    async with watched_server(settings_for(store_url), world) as server:
        answer = await server.http.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert (await server.http.post("/mcp")).status_code == 421, "the other routes are guarded"

"""A world, a server that uses it, and a client of that server, for tests of all parts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, settings
from mcp import Client
from mcp_types import CallToolResult
from starlette.applications import Starlette

from roadster_client.json_text import write_lenient_json
from roadster_sandbox import SandboxTransport, create_app
from roadster_server.calls.context import Timing
from roadster_server.calls.keys import Keys
from roadster_server.calls.page_links import PageLinks
from roadster_server.calls.results import FAILURE_META, text_of
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import CallerSettings
from roadster_server.settings.settings import Settings
from roadster_server.store import open_store
from roadster_server.store.databases.database import Database
from roadster_server.store.lazy import OpenStore
from roadster_server.store.sql import SqlStore
from roadster_tools import TOOLS, TOOLSETS, Access

from .reliability import COLLECTED
from .servers import PATIENCE, sandbox_server
from .tool_examples import DELIVERY_ID

# A busy machine is slow, and all examples of a test may share its fixtures.
settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("suite")

pytest_plugins = ["tests.databases"]
collect_ignore = ["stranger"]  # run by test_pytest_plugin.py, in a process of its own

SAMPLES = Path(__file__).parent / "samples"
PROJECT = Path(__file__).parent.parent
PROCESSES = Path(__file__).parent / "processes"
BROWSER = Path(__file__).parent / "browser"
PROCESSES_SECONDS = 600
"""Timeout of a test of processes. A busy machine may take minutes to start a few of them."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Marks the tests of processes and of pages by their folders, before `-m` chooses."""
    session.stash[COLLECTED] = list(items)
    for item in items:
        if item.path.is_relative_to(BROWSER):
            item.add_marker("browser")
        if item.path.is_relative_to(PROCESSES):
            item.add_marker("processes")
            item.add_marker(pytest.mark.timeout(PROCESSES_SECONDS))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class World:
    """The sandbox's application, with the ways in which a grader looks into it."""

    app: Starlette

    async def get(self, path: str) -> Any:
        return await self._send("GET", path)

    async def fault(self, operation: str, fault: str, times: int = 1, **more: Any) -> None:
        await self._send("POST", "faults", {"operation": operation, "fault": fault, "times": times, **more})

    async def clear_faults(self) -> None:
        await self._send("DELETE", "faults")

    async def move_delivery(self, event: str) -> None:
        await self._send("POST", f"shipments/{DELIVERY_ID}", {"event": event})

    async def requests(self) -> list[dict[str, Any]]:
        requests: list[dict[str, Any]] = await self.get("requests")
        return requests

    async def _send(self, method: str, path: str, body: Any = None) -> Any:
        async with httpx2.AsyncClient(transport=SandboxTransport(self.app), base_url="http://sandbox") as http:
            response = await http.request(method, f"/__sandbox/{path}", json=body)
            response.raise_for_status()
            return response.json()


@pytest.fixture
def world() -> World:
    return World(create_app())


class Answering(httpx2.AsyncBaseTransport):
    """The sandbox, except for requests to which `instead` gives an answer: JSON, or a response."""

    def __init__(self, world: World, instead: Callable[[httpx2.Request], Any]) -> None:
        self._sandbox = SandboxTransport(world.app)
        self._instead = instead

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = self._instead(request)
        if answer is None:
            return await self._sandbox.handle_async_request(request)
        return answer if isinstance(answer, httpx2.Response) else response(answer)


def response(body: Any, status: int = 200, **headers: str) -> httpx2.Response:
    """Returns an answer with `body` as JSON, streamed as from a socket."""
    return httpx2.Response(status, headers=headers, stream=httpx2.ByteStream(write_lenient_json(body)))


ALLOWED = ("umazda", "hyundaidemo")
FOREIGN = "toyotademo"
EVERYTHING: Mapping[str, Access] = dict.fromkeys(
    [*TOOLSETS, *(tool.name for tool in TOOLS.values() if tool.destructive)], Access.WRITE
)
"""Tools that delete are named too: with only their toolset at `write` they would ask for confirmation."""

Connect = Callable[..., AbstractAsyncContextManager[Client]]


def settings_for(store: str, name: str = "tester", **caller: Any) -> Settings:
    """Returns the sandbox's settings with one caller, who by default may write at two of three dealers."""
    rights = {"dealers": list(ALLOWED), "access": dict(EVERYTHING), **caller}
    return sandbox_settings(store).model_copy(update={"callers": {name: CallerSettings(**rights)}})


CONTACT_KEY = Keys.derive(settings_for("").roadster.api_key.get_secret_value()).contacts
"""The key under which a server with these settings indexes contact data."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """The URL of a sandbox on a socket, which the tests of a module share."""
    with sandbox_server() as url:
        yield url


@pytest.fixture
def fresh_world(upstream: str) -> None:
    """Resets the sandbox of `upstream` to what it was at the start."""
    httpx2.post(f"{upstream}/__sandbox/reset", json={}, timeout=PATIENCE).raise_for_status()


on_both_databases = pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
"""Marks what a database's own locks and transactions decide. The tests of the store try each of its methods on both."""


@pytest.fixture
def connect(world: World, store_url: str) -> Connect:
    """Opens a client of a server that uses `world` and one store, for the caller of `settings_for`."""

    @asynccontextmanager
    async def open_client(
        *,
        name: str = "tester",
        mode: str = "auto",
        change: Mapping[str, Any] | None = None,
        upstream: httpx2.AsyncBaseTransport | None = None,
        ask: Any = None,
        live: LiveSettings | None = None,
        timing: Timing | None = None,
        open_store: OpenStore = open_store,
        page_links: PageLinks | None = None,
        on_message: Any = None,
        **caller: Any,
    ) -> AsyncIterator[Client]:
        settings = settings_for(store_url, name, **caller).model_copy(update=dict(change or {}))
        live = live or LiveSettings(settings)
        async with (
            open_calls(
                live,
                local=True,
                transport=upstream or SandboxTransport(world.app),
                timing=timing,
                open_store=open_store,
                page_links=page_links,
            ) as calls,
            Client(
                build_server(calls, lambda: live.current.caller(name)),
                mode=mode,
                elicitation_callback=ask,
                message_handler=on_message,
            ) as client,
        ):
            yield client

    return open_client


def store_of_class(store_class: Callable[[Database], SqlStore]) -> OpenStore:
    """Returns a function that opens stores of a subclass of SqlStore, for instance one that fails."""

    @asynccontextmanager
    async def open_subclass(url: str) -> AsyncIterator[SqlStore]:
        async with open_store(url) as store:
            yield store_class(store.database)

    return open_subclass


async def own_delivery(store_url: str, dealer: str = "umazda") -> None:
    """Records that the sandbox's first delivery belongs to the dealer, even before it is made."""
    async with open_store(store_url) as store:
        await store.add_owned(dealer, "delivery", str(DELIVERY_ID))


def kind_of(result: CallToolResult) -> str | None:
    """Returns the kind of the failure, None for success."""
    assert result.is_error == (FAILURE_META in (result.meta or {}))
    return (result.meta or {}).get(FAILURE_META)


def answer_of(result: CallToolResult) -> dict[str, Any]:
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    return result.structured_content


CONFIG = """
[roadster]
base_url = "{base_url}"
api_key = "env:ROADSTER_API_KEY"

[dealers.umazda]
partner_id = "51101"
express_host = "express.umazda.com"
link_key = "env:UMAZDA_LINK_KEY"
mykaarma_dealer_uuid = "5b0c7d1e-6a3f-4c52-9e0d-7f1a2b3c4d51"
mykaarma_dealer_id = 4101

[dealers.hyundaidemo]
partner_id = "CA317"
mykaarma_dealer_uuid = "5b0c7d1e-6a3f-4c52-9e0d-7f1a2b3c4d52"

[dealers.toyotademo]
partner_id = "12345"

[store]
url = "env:STORE_URL"

[callers.local]
dealers = ["umazda"]
[callers.local.access]
dealers = "read"
inventory = "read"
payments = "read"
customers = "write"
links = "read"
documents = "write"
crm = "read"
deliveries = "write"
forms = "write"
events = "read"

[callers.sales-bot]
token_sha256 = ["{sales_token}"]
dealers = ["umazda", "hyundaidemo"]
[callers.sales-bot.access]
dealers = "read"
inventory = "read"
payments = "read"
customers = "write"
links = "read"
documents = "write"
crm = "read"
deliveries = "write"
forms = "write"
events = "read"

[callers.reader]
token_sha256 = ["{reader_token}"]
dealers = ["hyundaidemo"]
[callers.reader.access]
inventory = "read"
"""


HOSTILE_TEXTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}{% include 'x' %}",
    "a\u202e\u2066txt.exe\u2069\u200b\ufeff",
    "اسم العميل في العربية",
    "x" * 4000,
    "line one\nline two\r\n\t  spaces    many",
)
"""Names that somebody may have typed who means no good, or who is from elsewhere."""

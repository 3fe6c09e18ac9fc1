"""What several test modules need: a world, a server over it, and a client of that server."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import asyncpg
import httpx2
import pytest
from hypothesis import HealthCheck, settings
from mcp import Client
from mcp_types import CallToolResult
from starlette.applications import Starlette

from roadster_sandbox import SandboxTransport, create_app
from roadster_server.calls.context import Timing
from roadster_server.calls.results import FAILURE_META, text_of
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections import CallerSettings, Settings
from roadster_server.store import open_store
from roadster_server.store.database import Database
from roadster_server.store.lazy import OpenStore
from roadster_server.store.sql import SqlStore
from roadster_tools import TOOLS, TOOLSETS, Access

from . import services
from .reliability import COLLECTED
from .servers import PATIENCE, sandbox_server
from .tool_examples import DELIVERY_ID

# A machine that is busy is slow, and no test shares a fixture between examples that may not see it.
settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("suite")

collect_ignore = ["stranger"]  # run by test_pytest_plugin.py, in a process of its own

SAMPLES = Path(__file__).parent / "samples"
PROJECT = Path(__file__).parent.parent
PROCESSES = Path(__file__).parent / "processes"
PROCESSES_SECONDS = 600
"""Timeout of a test of processes: a busy machine may take minutes to start a few of them."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Marks what needs real processes by its folder, before `-m` chooses."""
    session.stash[COLLECTED] = list(items)
    for item in items:
        if item.path.is_relative_to(PROCESSES):
            item.add_marker("processes")
            item.add_marker(pytest.mark.timeout(PROCESSES_SECONDS))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class World:
    """The sandbox's application, and how a grader looks into it."""

    app: Starlette

    async def get(self, path: str) -> Any:
        return await self._ask("GET", path)

    async def fault(self, operation: str, fault: str, times: int = 1, **more: Any) -> None:
        await self._ask("POST", "faults", {"operation": operation, "fault": fault, "times": times, **more})

    async def clear_faults(self) -> None:
        await self._ask("DELETE", "faults")

    async def move_delivery(self, event: str) -> None:
        await self._ask("POST", f"shipments/{DELIVERY_ID}", {"event": event})

    async def requests(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.get("requests")
        return found

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        async with httpx2.AsyncClient(transport=SandboxTransport(self.app), base_url="http://sandbox") as http:
            response = await http.request(method, f"/__sandbox/{path}", json=body)
            response.raise_for_status()
            return response.json()


@pytest.fixture
def world() -> World:
    return World(create_app())


class Answering(httpx2.AsyncBaseTransport):
    """The sandbox, but for the requests that `instead` answers: JSON, or a response of its own."""

    def __init__(self, world: World, instead: Callable[[httpx2.Request], Any]) -> None:
        self._sandbox = SandboxTransport(world.app)
        self._instead = instead

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = self._instead(request)
        if answer is None:
            return await self._sandbox.handle_async_request(request)
        return answer if isinstance(answer, httpx2.Response) else response(answer)


def response(body: Any, status: int = 200, **headers: str) -> httpx2.Response:
    """An answer with `body` as JSON, streamed as from a socket."""
    return httpx2.Response(status, headers=headers, stream=httpx2.ByteStream(json.dumps(body).encode()))


ALLOWED = ("umazda", "hyundaidemo")
FOREIGN = "toyotademo"
EVERYTHING: Mapping[str, Access] = dict.fromkeys(
    [*TOOLSETS, *(tool.name for tool in TOOLS.values() if tool.destructive)], Access.WRITE
)
"""What deletes is named itself: by its toolset alone it would ask for confirmation."""

Connect = Callable[..., AbstractAsyncContextManager[Client]]


def settings_for(store: str, name: str = "tester", **caller: Any) -> Settings:
    """The sandbox's settings, with one caller who may write at two of three dealers unless told otherwise."""
    allowed = {"dealers": list(ALLOWED), "access": dict(EVERYTHING), **caller}
    return sandbox_settings(store).model_copy(update={"callers": {name: CallerSettings(**allowed)}})


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this test run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def _server(variable: str, start: Callable[[Path], str], folder: Path) -> str:
    if url := os.environ.get(variable):
        return url
    try:
        return start(folder)
    except services.NotInstalled as missing:
        reason = f"{missing}; install it, or name a server in {variable}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def postgresql_server(run_folder: Path) -> str:
    """The URL of a database on the server where the tests make their own ones."""
    return _server("ROADSTER_TEST_POSTGRESQL", services.postgresql_server, run_folder)


@pytest.fixture(scope="session")
def redis_url(run_folder: Path) -> str:
    """A Redis server that others may use too. Each test has an API key of its own, and with it its own keys there."""
    return _server("ROADSTER_TEST_REDIS", services.redis_server, run_folder)


@pytest.fixture
def new_postgresql_url(postgresql_server: str) -> Iterator[str]:
    """A database of the test's own, without tables."""
    with _database(postgresql_server, template="template1") as url:
        yield url


@pytest.fixture(scope="session")
def migrated_database(postgresql_server: str) -> Iterator[str]:
    """An empty store, as a template. Copying it takes a twentieth of the time that migrating takes."""
    with _database(postgresql_server, template="template1") as url:
        anyio.run(_migrate, url)
        yield urlsplit(url).path.removeprefix("/")


@pytest.fixture
def postgresql_url(postgresql_server: str, migrated_database: str) -> Iterator[str]:
    """An empty store of the test's own."""
    with _database(postgresql_server, template=migrated_database) as url:
        yield url


@contextmanager
def _database(server: str, *, template: str) -> Iterator[str]:
    name = f"roadster_test_{uuid.uuid4().hex}"
    anyio.run(_execute, server, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        anyio.run(_execute, server, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(server: str, statement: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _migrate(store_url: str) -> None:
    async with open_store(store_url):
        pass


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """The URL of a sandbox on a socket, which the tests of a module share."""
    with sandbox_server() as url:
        yield url


@pytest.fixture
def fresh_world(upstream: str) -> None:
    """Makes the sandbox of `upstream` what it was at the start."""
    httpx2.post(f"{upstream}/__sandbox/reset", json={}, timeout=PATIENCE).raise_for_status()


@pytest.fixture(scope="session")
def migrated_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store. Migrating takes four times as long as copying one that is; tests of the store do it."""
    path = tmp_path_factory.mktemp("migrated") / "store.db"

    anyio.run(_migrate, f"sqlite:///{path}")
    return path


@pytest.fixture
def store_url(request: pytest.FixtureRequest, migrated_store: Path, tmp_path: Path) -> str:
    """An empty store of the test's own, of the kind that `on_both_databases` asks for."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{shutil.copy(migrated_store, tmp_path / 'store.db')}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A file that is not there yet."""
    return f"sqlite:///{tmp_path.as_posix()}/state/store.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest) -> str:
    """A database without tables, of either kind."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "new_postgresql_url")
    return url


on_both_databases = pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
"""For what a database's own locks and transactions decide. The tests of the store try each of its methods on both."""


@pytest.fixture
def connect(world: World, store_url: str) -> Connect:
    """Opens a client of a server over `world` and one store, for a caller as `settings_for` makes it."""

    @asynccontextmanager
    async def opened(
        *,
        name: str = "tester",
        mode: str = "auto",
        change: Mapping[str, Any] | None = None,
        upstream: httpx2.AsyncBaseTransport | None = None,
        ask: Any = None,
        live: LiveSettings | None = None,
        timing: Timing | None = None,
        open_store: OpenStore = open_store,
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
            ) as calls,
            Client(
                build_server(calls, lambda: live.current.caller(name)), mode=mode, elicitation_callback=ask
            ) as client,
        ):
            yield client

    return opened


def store_of_class(store_class: Callable[[Database], SqlStore]) -> OpenStore:
    """Opens stores of a subclass of SqlStore, one that fails for instance."""

    @asynccontextmanager
    async def opened(url: str) -> AsyncIterator[SqlStore]:
        async with open_store(url) as store:
            yield store_class(store.database)

    return opened


async def own_delivery(store_url: str, dealer: str = "umazda") -> None:
    """Puts on record that the sandbox's first delivery is the dealer's, also where it is not made yet."""
    async with open_store(store_url) as store:
        await store.add_owned(dealer, "delivery", str(DELIVERY_ID))


def kind_of(result: CallToolResult) -> str | None:
    """The kind of the failure, None for success."""
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

"""After a reload, exactly those clients are told whose lists it has changed, in both protocols."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.subscriptions import PromptsListChanged, ResourcesListChanged, ToolsListChanged
from mcp_types import PromptListChangedNotification, ResourceListChangedNotification, ToolListChangedNotification

from roadster_server.protocol import list_changes
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import CallerSettings
from roadster_tools import Access
from tests.conftest import settings_for
from tests.server.transports.listening import listening
from tests.servers import PATIENCE

pytestmark = pytest.mark.anyio

ERAS = ("2026-07-28", "legacy", "sse")
NAMES: dict[type, str] = {
    ToolsListChanged: "tools",
    PromptsListChanged: "prompts",
    ResourcesListChanged: "resources",
    ToolListChangedNotification: "tools",
    PromptListChangedNotification: "prompts",
    ResourceListChangedNotification: "resources",
}
READS = {"inventory": Access.READ, "links": Access.READ}


@pytest.fixture(autouse=True)
def short_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_changes, "LOOK_EVERY", 0.01)


class Listener:
    """A client that hears of changes. `lists` are those that it was told of."""

    def __init__(self) -> None:
        self.lists: set[str] = set()

    def hear(self, notification: Any) -> None:
        if type(notification) in NAMES:
            self.lists.add(NAMES[type(notification)])

    async def until(self, *lists: str) -> None:
        with anyio.fail_after(PATIENCE):
            while not set(lists) <= self.lists:
                await anyio.sleep(0.01)


@asynccontextmanager
async def listener_in(url: str, era: str, query: str = "") -> AsyncIterator[Listener]:
    heard = Listener()

    async def on_message(message: Any) -> None:
        heard.hear(message)

    if era == "sse":
        async with Client(sse_client(f"{url}/sse{query}"), mode="legacy", message_handler=on_message) as client:
            assert client.server_capabilities.tools.list_changed
            yield heard
        return
    has_stream = anyio.Event()

    async def on_answer(answer: httpx2.Response) -> None:
        if answer.request.method == "GET":
            has_stream.set()

    async with (
        httpx2.AsyncClient(timeout=PATIENCE, event_hooks={"response": [on_answer]}) as http,
        Client(
            streamable_http_client(f"{url}/mcp{query}", http_client=http), mode=era, message_handler=on_message
        ) as client,
    ):
        if era == "legacy":
            assert client.server_capabilities.tools.list_changed
            with anyio.fail_after(PATIENCE):
                await has_stream.wait()
            yield heard
            return
        async with (
            client.listen(tools_list_changed=True, prompts_list_changed=True, resources_list_changed=True) as stream,
            anyio.create_task_group() as tasks,
        ):

            async def hear() -> None:
                async for event in stream:
                    heard.hear(event)

            tasks.start_soon(hear)
            yield heard
            tasks.cancel_scope.cancel()


@pytest.fixture
def live(store_url: str) -> LiveSettings:
    return LiveSettings(settings_for(store_url, "local", dealers=["umazda"], access=dict(READS)))


def change(live: LiveSettings, **changes: Any) -> None:
    """Puts settings in force in which the caller is another, as a reload does."""
    caller = live.current.callers["local"].model_copy(update=changes)
    live.current = live.current.model_copy(update={"callers": {**live.current.callers, "local": caller}})


CHANGES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "a tool with a prompt and a resource": (
        {"access": {**READS, "payments": Access.READ, "dealers": Access.READ}},
        {"tools", "prompts", "resources"},
    ),
    "a tool alone": ({"access": {**READS, "crm": Access.READ}}, {"tools"}),
}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("changes", "lists"), CHANGES.values(), ids=CHANGES)
async def test_a_client_is_told_of_the_lists_that_a_reload_has_changed(
    era: str, changes: dict[str, Any], lists: set[str], live: LiveSettings
) -> None:
    async with listening(live) as url, listener_in(url, era) as heard:
        change(live, **changes)
        await heard.until(*lists)
        assert heard.lists == lists


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_whose_lists_stay_is_told_nothing(era: str, live: LiveSettings) -> None:
    """A change of another caller, of a limit, and of what the connection was narrowed by."""
    async with (
        listening(live) as url,
        listener_in(url, era, "?toolsets=inventory,links,events&dealers=umazda") as heard,
    ):
        others = {**live.current.callers, "other": CallerSettings(dealers=["toyotademo"])}
        quiet: list[Callable[[], None]] = [
            lambda: setattr(live, "current", live.current.model_copy(update={"callers": others})),
            lambda: change(live, calls_per_minute=1_000),
            lambda: change(live, dealers=["umazda", "hyundaidemo"]),
            lambda: change(live, access={**READS, "payments": Access.READ}),
        ]
        for make_change in quiet:
            make_change()
            await anyio.sleep(0.1)
        assert heard.lists == set()
        change(live, access={**READS, "events": Access.READ})
        await heard.until("tools")


async def test_a_second_dealer_changes_resources_and_what_prompts_ask_for(live: LiveSettings) -> None:
    change(live, access={**READS, "dealers": Access.READ})
    async with listening(live) as url, listener_in(url, "2026-07-28") as heard:
        change(live, dealers=["umazda", "hyundaidemo"])
        await heard.until("resources", "prompts")
        assert "tools" not in heard.lists

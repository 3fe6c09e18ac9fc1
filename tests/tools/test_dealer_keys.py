"""Dealers with an account of their own at Roadster: each request carries the key of its dealer, and no other one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from roadster_client import DealerRef
from roadster_sandbox import API_KEY, SandboxTransport, create_app
from roadster_server.recordings.transport import record_to, replay_from
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.loading import load
from roadster_server.settings.sections.stores import StoreSettings
from roadster_server.settings.settings import Settings
from tests.conftest import CONFIG, Connect, answer_of, kind_of, settings_for, text_of
from tests.tool_examples import SOME_VIN

pytestmark = pytest.mark.anyio

OWN_KEY, OTHER_KEY = "umazda-own-key", "umazda-key-after-rotation"
VEHICLE = {"dealer": "umazda", "vin": SOME_VIN}


class KeyedSandbox(httpx2.AsyncBaseTransport):
    """A sandbox with accounts. It remembers the path and the Authorization of each request to Roadster."""

    def __init__(self, **own_keys: str) -> None:
        self.sandbox = SandboxTransport(create_app(own_keys=own_keys))
        self.requests: list[tuple[str, str]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append((request.url.path.removeprefix("/v1"), request.headers["authorization"]))
        return await self.sandbox.handle_async_request(request)

    def keys_of(self, path: str) -> set[str]:
        return {key.removeprefix("Bearer ") for each, key in self.requests if each == path}


def with_keys(settings: Settings, **keys: str) -> dict[str, Any]:
    """Returns the dealers of `settings`, some of them with a key of their own."""
    dealers = {
        dpid: dealer.model_copy(update={"api_key": SecretStr(keys[dpid]) if dpid in keys else None})
        for dpid, dealer in settings.dealers.items()
    }
    return {"dealers": dealers}


CALLS: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "get_dealer": ("/dealers/{}", lambda dpid: {"dealer": dpid}),
    "list_inventory": ("/inventory", lambda dpid: {"dealer": dpid, "limit": 1}),
    "list_templates": ("/templates", lambda dpid: {"dealer": dpid}),
    "build_deep_link": ("/links", lambda dpid: {"dealer": dpid, "make": "Mazda", "model": "CX-5"}),
}


@pytest.mark.parametrize("tool", CALLS)
async def test_each_request_carries_the_key_of_its_dealer(tool: str, connect: Connect) -> None:
    sandbox = KeyedSandbox(umazda=OWN_KEY)
    change = with_keys(settings_for(""), umazda=OWN_KEY)
    path, arguments = CALLS[tool]
    for dpid, key in {"umazda": OWN_KEY, "hyundaidemo": API_KEY}.items():
        async with connect(upstream=sandbox, change=change) as client:
            await client.call_tool(tool, arguments(dpid))
        assert {key for _, key in sandbox.requests} == {f"Bearer {key}"}, path
        sandbox.requests.clear()


async def test_quotes_and_pdfs_of_a_dealer_with_a_key_are_its_own(connect: Connect) -> None:
    sandbox = KeyedSandbox(umazda=OWN_KEY)
    async with connect(upstream=sandbox, change=with_keys(settings_for(""), umazda=OWN_KEY)) as client:
        stock = answer_of(await client.call_tool("list_inventory", {"dealer": "umazda", "limit": 1}))
        vin = stock["vehicles"][0]["vin"]
        assert answer_of(await client.call_tool("quote_payments", {"dealer": "umazda", "vin": vin}))["lease"]
        assert answer_of(await client.call_tool("build_deep_link", {"dealer": "umazda", "vin": vin}))["url"]
        templates = answer_of(await client.call_tool("list_templates", {"dealer": "umazda"}))["templates"]
        template = {"dealer": "umazda", "template_id": templates[0]["template_id"]}
        assert answer_of(await client.call_tool("get_template", template))
    assert {key for _, key in sandbox.requests} == {f"Bearer {OWN_KEY}"}


async def test_list_dealers_joins_the_accounts_of_the_callers_dealers(connect: Connect) -> None:
    sandbox = KeyedSandbox(umazda=OWN_KEY, toyotademo="a key that this caller never uses")
    change = with_keys(settings_for(""), umazda=OWN_KEY, toyotademo="toyota-key")
    async with connect(upstream=sandbox, change=change) as client:
        answer = answer_of(await client.call_tool("list_dealers"))
    assert {row["dpid"] for row in answer["dealers"]} == {"umazda", "hyundaidemo"}
    assert answer.get("hint") is None
    assert sandbox.keys_of("/dealers") == {OWN_KEY, API_KEY}
    assert len(sandbox.requests) == 2


async def test_two_dealers_of_one_key_are_listed_with_one_request(connect: Connect) -> None:
    sandbox = KeyedSandbox(umazda=OWN_KEY, hyundaidemo=OWN_KEY)
    change = with_keys(settings_for(""), umazda=OWN_KEY, hyundaidemo=OWN_KEY)
    async with connect(upstream=sandbox, change=change) as client:
        answer = answer_of(await client.call_tool("list_dealers"))
    assert {row["dpid"] for row in answer["dealers"]} == {"umazda", "hyundaidemo"}
    assert sandbox.requests == [("/dealers", f"Bearer {OWN_KEY}")]


async def test_a_key_that_fails_hides_only_its_own_dealers_and_is_told(connect: Connect) -> None:
    sandbox = KeyedSandbox(umazda=OWN_KEY)
    async with connect(upstream=sandbox, change=with_keys(settings_for(""), umazda="a-wrong-key")) as client:
        result = await client.call_tool("list_dealers")
        answer = answer_of(result)
        refused = await client.call_tool("get_dealer", {"dealer": "umazda"})
    assert [row["dpid"] for row in answer["dealers"]] == ["hyundaidemo"]
    assert "did not answer for their own API keys: umazda" in answer["hint"]
    assert kind_of(refused) == "upstream"
    assert "a-wrong-key" not in text_of(result) + text_of(refused)


async def test_list_dealers_fails_where_no_key_is_answered(connect: Connect) -> None:
    sandbox = KeyedSandbox(umazda=OWN_KEY)
    change = with_keys(settings_for(""), umazda="a-wrong-key")
    async with connect(upstream=sandbox, change=change, dealers=["umazda"]) as client:
        assert kind_of(await client.call_tool("list_dealers")) == "upstream"


async def test_a_changed_key_counts_from_the_next_call(connect: Connect, store_url: str) -> None:
    sandbox = KeyedSandbox(umazda=OTHER_KEY)
    settings = settings_for(store_url)
    live = LiveSettings(settings.model_copy(update=with_keys(settings, umazda=OWN_KEY)))
    async with connect(upstream=sandbox, live=live) as client:
        assert (await client.call_tool("get_dealer", {"dealer": "umazda"})).is_error
        live.current = settings.model_copy(update=with_keys(settings, umazda=OTHER_KEY))
        assert answer_of(await client.call_tool("get_dealer", {"dealer": "umazda"}))["dpid"] == "umazda"


async def test_a_recording_keeps_accounts_apart_without_their_keys(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape, config = tmp_path / "tape.jsonl", tmp_path / "roadster.toml"
    text = CONFIG.format(base_url="https://sandbox/v1", sales_token="0" * 64, reader_token="1" * 64)
    config.write_text(text.replace("[dealers.umazda]", '[dealers.umazda]\napi_key = "env:UMAZDA_API_KEY"', 1))
    secrets = {"ROADSTER_API_KEY": API_KEY, "UMAZDA_API_KEY": OWN_KEY, "UMAZDA_LINK_KEY": "k" * 32}
    for name, value in {**secrets, "STORE_URL": f"sqlite:///{tmp_path}/store.db"}.items():
        monkeypatch.setenv(name, value)
    with record_to(tape, KeyedSandbox(umazda=OWN_KEY)) as network:
        async with connect(name="sales-bot", upstream=network, live=LiveSettings(load(config))) as client:
            recorded = answer_of(await client.call_tool("list_dealers"))
    assert {row["dpid"] for row in recorded["dealers"]} == {"umazda", "hyundaidemo"}
    assert OWN_KEY not in tape.read_text()
    assert API_KEY not in tape.read_text()
    for name in secrets:
        monkeypatch.delenv(name)
    store = StoreSettings(url=SecretStr(f"sqlite:///{tmp_path}/other.db"))
    settings = load(config, reveal_secrets=False).model_copy(update={"store": store})
    async with connect(name="sales-bot", upstream=replay_from(tape), live=LiveSettings(settings)) as client:
        assert answer_of(await client.call_tool("list_dealers")) == recorded


def test_no_key_shows_in_a_repr() -> None:
    settings = settings_for("").model_copy(update=with_keys(settings_for(""), umazda=OWN_KEY))
    ref = settings.dealer_ref("umazda")
    assert isinstance(ref, DealerRef)
    assert ref.api_key == OWN_KEY
    assert OWN_KEY not in f"{ref!r} {settings!r}"

"""Idempotency keys: a write is done once for its key."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp_types import CallToolResult
from pydantic import SecretStr

from roadster_sandbox import SandboxTransport
from roadster_server.calls.keys import Keys
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import CallerSettings
from roadster_server.store import Claim, StoreError, open_store
from roadster_server.store.sql import SqlStore
from roadster_tools import TOOLS
from tests.conftest import Connect, World, answer_of, kind_of, on_both_databases, settings_for, store_of_class, text_of
from tests.servers import PATIENCE
from tests.tool_examples import DELIVERY, SOME_VIN, STEVE

from .writes import AT_UMAZDA, DOCUMENT, KEY, NEW_CUSTOMER, WRITES, sent_writes

pytestmark = pytest.mark.anyio


@on_both_databases
async def test_key_repeated_replays_the_answer(connect: Connect, world: World) -> None:
    async with connect() as client:
        first = answer_of(await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY}))
        again = await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY})
    assert answer_of(again) == {**first, "replayed": True}
    assert text_of(again).startswith("Replay of an earlier answer")
    assert await sent_writes(world) == ["create_customer"]


async def test_repeats_without_a_key_are_both_sent(connect: Connect, world: World) -> None:
    async with connect() as client:
        for _ in range(2):
            answer_of(await client.call_tool("create_customer", dict(NEW_CUSTOMER)))
    assert await sent_writes(world) == ["create_customer"] * 2


@on_both_databases
async def test_key_with_other_arguments_is_refused(connect: Connect, world: World) -> None:
    async with connect() as client:
        await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY})
        result = await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY, "checkout": True})
    assert kind_of(result) == "invalid_arguments"
    assert "idempotency_key" in text_of(result)
    assert "if this is the same write, repeat it exactly" in text_of(result)
    assert await sent_writes(world) == ["create_customer"]


def respelled(name: str, value: Any) -> Any:
    """Returns the value in another spelling that says the same."""
    match value:
        case dict():
            return {key: respelled(key, each) for key, each in value.items()}
        case list():
            return [respelled(name, each) for each in value]
        case bool():
            return value
        case int():
            return str(value) if name.endswith(("id", "ids")) else float(value)
        case str() if name == "vin":
            return f" {value.lower()} "
        case str() if name == "contents":
            lines = [value.rstrip("=")[start : start + 76] for start in range(0, len(value), 76)]
            return f"data:application/octet-stream;base64,{chr(10).join(lines)}\n"
        case str() if name == "phone":
            return value.replace("-", "\u2011")
        case _:
            return value


async def test_key_knows_the_same_call_in_another_spelling(connect: Connect, world: World) -> None:
    """The call is not refused: its caller would take a new key, and write a second time."""
    async with connect() as client:
        for tool, arguments in WRITES.items():
            fields = TOOLS[tool].arguments.model_fields
            defaults = {
                name: field.default for name, field in fields.items() if isinstance(field.default, str | int | float)
            }
            answer_of(await client.call_tool(tool, {**arguments, **KEY}))
            sent = await sent_writes(world)
            again = await client.call_tool(tool, {**defaults, **respelled("", arguments), **KEY})
            assert answer_of(again)["replayed"], tool
            assert await sent_writes(world) == sent


async def test_key_knows_a_number_in_another_spelling(connect: Connect, world: World) -> None:
    async with connect() as client:
        await client.call_tool("create_customer", dict(NEW_CUSTOMER))
        for customer, email, vin in (
            (1650260, "natalie.wood@example.com", SOME_VIN),
            ("1650260", " natalie.wood@example.com", SOME_VIN.lower()),
        ):
            answer_of(
                await client.call_tool(
                    "assign_agent", {**AT_UMAZDA, "customer_id": customer, "agent": {"email": email}, **KEY}
                )
            )
            customer_data = {**STEVE, "phone": "415-555-0100" if customer == 1650260 else "415\u2011555\u20110100"}
            answer_of(
                await client.call_tool(
                    "create_customer", {**AT_UMAZDA, "customer": customer_data, "vehicle": {"vin": vin}, **KEY}
                )
            )
    assert await sent_writes(world) == ["create_customer", "update_customer", "create_customer"]


async def test_key_knows_another_file(connect: Connect, world: World) -> None:
    """A text that is no file is another one too, and is refused by the key before anybody decodes it."""
    async with connect() as client:
        await client.call_tool("create_customer", dict(NEW_CUSTOMER))
        answer_of(await client.call_tool("upload_document", {**DOCUMENT, **KEY}))
        for contents in ("JVBERi0xLjcK", "not base64!"):
            result = await client.call_tool("upload_document", {**DOCUMENT, "contents": contents, **KEY})
            assert "idempotency_key: was used with other arguments" in text_of(result)
    assert await sent_writes(world) == ["create_customer", "upload_document"]


@on_both_databases
async def test_key_belongs_to_its_caller_dealer_and_tool(connect: Connect, world: World) -> None:
    async with connect() as client:
        await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY})
        await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY, "dealer": "hyundaidemo"})
        await client.call_tool("upload_document", {**DOCUMENT, **KEY})
    async with connect(name="somebody-else") as client:
        await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY})
    assert await sent_writes(world) == ["create_customer", "create_customer", "upload_document", "create_customer"]


@on_both_databases
async def test_key_used_at_once_makes_one_write(connect: Connect, world: World) -> None:
    await world.fault("create_customer", "delay", seconds=0.3)
    results: list[CallToolResult] = []

    async def call(client: Client) -> None:
        results.append(await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY}))

    async with connect() as client, anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(call, client)
    assert await sent_writes(world) == ["create_customer"]
    assert sorted(answer_of(result).get("replayed", False) for result in results) == [False, *[True] * 5]


@on_both_databases
async def test_key_of_a_refused_write_is_free_again(connect: Connect, world: World) -> None:
    async with connect() as client:
        await world.fault("create_customer", "status", status=429)
        assert kind_of(await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY})) == "upstream"
        assert "replayed" not in answer_of(await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY}))


@on_both_databases
async def test_key_with_a_lost_answer_is_never_sent_again(connect: Connect, world: World) -> None:
    async with connect() as client:
        await world.fault("create_customer", "lost_answer")
        for _ in range(3):
            result = await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY})
            assert kind_of(result) == "outcome_unknown"
            assert TOOLS["create_customer"].if_unknown in text_of(result)
    assert await sent_writes(world) == ["create_customer"]


@on_both_databases
async def test_key_wait_does_not_outlive_the_rights_of_the_caller(connect: Connect, store_url: str) -> None:
    """The upstream refuses the first call with the key. The second call has waited, and may no longer write."""
    live = LiveSettings(settings_for(store_url))
    methods: list[str] = []

    class RightsEnd(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            methods.append(request.method)
            await anyio.sleep(0.3)
            without_rights = {"tester": CallerSettings(dealers=["umazda"])}
            live.current = live.current.model_copy(update={"callers": without_rights})
            return httpx2.Response(404, stream=httpx2.ByteStream(b""))

    kinds: list[str | None] = []

    async def call(client: Client) -> None:
        kinds.append(kind_of(await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY})))

    async with connect(live=live, upstream=RightsEnd()) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(call, client)
        tasks.start_soon(call, client)
    assert kinds == ["not_found", "refused"]
    assert methods == ["POST"]


@on_both_databases
@pytest.mark.parametrize("was_sent", [True, False])
async def test_key_used_under_another_api_key_has_unknown_outcome(
    was_sent: bool, connect: Connect, world: World, store_url: str
) -> None:
    """Nobody can tell if the arguments were the same, even if the write was claimed and not sent."""
    if was_sent:
        async with connect() as client:
            answer_of(await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY}))
    else:
        scope = json.dumps(["tester", "umazda", "create_customer", KEY["idempotency_key"]])
        async with open_store(store_url) as store:
            await store.claim(hashlib.sha256(scope.encode()).hexdigest(), "of an older version", now=datetime.now(UTC))
    requests = await world.requests()
    new_key = settings_for(store_url).roadster.model_copy(update={"api_key": SecretStr("the new key")})
    async with connect(change={"roadster": new_key}) as client:
        for more in ({}, {"checkout": True}):
            result = await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY, **more})
            assert kind_of(result) == "outcome_unknown"
            assert "before the server was upgraded or got another API key" in text_of(result)
            assert "take a new one" not in text_of(result)
            assert TOOLS["create_customer"].if_unknown in text_of(result)
    assert await world.requests() == requests


@on_both_databases
async def test_key_of_a_store_of_schema_0001_has_unknown_outcome(
    connect: Connect, world: World, store_url: str
) -> None:
    """Version 0001 named a key by a keyed hash. After an upgrade, the write must not be sent a second time."""
    keys = Keys.derive(settings_for(store_url).roadster.api_key.get_secret_value())
    scope = keys.hash(["tester", "umazda", "create_customer", KEY["idempotency_key"]])
    async with open_store(store_url) as store:
        claim = await store.claim(scope, keys.hash(NEW_CUSTOMER), now=datetime.now(UTC))
        assert isinstance(claim, Claim)
        await store.finish(claim, b"an answer of that version")
    async with connect() as client:
        result = await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY})
        other_key = {**NEW_CUSTOMER, "idempotency_key": "order-4712"}
        answer_of(await client.call_tool("create_customer", other_key))
    assert kind_of(result) == "outcome_unknown"
    assert "before the server was upgraded" in text_of(result)
    assert await sent_writes(world) == ["create_customer"]


@on_both_databases
async def test_replay_is_withheld_from_a_caller_with_fewer_rights(
    connect: Connect, world: World, store_url: str
) -> None:
    """The write is not sent again. An answer without personal data is replayed to every caller."""
    live = LiveSettings(settings_for(store_url, personal_data="contact"))

    def change_right(personal_data: str) -> None:
        callers = settings_for(store_url, personal_data=personal_data).callers
        live.current = live.current.model_copy(update={"callers": callers})

    async with connect(live=live) as client:
        answer_of(await client.call_tool("create_delivery", {**AT_UMAZDA, **DELIVERY}))
        await world.move_delivery("driver_assigned")
        change = {**WRITES["update_delivery"], **KEY}
        first = answer_of(await client.call_tool("update_delivery", change))
        change_right("masked")
        withheld = await client.call_tool("update_delivery", change)
        masked_answer = answer_of(
            await client.call_tool("update_delivery", {**change, "idempotency_key": "order-4712"})
        )
        change_right("contact")
        again = answer_of(await client.call_tool("update_delivery", change))
        masked_again = answer_of(await client.call_tool("update_delivery", {**change, "idempotency_key": "order-4712"}))
    assert kind_of(withheld) == "outcome_unknown"
    assert text_of(withheld).startswith("The write was done, but callers.tester.personal_data")
    assert "not sent again" in text_of(withheld)
    assert first["driver"]["name"] not in text_of(withheld)
    assert withheld.structured_content is None
    assert masked_answer["driver"]["name"] == "***"
    assert again == {**first, "replayed": True}
    assert masked_again == {**masked_answer, "replayed": True}
    assert await sent_writes(world) == ["create_shipment", "update_shipment", "update_shipment"]


class HeldSandbox(httpx2.AsyncBaseTransport):
    """The sandbox, which answers only after `let_go` is set."""

    def __init__(self, world: World) -> None:
        self._sandbox = SandboxTransport(world.app)
        self.let_go = anyio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await self.let_go.wait()
        return await self._sandbox.handle_async_request(request)


@on_both_databases
async def test_key_used_by_many_calls_spares_the_store(connect: Connect, world: World) -> None:
    """Of 60 calls with one key, one is sent, 16 wait for it, and the others are refused. Nobody polls the store."""
    looks: list[str] = []

    class CountingStore(SqlStore):
        async def claim(self, scope: str, arguments: str, *, now: datetime, old_scope: str = "") -> Any:
            looks.append(scope)
            return await super().claim(scope, arguments, now=now, old_scope=old_scope)

    upstream = HeldSandbox(world)
    results: list[CallToolResult] = []
    most_waiting = 16

    async def call(client: Client) -> None:
        results.append(await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY}))
        if len(results) == 60 - 1 - most_waiting:
            assert len(looks) == 1
            upstream.let_go.set()

    with anyio.fail_after(PATIENCE):
        async with (
            connect(upstream=upstream, open_store=store_of_class(CountingStore)) as client,
            anyio.create_task_group() as tasks,
        ):
            for _ in range(60):
                tasks.start_soon(call, client)
    busy = [result for result in results if kind_of(result) == "limited"]
    assert len(busy) == 60 - 1 - most_waiting
    assert "Limit reached: idempotency_key allows 16 calls" in text_of(busy[0])
    answers = [answer_of(result) for result in results if result not in busy]
    assert sorted(answer.get("replayed", False) for answer in answers) == [False] + [True] * most_waiting
    assert len(looks) == 1 + most_waiting
    assert await sent_writes(world) == ["create_customer"]


@pytest.mark.parametrize("key", ["short", "with space", "x" * 129, "ünïcödé-key", 7, ["a"]])
async def test_key_of_the_wrong_form_is_refused(key: Any, connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("create_customer", {**NEW_CUSTOMER, "idempotency_key": key})
    assert kind_of(result) == "invalid_arguments"
    assert await sent_writes(world) == []


class ForgetfulStore(SqlStore):
    """A store that cannot keep the result of a write."""

    async def finish(self, claim: Claim, result: bytes) -> None:
        raise StoreError("the disk is full; free some space")


async def test_write_is_answered_if_its_result_cannot_be_stored(connect: Connect, world: World) -> None:
    async with connect(open_store=store_of_class(ForgetfulStore)) as client:
        answer_of(await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY}))
    assert await sent_writes(world) == ["create_customer"]

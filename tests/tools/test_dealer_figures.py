"""The dealer's own figures reach only callers with the right to them, by every way out of the server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp_types import ElicitResult

from roadster_server.recordings.transport import record_to, replay_from
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.stores import InventorySettings
from roadster_server.store import NewEvent, open_store
from roadster_tools import TOOLS
from tests.conftest import CONTACT_KEY, Connect, World, answer_of, kind_of, on_both_databases, settings_for, text_of
from tests.tool_examples import SOME_VIN, TOOL_EXAMPLES

from .canaries import everything
from .figure_canaries import ALL_LEAKS, DOCUMENTED, FLAG, FiguresUpstream, event_with_figures, leaks
from .test_personal_data import READERS, audit_of
from .umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio

EVENT_CUSTOMER = 1650260
KEPT = {"inventory": InventorySettings(fresh_for=60)}
"""Vehicles are kept in the store."""


async def receive_event(store_url: str) -> None:
    at = datetime.now(UTC)
    new = NewEvent(
        "roadster",
        "e-figures",
        "service_made_credit_decision",
        "umazda",
        str(EVENT_CUSTOMER),
        None,
        None,
        at - timedelta(seconds=1),
        event_with_figures(EVENT_CUSTOMER),
    )
    async with open_store(store_url) as opened:
        store = replace(opened, contact_key=CONTACT_KEY)
        await store.add_events([new], dealers=["umazda"], now=at)


async def every_answer(client: Client, *, unique: str) -> list[tuple[str, str]]:
    """Calls every tool in each detail, then reads every prompt, list, resource and completion."""
    answers = []
    for name, example in TOOL_EXAMPLES.items():
        details: list[Mapping[str, Any]] = [{}] if example.budget.full is None else [{}, {"detail": "full"}]
        for number, detail in enumerate(details):
            arguments = {
                **example.arguments,
                **detail,
                **({} if name in ("list_dealers", "get_approval") else AT_UMAZDA),
            }
            if TOOLS[name].writes:
                arguments["idempotency_key"] = f"{unique}-{name}-{number}"
            if name in ("get_customer", "list_customer_events"):
                arguments["customer_id"] = EVENT_CUSTOMER
            answers.append((name, everything(await client.call_tool(name, arguments))))
    for reader in READERS:
        answers += await reader(client)
    return answers


@pytest.mark.parametrize("change", [{}, KEPT], ids=["from the feed", "from the store"])
async def test_dealer_figures_reach_no_caller_without_the_right(
    change: Mapping[str, Any], connect: Connect, world: World, store_url: str
) -> None:
    """The canaries are in each object of each answer and event. The caller may see all personal data."""
    await receive_event(store_url)
    async with connect(upstream=FiguresUpstream(world), personal_data="contact", change=change) as client:
        answers = await every_answer(client, unique="first-key")
        answers += await every_answer(client, unique="first-key")
    for name, answer in answers:
        assert leaks(answer) == set(), name
    successes = {name for name, answer in answers if '"isError":false' in answer}
    assert successes >= TOOLS.keys(), "each tool has had an answer"
    assert leaks(await audit_of(store_url)) == set()


async def test_dealer_figures_reach_a_caller_with_the_right(connect: Connect, world: World, store_url: str) -> None:
    """Each documented figure is shown somewhere, so each canary of the test above stands where it would be seen."""
    await receive_event(store_url)
    async with connect(upstream=FiguresUpstream(world), personal_data="contact", dealer_figures=True) as client:
        answers = await every_answer(client, unique="first-key")
    by_tool = {name: leaks("".join(text for other, text in answers if other == name)) for name, _ in answers}
    assert set().union(*by_tool.values()) == ALL_LEAKS - {"holdback", "dealer_reserve"}
    assert {name for name, found in by_tool.items() if found} == {
        "get_dealer",
        "list_inventory",
        "quote_payments",
        "list_protection_plans",
        "list_customer_events",
        "get_customer",
    }
    assert by_tool["get_dealer"] == {"standard", "special"}
    assert by_tool["list_inventory"] == by_tool["list_protection_plans"] == {"invoice_price"}
    assert by_tool["get_customer"] >= {"lender_money_factor", "remark", FLAG}
    assert DOCUMENTED - {"standard", "special", "lender_money_factor"} <= by_tool["quote_payments"]


async def test_dealer_figures_stand_in_no_question_and_preview(connect: Connect, world: World, store_url: str) -> None:
    questions: list[str] = []

    async def ask(_ctx: Any, params: Any) -> ElicitResult:
        questions.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    await receive_event(store_url)
    for level in ("preview", "confirm"):
        access = {tool.name: level if tool.writes else "read" for tool in TOOLS.values()}
        async with connect(access=access, ask=ask, upstream=FiguresUpstream(world)) as client:
            for name, answer in await every_answer(client, unique=level):
                assert leaks(answer) == set(), name
    assert questions
    assert leaks("".join(questions)) == set()


@pytest.mark.parametrize("status", [200, 400, 409, 500])
async def test_errors_repeat_no_dealer_figure(status: int, connect: Connect, world: World, store_url: str) -> None:
    async with connect(upstream=FiguresUpstream(world, status), personal_data="contact") as client:
        for name, answer in await every_answer(client, unique="refused"):
            assert leaks(answer) == set(), name


def live_settings(store_url: str) -> tuple[LiveSettings, Callable[[bool], None]]:
    """Returns settings that keep vehicles, and a function that gives the caller the right or takes it."""
    live = LiveSettings(settings_for(store_url).model_copy(update=KEPT))

    def give_right(right: bool) -> None:
        callers = settings_for(store_url, dealer_figures=right).callers
        live.current = live.current.model_copy(update={"callers": callers})

    return live, give_right


@pytest.mark.parametrize("is_first", [False, True])
async def test_mirror_shows_figures_by_the_right_at_the_time_of_reading(
    is_first: bool, connect: Connect, world: World, store_url: str
) -> None:
    """A vehicle in the store is the same for all callers, whether or not its first reader had the right."""
    arguments = {**AT_UMAZDA, "detail": "full", "limit": 5}
    live, give_right = live_settings(store_url)
    async with connect(upstream=FiguresUpstream(world), live=live) as client:
        for number, right in enumerate([is_first, not is_first, is_first]):
            give_right(right)
            result = await client.call_tool("list_inventory", arguments)
            assert leaks(everything(result)) == ({"invoice_price"} if right else set())
            if number == 0:
                count = len(await world.requests())
    assert len(await world.requests()) == count, "only the first search asked the feed"


async def test_last_known_vehicle_shows_figures_by_the_right(connect: Connect, world: World, store_url: str) -> None:
    """The store answers for a feed that does not answer any more."""
    live, give_right = live_settings(store_url)
    one = {**AT_UMAZDA, "vin": SOME_VIN, "detail": "full"}
    async with connect(upstream=FiguresUpstream(world), live=live) as client:
        answer_of(await client.call_tool("list_inventory", AT_UMAZDA))
        await world.fault("list_inventory", "status", times=9, status=401)
        for right in (False, True):
            give_right(right)
            result = await client.call_tool("list_inventory", one)
            assert answer_of(result)["as_of"], "it comes from the store"
            assert leaks(everything(result)) == ({"invoice_price"} if right else set())


@on_both_databases
async def test_replay_is_withheld_from_a_caller_who_has_lost_the_right(
    connect: Connect, world: World, store_url: str
) -> None:
    live, give_right = live_settings(store_url)
    change = {**AT_UMAZDA, **TOOL_EXAMPLES["create_customer"].arguments, "idempotency_key": "order-4711"}
    async with connect(live=live) as client:
        give_right(True)
        first = answer_of(await client.call_tool("create_customer", change))
        give_right(False)
        withheld = await client.call_tool("create_customer", change)
        give_right(True)
        again = answer_of(await client.call_tool("create_customer", change))
    assert kind_of(withheld) == "outcome_unknown"
    assert text_of(withheld).startswith("The write was done, but callers.tester.dealer_figures was true then")
    assert again == {**first, "replayed": True}


async def test_recording_holds_no_dealer_figure(connect: Connect, world: World, store_url: str, tmp_path: Path) -> None:
    """Not even that of a caller who sees them. A replay then shows none to anybody."""
    await receive_event(store_url)
    tape = tmp_path / "tape.jsonl"
    with record_to(tape, FiguresUpstream(world)) as network:
        async with connect(upstream=network, dealer_figures=True) as client:
            await every_answer(client, unique="recorded")
    assert tape.read_text().count("\n") > 20
    assert leaks(tape.read_text()) <= {FLAG}, "the name of the field stays"
    quotes = [
        exchange["response"]["body"]["deals"]["cash"]
        for exchange in map(json.loads, tape.read_text().splitlines())
        if exchange["request"]["operation"] == "quote_payments"
    ]
    assert quotes
    assert {quote["terms"]["profit"] for quote in quotes} == {None}
    async with connect(upstream=replay_from(tape), dealer_figures=True) as client:
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, **TOOL_EXAMPLES["quote_payments"].arguments})
    assert not result.is_error
    assert leaks(everything(result)) == set()


async def test_model_is_told_that_the_figures_are_not_for_customers(connect: Connect) -> None:
    for right in (False, True):
        async with connect(dealer_figures=right) as client:
            text = client.instructions or ""
        assert ("they are not for customers" in text) is right
        assert len(text.encode()) <= 1_000

"""What stands beside a payment: the items of the law by the names of figures, what is missing, and the wording."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from roadster_client.json_text import parse_lenient_json
from roadster_client.models.events import CreditDecision, CustomerEvent, EventOrder, Financing
from roadster_sandbox import SandboxTransport
from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.loading import load
from roadster_server.settings.sections.dealers import DisclosureSettings
from roadster_server.store import NewEvent, open_store
from roadster_tools.toolsets.disclosures import disclose_event
from tests.conftest import CONTACT_KEY, Connect, World, answer_of, response, settings_for, text_of
from tests.server.events.hooks import event
from tests.tool_examples import SOME_VIN

from .umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio

CAR = {**AT_UMAZDA, "vin": SOME_VIN}
WORDING = DisclosureSettings(
    states={"WA": "Washington:  says\n this."}, dealers={"umazda": "And so does University Mazda."}
)
CONFIG = """
[roadster]
base_url = "https://api.example.com/v1"
api_key = "env:ROADSTER_API_KEY"
[dealers.umazda]
[callers.local]
"""


def figures_of(answer: dict[str, Any], deal: str) -> dict[str, Any]:
    """Returns the figures that stand for a deal: its own, those of all deals, and the parts of what is due."""
    return {**answer, **answer[deal], **answer[deal].get("due_at_signing_parts", {})}


@pytest.mark.parametrize("detail", ["brief", "full"])
@pytest.mark.parametrize("trade_in", [None, {"value": 5000, "payoff": 2000}])
async def test_quote_names_each_item_of_the_law_or_says_that_it_is_missing(
    detail: str, trade_in: dict[str, Any] | None, connect: Connect
) -> None:
    async with connect() as client:
        wish = {"trade_in": trade_in} if trade_in else {}
        result = await client.call_tool("quote_payments", {**CAR, **wish, "detail": detail})
    answer = answer_of(result)
    equity = ["trade_equity"] if trade_in else []
    of_finance = ["down_payment", "monthly_payment", "term_months", "apr_percent", "total_cost", *equity]
    of_lease = ["due_at_signing", "monthly_payment", "term_months", "security_deposit", "total_cost", *equity]
    assert answer["disclosures"] == {
        "say": [*of_finance, "due_at_signing", "security_deposit"],
        "missing": ["rate_changes", "end_of_lease_charge"],
    }
    for deal, items in (("finance", of_finance), ("lease", of_lease)):
        for name in items:
            assert isinstance(figures_of(answer, deal)[name], int | float), (deal, name)
    assert f"Say with each payment: {', '.join(answer['disclosures']['say'])}" in text_of(result)
    assert "missing: rate_changes, end_of_lease_charge" in text_of(result)


class QuoteWithout(httpx2.AsyncBaseTransport):
    """The sandbox, whose quotes lack one term of one deal."""

    def __init__(self, world: World, deal: str, term: str) -> None:
        self._sandbox = SandboxTransport(world.app)
        self._deal = deal
        self._term = term

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._sandbox.handle_async_request(request)
        document = parse_lenient_json(b"".join([part async for part in answer.aiter_raw()]))
        if isinstance(document, dict) and "deals" in document:
            del document["deals"][self._deal]["terms"][self._term]
        return response(document, answer.status_code)


@pytest.mark.parametrize(
    ("deal", "term", "item", "place"),
    [
        ("finance", "customer_cash", "down_payment", "down_payment"),
        ("finance", "interest_rate", "apr_percent", "apr_percent"),
        ("finance", "term", "term_months", "term_months (finance)"),
        ("finance", "total_cost_of_ownership", "total_cost", "total_cost (finance)"),
        ("lease", "due_at_signing", "due_at_signing", "due_at_signing"),
        ("lease", "security_deposit_due_at_signing", "security_deposit", "security_deposit"),
        ("lease", "monthly_payment", "monthly_payment", "monthly_payment (lease)"),
    ],
)
async def test_figure_that_roadster_does_not_give_is_missing(
    deal: str, term: str, item: str, place: str, connect: Connect, world: World
) -> None:
    """It is neither left out in silence nor computed from the others. One that the other deal has names its deal."""
    async with connect() as client:
        sound = answer_of(await client.call_tool("quote_payments", CAR))["disclosures"]

    async with connect(upstream=QuoteWithout(world, deal, term)) as client:
        answer = answer_of(await client.call_tool("quote_payments", CAR))
    assert item in sound["say"]
    assert answer["disclosures"]["missing"].count(place) == 1
    assert (item in answer["disclosures"]["say"]) is (place != item), "the other deal may have it"
    assert item not in figures_of(answer, deal)


class LowTotals(httpx2.AsyncBaseTransport):
    """The sandbox, whose totals of some deals are lower by an amount."""

    def __init__(self, world: World, deals: Sequence[str], amount: float) -> None:
        self._sandbox = SandboxTransport(world.app)
        self._deals = deals
        self._amount = amount

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._sandbox.handle_async_request(request)
        document = parse_lenient_json(b"".join([part async for part in answer.aiter_raw()]))
        if isinstance(document, dict) and "deals" in document:
            for deal in self._deals:
                document["deals"][deal]["terms"]["total_cost_of_ownership"] -= self._amount
        return response(document, answer.status_code)


@pytest.mark.parametrize("deals", [["cash"], ["finance"], ["lease"], ["cash", "finance", "lease"]], ids=str)
async def test_a_total_that_is_less_than_what_is_paid_is_doubted_in_its_deal_and_missing(
    deals: list[str], connect: Connect, world: World
) -> None:
    """Nobody knows what it leaves out, so it is no total that the customer pays."""
    async with connect(upstream=LowTotals(world, deals, 5000)) as client:
        result = await client.call_tool("quote_payments", {**CAR, "customer_cash": 1000})
    answer = answer_of(result)
    for deal in ("cash", "finance", "lease"):
        paid = "due_at_signing is" if deal == "cash" else "due_at_signing and the payments are"
        reason = f"is not the total because {paid} more"
        assert answer[deal].get("doubts") == ({"total_cost": reason} if deal in deals else None)
        (line,) = [line for line in text_of(result).split("\n") if line.startswith(f"{deal.capitalize()}: ")]
        assert (f"doubts (total cost {reason})" in line) is (deal in deals)
    payments = [deal for deal in deals if deal != "cash"]
    missing = ["total_cost"] if len(payments) == 2 else [f"total_cost ({deal})" for deal in payments]
    assert [item for item in answer["disclosures"]["missing"] if "total_cost" in item] == missing
    assert ("total_cost" in answer["disclosures"]["say"]) is (len(payments) < 2)


@pytest.mark.parametrize("trade_in", [{"value": 4000, "payoff": 9000}, {"value": 90_000}, {"value": 9000}], ids=str)
async def test_total_of_each_deal_is_at_least_what_is_paid(
    trade_in: dict[str, float], connect: Connect, world: World
) -> None:
    """What is still owed on the old car is paid too. A cent of rounding for each payment is no doubt."""
    async with connect() as client:
        answer = answer_of(await client.call_tool("quote_payments", {**CAR, "trade_in": trade_in}))
    async with connect(upstream=LowTotals(world, ["finance", "lease"], 0.3)) as client:
        rounded = answer_of(await client.call_tool("quote_payments", CAR))
    for deal, months in (("cash", 0), ("finance", 60), ("lease", 35)):
        figures = answer[deal]
        paid = (
            figures["due_at_signing"] + months * figures.get("monthly_payment", 0) - figures.get("due_to_customer", 0)
        )
        assert figures["total_cost"] >= paid - 0.01, deal
    for quote in (answer, rounded):
        assert "total_cost" in quote["disclosures"]["say"]
        assert not any("doubts" in quote[deal] for deal in ("cash", "finance", "lease"))


async def test_wording_is_repeated_word_for_word(connect: Connect) -> None:
    """It is that of the dealer's state, then the dealer's own."""
    async with connect(change={"disclosures": WORDING}) as client:
        ours = await client.call_tool("quote_payments", CAR)
        rows = answer_of(await client.call_tool("list_inventory", {"dealer": "hyundaidemo", "limit": 1}))["vehicles"]
        others = answer_of(await client.call_tool("quote_payments", {"dealer": "hyundaidemo", "vin": rows[0]["vin"]}))
    wording = ["Washington:  says\n this.", "And so does University Mazda."]
    assert answer_of(ours)["disclosures"]["wording"] == wording
    assert "\n".join(wording) in text_of(ours)
    assert "wording" not in others["disclosures"], "the other dealer is in California"


async def test_wording_follows_the_configuration(connect: Connect, store_url: str) -> None:
    live = LiveSettings(settings_for(store_url))
    async with connect(live=live) as client:
        before = answer_of(await client.call_tool("quote_payments", CAR))["disclosures"]
        live.current = live.current.model_copy(update={"disclosures": WORDING})
        after = answer_of(await client.call_tool("quote_payments", CAR))["disclosures"]
    assert "wording" not in before
    assert len(after["wording"]) == 2


async def test_payment_of_an_event_has_its_disclosures(connect: Connect, store_url: str) -> None:
    sample = event()
    sample["order"]["financing"] |= {"type": "lease", "monthly_payment": 301.5, "term": 36}
    await store_event(store_url, sample)
    wish = {**AT_UMAZDA, "customer_id": 2285882}
    async with connect(change={"disclosures": WORDING}) as client:
        deal = answer_of(await client.call_tool("get_customer", wish))
        (full,) = answer_of(await client.call_tool("list_customer_events", {**wish, "detail": "full"}))["events"]
        (brief,) = answer_of(await client.call_tool("list_customer_events", wish))["events"]
    assert deal["disclosures"]["order"] == {
        "say": ["monthly_payment", "term"],
        "missing": ["due_at_signing", "security_deposit", "total_cost", "end_of_lease_charge"],
    }
    assert deal["disclosures"]["credit_decision"]["say"] == ["payment", "term", "rate_percent"]
    assert deal["disclosures"]["wording"] == list(WORDING.states.values()) + list(WORDING.dealers.values())
    assert full["disclosures"] == deal["disclosures"]
    assert "disclosures" not in brief, "it names no payment"


async def store_event(store_url: str, sample: dict[str, Any]) -> None:
    at = datetime.now(UTC)
    new = NewEvent("roadster", "e-1", "x", "umazda", "2285882", None, None, at, json.dumps(sample))
    async with open_store(store_url) as opened:
        await replace(opened, contact_key=CONTACT_KEY).add_events([new], dealers=["umazda"], now=at)


def test_event_without_a_payment_has_no_disclosures() -> None:
    for part in (None, CustomerEvent(), CustomerEvent(order=EventOrder(id="1", financing=Financing(type="cash")))):
        assert disclose_event(part, ["Wording."]) is None


def test_payment_of_unknown_type_has_the_items_of_both() -> None:
    items = disclose_event(CustomerEvent(credit_decision=CreditDecision(payment=300)), ["Wording."])
    assert items == {
        "credit_decision": {
            "say": ["payment"],
            "missing": [
                *("down_payment", "term_months", "apr_percent", "total_cost", "due_at_signing", "security_deposit"),
                *("rate_changes", "end_of_lease_charge"),
            ],
        },
        "wording": ["Wording."],
    }


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ('[disclosures.states]\nCA = "Text."\n', "dealers.umazda.state: is missing, and disclosures.states goes by it"),
        ('[disclosures.dealers]\numazd = "Text."\n', "disclosures.dealers.umazd: unknown dealer"),
        ('[disclosures.states]\nca = "Text."\n', "expected the two capital letters of a state"),
        ('[disclosures.dealers]\numazda = " "\n', "disclosures.dealers.umazda: expected a text"),
    ],
)
def test_wording_that_would_be_left_out_stops_the_start(
    section: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROADSTER_API_KEY", "a-key")
    config = tmp_path / "roadster.toml"
    config.write_text(CONFIG + section)
    with pytest.raises(ConfigurationError) as error:
        load(config)
    assert any(problem in line for line in error.value.problems), error.value.problems

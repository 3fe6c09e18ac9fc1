"""The search for customers by email, phone and name, over events and over customers that the server has created."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mcp import Client
from pydantic import SecretStr

from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.dealers import DealerSettings
from roadster_server.store.lazy import LazyStore
from roadster_tools import Access
from tests.conftest import ALLOWED, Connect, World, answer_of, kind_of, on_both_databases, settings_for, text_of
from tests.server.events.hooks import Hooks, brief_event, change, list_events, receive, tidy
from tests.server.events.test_quarantine import RECORD
from tests.server.store.databases import undo_search
from tests.tool_examples import CUSTOMER_ID, STEVE, TRADED_VIN

pytestmark = pytest.mark.anyio

JOSE = {"id": 77, "first_name": "José María", "last_name": "O'Brien-Núñez", "email": "Jose@Example.com"}
JOSE_PHONES = {"phone": "+1 (415) 555-0123", "mobile": "415.555.0124"}
STEVEN = {
    "id": 78,
    "first_name": "Steven",
    "last_name": "Josephs",
    "email": "steven@example.com",
    "phone": "4155550199",
}


def event_of(customer: Mapping[str, Any], event_id: str, minute: int = 0, **more: Any) -> dict[str, Any]:
    return brief_event(event_id, minute, customer=dict(customer), **more)


async def search(client: Client, **arguments: Any) -> dict[str, Any]:
    return answer_of(await client.call_tool("search_customers", {"dealer": "umazda", **arguments}))


async def ids(client: Client, **arguments: Any) -> list[int | str]:
    return [row["customer_id"] for row in (await search(client, **arguments))["customers"]]


@pytest.fixture
async def two_customers(hooks: Hooks) -> None:
    await hooks.deliver(event_of({**JOSE, **JOSE_PHONES}, "e-1", vehicle={"year": 2025, "make": "Mazda"}))
    await hooks.deliver(event_of(STEVEN, "e-2", 1, kind="customer_started_purchase"))


@on_both_databases
@pytest.mark.parametrize("personal_data", ["masked", "contact"])
async def test_customer_is_found_by_exact_contact_data(
    personal_data: str, two_customers: None, connect: Connect
) -> None:
    async with connect(personal_data=personal_data) as client:
        for email in ("jose@example.com", " JOSE@EXAMPLE.COM "):
            assert await ids(client, email=email) == [77]
        for phone in ("4155550123", "+14155550123", "(415) 555-0123 ext. 9", "1-415-555-0124", "001 415 555 0124"):
            assert await ids(client, phone=phone) == [77], phone
        for other in ({"email": "jose+1@example.com"}, {"email": "jose@example.co"}, {"phone": "+44 4155550123"}):
            answer = await search(client, **other)
            assert answer["customers"] == []
            assert "No customer known here matches" in answer["hint"]
        assert await ids(client, phone="4155550199") == [78]


@on_both_databases
async def test_name_is_found_by_the_beginnings_of_its_words(two_customers: None, connect: Connect) -> None:
    async with connect(personal_data="contact") as client:
        for name in ("José", "jose", "JOSÉ MARÍA", "obrien", "O’Brien Nunez", "nunez jose", "Nuñ mar", "o'b"):
            assert 77 in await ids(client, name=name), name
        assert await ids(client, name="jose") == [77, 78]
        assert await ids(client, name="jose ste") == [78]
        for name in ("ose", "jose x", "brien", "jose steve maria", "example"):
            assert await ids(client, name=name) == [], name


async def test_names_are_only_for_callers_who_may_see_them(two_customers: None, connect: Connect) -> None:
    """This holds for the search and for the list of events."""
    async with connect(personal_data="contact") as client:
        assert await search(client, email=JOSE["email"]) == {
            "customers": [
                {
                    "customer_id": 77,
                    "name": "José María O'Brien-Núñez",
                    "last_event": "customer_saved_vehicle",
                    "last_event_time": "2026-03-01T12:00:00Z",
                    "vehicle": "2025 Mazda",
                }
            ],
            "truncated": False,
        }
        events = (await list_events(connect, {"personal_data": "contact"}))["events"]
        assert [row["customer_name"] for row in events] == ["Steven Josephs", "José María O'Brien-Núñez"]
    async with connect() as client:
        result = await client.call_tool("search_customers", {"dealer": "umazda", "name": "jose"})
        assert kind_of(result) == "refused"
        assert 'callers.tester.personal_data is "masked"' in text_of(result)
        (row,) = (await search(client, email=JOSE["email"]))["customers"]
        assert row.keys() == {"customer_id", "last_event", "last_event_time", "vehicle"}
        answer = await list_events(connect)
        assert all("customer_name" not in row for row in answer["events"])


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"email": " "},
        {"email": "a@example.com", "phone": "4155550123"},
        {"phone": "12"},
        {"name": "- !"},
        {"email": "Steve McQueen"},
        {"name": " ".join(map(str, range(11)))},
    ],
)
async def test_search_takes_exactly_one_argument_that_can_be_searched(
    arguments: dict[str, str], connect: Connect
) -> None:
    async with connect(personal_data="contact") as client:
        result = await client.call_tool("search_customers", {"dealer": "umazda", **arguments})
    assert kind_of(result) == "invalid_arguments"
    assert "McQueen" not in text_of(result)


@on_both_databases
async def test_search_finds_only_customers_of_its_dealer(hooks: Hooks, connect: Connect) -> None:
    """Each pair of dealers has customers with the same contact data."""
    for number, dealer in enumerate(ALLOWED):
        await hooks.deliver(event_of({**STEVEN, "id": 100 + number}, f"e-{number}", dealer={"dpid": dealer}))
    async with connect(personal_data="contact") as client:
        for number, dealer in enumerate(ALLOWED):
            for arguments in ({"email": STEVEN["email"]}, {"phone": STEVEN["phone"]}, {"name": "Steven"}):
                assert await ids(client, **{**arguments, "dealer": dealer}) == [100 + number]
    async with connect(personal_data="contact", dealers=["umazda"]) as client:
        for dealer in ("hyundaidemo", "toyotademo", "nobody"):
            result = await client.call_tool("search_customers", {"dealer": dealer, "email": STEVEN["email"]})
            assert kind_of(result) == "refused"


@on_both_databases
async def test_cursor_leads_through_all_matches_once(hooks: Hooks, connect: Connect) -> None:
    """Some have two words that match, and some have the same name."""
    names = [("Ann", "Anderson"), ("Anna", "Lee"), ("Ann", "Lee"), ("Bo", "Ang"), ("Ann", "Anderson"), ("An", "An")]
    for number, (first, last) in enumerate(names):
        customer = {"id": 100 + number, "first_name": first, "last_name": last}
        for repeat in range(2):
            await hooks.deliver(event_of(customer, f"e-{number}-{repeat}", repeat))
    async with connect(personal_data="contact") as client:
        assert sorted(await ids(client, name="an")) == [100, 101, 102, 103, 104, 105]
        pages, cursor = [], None
        for _ in range(3):
            page = await search(client, name="an", limit=2, cursor=cursor)
            pages += [row["customer_id"] for row in page["customers"]]
            cursor = page.get("next_cursor")
            assert page["truncated"] is (cursor is not None)
        assert sorted(pages) == [100, 101, 102, 103, 104, 105]
        assert cursor is None
        first = (await search(client, name="an", limit=2))["next_cursor"]
        for other in ({"name": "ann"}, {"name": "an", "dealer": "hyundaidemo"}):
            result = await client.call_tool("search_customers", {"dealer": "umazda", "cursor": first, **other})
            assert kind_of(result) == "invalid_arguments"


@on_both_databases
async def test_customer_created_here_is_found_without_an_event(connect: Connect) -> None:
    async with connect(personal_data="contact") as client:
        await client.call_tool("create_customer", {"dealer": "umazda", "customer": STEVE})
        for arguments in ({"email": STEVE["email"]}, {"phone": "(415) 555-6666"}):
            assert (await search(client, **arguments))["customers"] == [{"customer_id": CUSTOMER_ID}]
            assert await ids(client, **{**arguments, "dealer": "hyundaidemo"}) == []
        assert await ids(client, name="McQueen") == []


async def test_account_that_was_there_already_is_not_found_by_another_phone(connect: Connect) -> None:
    """A caller could otherwise make its own number find somebody else."""
    async with connect() as client:
        for phone in (STEVE["phone"], "4155550177"):
            await client.call_tool("create_customer", {"dealer": "umazda", "customer": {**STEVE, "phone": phone}})
        assert await ids(client, phone="4155550177") == []
        assert await ids(client, phone=STEVE["phone"]) == [CUSTOMER_ID]


async def test_customer_of_a_trade_valuation_is_found_by_email(connect: Connect, world: World) -> None:
    async with connect() as client:
        await client.call_tool("create_customer", {"dealer": "hyundaidemo", "customer": STEVE})
        offer = {"dealer": "umazda", "email": STEVE["email"], "vin": TRADED_VIN, "value": 9000}
        id_ = answer_of(await client.call_tool("submit_trade_valuation", offer))["customer_id"]
        assert await ids(client, email=STEVE["email"]) == [id_]


@pytest.mark.parametrize("level", [Access.PREVIEW, Access.CONFIRM])
async def test_write_that_is_not_sent_leaves_nothing_to_find(level: Access, connect: Connect) -> None:
    async with connect(access={"customers": level, "events": Access.READ}) as client:
        await client.call_tool("create_customer", {"dealer": "umazda", "customer": STEVE})
        assert await ids(client, email=STEVE["email"]) == []


@on_both_databases
async def test_forgotten_customer_is_not_found(hooks: Hooks, store: LazyStore, connect: Connect) -> None:
    """Customers with the same data at another dealer stay, and so do other customers."""
    for number, dealer in enumerate(ALLOWED):
        await hooks.deliver(event_of(STEVEN, f"e-{number}", dealer={"dpid": dealer}))
    await hooks.deliver(event_of({**JOSE, **JOSE_PHONES}, "e-9"))
    async with connect(personal_data="contact") as client:
        await client.call_tool("create_customer", {"dealer": "umazda", "customer": STEVE})
        for id_ in (78, CUSTOMER_ID):
            await (await store.open()).forget_customer("umazda", str(id_), RECORD)
        for arguments in ({"email": STEVEN["email"]}, {"phone": STEVEN["phone"]}, {"name": "Steven"}):
            assert await ids(client, **arguments) == []
            assert await ids(client, **{**arguments, "dealer": "hyundaidemo"}) == [78]
        for arguments in ({"email": STEVE["email"]}, {"phone": STEVE["phone"]}):
            assert await ids(client, **arguments) == []
        assert await ids(client, name="jose") == [77]


@on_both_databases
async def test_contact_data_go_with_the_last_event_that_has_them(
    hooks: Hooks, live: LiveSettings, store: LazyStore, connect: Connect
) -> None:
    await hooks.deliver(event_of(STEVEN, "e-1"))
    now = datetime.now(UTC)
    async with connect(personal_data="contact") as client:
        await client.call_tool("create_customer", {"dealer": "umazda", "customer": STEVE})
        searches = ({"email": STEVEN["email"]}, {"phone": STEVEN["phone"]}, {"name": "st"}, {"email": STEVE["email"]})
        await tidy(live, store, now + timedelta(days=29))
        assert [len(await ids(client, **arguments)) for arguments in searches] == [1, 1, 1, 1]
        later = now + timedelta(days=31)
        await receive(store, "e-2", later)
        await tidy(live, store, later)
        assert [len(await ids(client, **arguments)) for arguments in searches] == [0, 0, 0, 0]


@on_both_databases
async def test_customer_in_quarantine_is_found_once_its_dealer_is_known(
    hooks: Hooks, live: LiveSettings, store: LazyStore, connect: Connect
) -> None:
    await hooks.deliver(event_of(STEVEN, "e-1", dealer={"dpid": "nobody"}))
    dealers = {**live.current.dealers, "nobody": DealerSettings()}
    contact = {"personal_data": "contact", "dealers": ["nobody"], "change": {"dealers": dealers}}
    searches = ({"email": STEVEN["email"]}, {"phone": STEVEN["phone"]}, {"name": "Steven"})
    async with connect(**contact) as client:
        assert [await ids(client, dealer="nobody", **arguments) for arguments in searches] == [[], [], []]
        change(live, dealers=dealers)
        await tidy(live, store)
        assert [await ids(client, dealer="nobody", **arguments) for arguments in searches] == [[78], [78], [78]]


@on_both_databases
async def test_events_of_an_older_store_are_found(
    hooks: Hooks, two_customers: None, store_url: str, connect: Connect
) -> None:
    await undo_search(store_url)
    async with connect(personal_data="contact") as client:
        assert await ids(client, phone="4155550124") == [77]
        assert await ids(client, email=STEVEN["email"]) == [78]
        assert await ids(client, name="Josephs") == [78]


@on_both_databases
async def test_new_api_key_finds_the_same_events(two_customers: None, store_url: str, connect: Connect) -> None:
    """A customer who is known only by a hash of the earlier key is missed, and the answer says so."""
    async with connect() as client:
        await client.call_tool("create_customer", {"dealer": "umazda", "customer": STEVE})
    roadster = settings_for(store_url).roadster.model_copy(update={"api_key": SecretStr("a-newer-key")})
    async with connect(change={"roadster": roadster}) as client:
        assert await ids(client, email=JOSE["email"]) == [77]
        assert await ids(client, phone=STEVEN["phone"]) == [78]
        answer = await search(client, email=STEVE["email"])
        assert answer["customers"] == []
        assert "before the API key was changed" in answer["hint"]
    async with connect() as client:
        assert await ids(client, email=JOSE["email"]) == [77]
        assert await ids(client, email=STEVE["email"]) == [CUSTOMER_ID]


@pytest.mark.parametrize(
    "customer",
    [
        {"id": 7, "first_name": ["Steve"], "email": {"a": 1}, "phone": 4155550123},
        {"id": 7, "first_name": "\u0000", "last_name": "x" * 10_000, "email": "@"},
        {"id": 7, "first_name": "- ' .", "email": "a@" + "b" * 5_000, "mobile": "n/a"},
    ],
)
@on_both_databases
async def test_odd_contact_data_lose_no_event(customer: dict[str, Any], hooks: Hooks, connect: Connect) -> None:
    await hooks.deliver(event_of(customer, "e-1"))
    assert [row["customer_id"] for row in (await list_events(connect))["events"]] == [7]


@pytest.mark.parametrize("phone", [4155550123, 4155550123.0])
async def test_phone_that_an_event_has_as_a_number_is_found(phone: float, hooks: Hooks, connect: Connect) -> None:
    await hooks.send(event_of({**JOSE, "phone": phone}, "number"))
    async with connect() as client:
        assert await ids(client, phone="(415) 555-0123") == [77]

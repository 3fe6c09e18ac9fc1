"""The tools, as an assistant uses them: through an MCP client, over the sandbox."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from roadster_server.settings import DealerSettings, UploadSettings
from roadster_tools import TOOLS

from .conftest import LICENCE_PNG, STEVE, Connect, World, answer_of, kind_of, text_of

pytestmark = pytest.mark.anyio

AT_UMAZDA = {"dealer": "umazda"}


async def some_vin(client: Any) -> str:
    found = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "limit": 1}))
    vin: str = found["vehicles"][0]["vin"]
    return vin


async def test_list_dealers_says_who_they_are_without_their_partner_id(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("list_dealers")
    assert [dealer["dpid"] for dealer in answer_of(result)["dealers"]] == ["umazda", "hyundaidemo"] or {
        dealer["dpid"] for dealer in answer_of(result)["dealers"]
    } == {"umazda", "hyundaidemo"}
    assert "51101" not in text_of(result)


async def test_list_dealers_names_a_configured_dealer_that_roadster_does_not_know(connect: Connect) -> None:
    async with connect(dealers=["umazda", "gonedealer"]) as client:
        assert "gonedealer" in answer_of(await client.call_tool("list_dealers"))["hint"]


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        ({"model": "cx-5"}, lambda row: row["model"] == "CX-5"),
        ({"body": "suv"}, lambda row: row["body"] == "SUV"),
        ({"make": "MAZDA"}, lambda row: row["make"] == "Mazda"),
        ({"year_min": 2025}, lambda row: row["year"] >= 2025),
        ({"year_max": 2024}, lambda row: row["year"] <= 2024),
        ({"price_max": 32000}, lambda row: row["price"] <= 32000),
        ({"price_min": 35000, "price_max": 40000}, lambda row: 35000 <= row["price"] <= 40000),
        ({"color": "red"}, lambda row: "red" in row["color"].casefold()),
    ],
)
async def test_each_filter_finds_all_that_match_and_nothing_else(
    wanted: dict[str, Any], holds: Any, connect: Connect
) -> None:
    async with connect() as client:
        everything = await _all_rows(client, {})
        found = await _all_rows(client, wanted)
    assert [row["vin"] for row in found] == [row["vin"] for row in everything if holds(row)]
    assert 0 < len(found) <= len(everything)


async def test_the_cursor_walks_the_whole_inventory_once(connect: Connect) -> None:
    async with connect() as client:
        in_stock = await _all_rows(client, {"limit": 7})
        everything = await _all_rows(client, {"in_stock": False, "limit": 100})
    vins = [row["vin"] for row in everything]
    assert vins == sorted(set(vins))
    assert len(vins) == 200
    assert [row["vin"] for row in in_stock] == [row["vin"] for row in everything if row["in_stock"]]
    assert len(in_stock) < 200


async def _all_rows(client: Any, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, **wanted, **cursor}))
        rows += page["vehicles"]
        assert page["truncated"] is ("next_cursor" in page)
        if not page["truncated"]:
            return rows
        cursor = {"cursor": page["next_cursor"]}


async def test_an_empty_answer_says_what_to_do(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("list_inventory", {**AT_UMAZDA, "make": "Trabant"})
    assert answer_of(result)["vehicles"] == []
    assert "drop a filter" in answer_of(result)["hint"]
    assert answer_of(result)["hint"] in text_of(result)


async def test_a_full_row_has_the_equipment_and_a_brief_one_has_not(connect: Connect) -> None:
    async with connect() as client:
        brief = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "limit": 5}))
        full = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "limit": 5, "detail": "full"}))
    assert [row["vin"] for row in brief["vehicles"]] == [row["vin"] for row in full["vehicles"]]
    assert all("engine" in row and "stock_number" in row for row in full["vehicles"])
    assert not any("engine" in row or "equipment" in row for row in brief["vehicles"])
    assert any(row.get("equipment") for row in full["vehicles"])


async def test_the_text_of_the_inventory_is_complete_for_a_client_without_structured_content(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("list_inventory", AT_UMAZDA)
    found = answer_of(result)
    for row in found["vehicles"]:
        (line,) = [line for line in text_of(result).splitlines() if line.startswith(row["vin"])]
        assert row["model"] in line
        assert row["color"] in line
        assert f"{row['price']:,.2f}".removesuffix(".00") in line
    assert found["next_cursor"] in text_of(result)


async def test_a_price_filter_leaves_out_vehicles_without_a_price_and_says_so(connect: Connect) -> None:
    """The reference's feed has no prices; only some dealers' feeds do."""

    class Unpriced(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, stream=httpx2.ByteStream(b'{"vehicles": [{"vin": "A"}], "total": 1}'))

    async with connect(upstream=Unpriced()) as client:
        found = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "price_max": 30000}))
    assert found["vehicles"] == []
    assert found["hint"].startswith("Left out for want of a price in the feed: 1")


async def test_get_vehicle_says_consumption(connect: Connect) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        found = answer_of(await client.call_tool("get_vehicle", {**AT_UMAZDA, "vin": vin.lower()}))
    assert found["vin"] == vin
    assert found["make"] == "Mazda"
    assert found.get("city_mpg") or found.get("ev_range_miles")


async def test_a_vin_of_another_dealer_is_not_found(connect: Connect) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        elsewhere = await client.call_tool("get_vehicle", {"dealer": "hyundaidemo", "vin": vin})
    assert kind_of(elsewhere) == "not_found"


@pytest.mark.parametrize("vin", ["", "JM1", "JM1NDAM77K030640O", "JM1NDAM77K0306400X", "../dealers", 17, None])
async def test_what_cannot_be_a_vin_is_refused_without_a_request(vin: Any, connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("get_vehicle", {**AT_UMAZDA, "vin": vin})
    assert kind_of(result) == "invalid_arguments"
    assert "vin" in text_of(result)
    assert await world.requests() == []


async def test_a_quote_gives_three_deals_side_by_side_with_rates_in_named_units(connect: Connect) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": vin})
    quote = answer_of(result)
    finance, lease = quote["finance"], quote["lease"]
    assert 0 < finance["apr_percent"] < 30
    assert 0 < lease["money_factor"] < 0.02
    rate = finance["apr_percent"] / 1200
    payment = finance["total_financed"] * rate / (1 - (1 + rate) ** -finance["term_months"])
    assert finance["monthly_payment"] == pytest.approx(payment, abs=0.02)
    assert quote["cash"]["due_at_signing"] > quote["cash"]["price"] * 0.8
    for deal in ("Cash", "Finance", "Lease"):
        assert f"\n{deal}: " in text_of(result)
    assert f"{finance['monthly_payment']:,.2f}".removesuffix(".00") in text_of(result)
    assert "estimate" in quote["caveat"]


async def test_a_full_quote_has_every_term_and_normalised_programs(connect: Connect) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        full = answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": vin, "detail": "full"}))
    details = full["details"]
    assert details["terms"]["finance"]["interest_rate_percent"] == full["finance"]["apr_percent"]
    assert not any(name.endswith("_rate") for terms in details["terms"].values() for name in terms)
    assert all(0.2 < offer["apr_percent"] < 30 for offer in details["finance_programs"])
    assert all(offer["money_factor"] < 0.02 for offer in details["lease_programs"])


async def test_terms_of_the_caller_change_the_quote(connect: Connect, world: World) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        wanted = {"deal_type": "finance", "term_months": 36, "customer_cash": 4000, "credit_score": 800}
        quote = answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": vin, **wanted}))
    assert quote["finance"]["term_months"] == 36
    sent = (await world.requests())[-1]["body"]
    assert sent["payment"] == {"deal_type": "finance", "term": 36, "customer_cash": 4000.0}
    assert sent["customer"] == {"credit_score": 800}


async def test_a_second_customer_with_the_same_email_is_the_first(connect: Connect, world: World) -> None:
    async with connect() as client:
        first = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
        again = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
    assert first["duplicate"] is False
    assert again == {**first, "duplicate": True}
    assert len((await world.get("state"))["customers"]) == 1


async def test_a_customer_carries_the_whole_documented_request(connect: Connect, world: World) -> None:
    """Everything that the reference's sample sends can be said to the tool."""
    wish = {
        "vehicle": {"vin": "4T1C11AK0LU322811", "make": "Toyota", "model": "Camry", "trim": "LE", "year": 2020},
        "payment": {"deal_type": "lease", "lease_down": 1500, "lease_months": 36, "lease_miles": 10000},
        "plans": [{"id": 6160, "code": "RBX301", "tier": "5R"}],
        "accessories": [{"code": "MAX900"}],
        "analytics": {"utm_source": "roadster-api", "utm_medium": "email", "utm_campaign": "2021 retargeting"},
        "checkout": False,
    }
    async with connect() as client:
        answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE, **wish}))
    (sent,) = await world.requests()
    assert sent["body"] == {"customer": STEVE, "dealer": {"dpid": "umazda"}, **wish}


@pytest.mark.parametrize("missing", ["first_name", "last_name", "email"])
async def test_a_customer_without_what_is_required_is_refused_here(
    missing: str, connect: Connect, world: World
) -> None:
    async with connect() as client:
        customer = {key: value for key, value in STEVE.items() if key != missing}
        result = await client.call_tool("create_customer", {**AT_UMAZDA, "customer": customer})
    assert kind_of(result) == "invalid_arguments"
    assert f"customer.{missing}" in text_of(result)
    assert await world.requests() == []


async def test_an_invalid_argument_is_named_and_its_value_is_not_repeated(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool(
            "create_customer",
            {**AT_UMAZDA, "customer": {**STEVE, "email": "carlos.silva.at.example", "ssn": "123-34-4567"}},
        )
    assert kind_of(result) == "invalid_arguments"
    assert "customer.email" in text_of(result)
    assert "customer.ssn" in text_of(result)
    assert "carlos" not in text_of(result)
    assert "4567" not in text_of(result)


async def test_a_document_goes_into_the_binder(connect: Connect, world: World) -> None:
    async with connect() as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
        uploaded = answer_of(
            await client.call_tool("upload_document", {**_document(customer["customer_id"]), "contents": LICENCE_PNG})
        )
        listed = answer_of(
            await client.call_tool("list_documents", {**AT_UMAZDA, "customer_id": customer["customer_id"]})
        )
        none = await client.call_tool(
            "list_documents", {**AT_UMAZDA, "customer_id": customer["customer_id"], "binder": "deal_docs"}
        )
    (kept,) = (await world.get("state"))["documents"]
    assert [row["document_id"] for row in listed["documents"]] == [uploaded["document_id"]]
    assert answer_of(none) == {"documents": []}
    assert kept["id"] == uploaded["document_id"]
    assert kept["size"] == len(base64.b64decode(LICENCE_PNG))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"contents": base64.b64encode(b"<html>").decode()}, "contents"),
        ({"contents": "not base64!"}, "contents"),
        ({"contents": None}, "contents"),
        ({"contents": base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 1024 * 1024).decode()}, "contents"),
        ({"file_name": "license.pdf"}, "file_name"),
        ({"file_name": "license.exe"}, "file_name"),
        ({"file_name": "../license.png"}, "file_name"),
        ({"relationship": None}, "relationship"),
        ({"relationship": "co_app"}, "co_app_email_id"),
        ({"co_app_email_id": "testcoapp@gmail.com"}, "co_app_email_id"),
        ({"document_type": "passport"}, "document_type"),
        ({"path": "license.png"}, "contents"),
        ({"contents": None, "path": "license.png"}, "path"),
    ],
)
async def test_a_document_that_would_be_refused_is_refused_here(
    changes: dict[str, Any], named: str, connect: Connect, world: World
) -> None:
    async with connect() as client:
        result = await client.call_tool("upload_document", {**_document(1650260), "contents": LICENCE_PNG, **changes})
    assert kind_of(result) == "invalid_arguments"
    assert f"{named}:" in text_of(result)
    assert await world.requests() == []


def _document(customer_id: int) -> dict[str, Any]:
    return {
        **AT_UMAZDA,
        "customer_id": customer_id,
        "document_type": "license",
        "document_name": "DL Front",
        "file_name": "license front.png",
        "relationship": "self",
    }


async def test_a_local_file_is_taken_from_the_configured_folder_alone(
    connect: Connect, world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "license.png").write_bytes(base64.b64decode(LICENCE_PNG))
    (tmp_path / "secret.png").write_bytes(base64.b64decode(LICENCE_PNG))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    async with connect(change={"uploads": UploadSettings(folder=folder)}) as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
        document = _document(customer["customer_id"])
        answer_of(await client.call_tool("upload_document", {**document, "path": "license.png"}))
        sent = len(await world.requests())
        for path in (
            "../secret.png",
            str(tmp_path / "secret.png"),
            "link.png",
            "nothing.png",
            ".",
            "",
            "a\0b",
            "/dev/zero",
        ):
            result = await client.call_tool("upload_document", {**document, "path": path})
            assert kind_of(result) == "invalid_arguments", path
            assert "secret" not in text_of(result)
    assert len(await world.requests()) == sent


async def test_a_link_to_a_vehicle_is_made_upstream(connect: Connect, world: World) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        found = answer_of(await client.call_tool("build_deep_link", {**AT_UMAZDA, "vin": vin}))
    assert vin in found["url"]
    assert (await world.requests())[-1]["operation"] == "create_link"


async def test_a_customers_link_is_made_here_and_tells_nothing_in_the_open(connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("build_deep_link", {**AT_UMAZDA, "vin": "JM1NDAM77K0306400", "customer": STEVE})
    url = urlsplit(answer_of(result)["url"])
    assert url.netloc == "express.umazda.com"
    assert parse_qs(url.query).keys() == {"mem"}
    assert await world.requests() == []
    for value in STEVE.values():
        assert value not in text_of(result)


@pytest.mark.parametrize(
    "arguments", [{}, {"customer": STEVE}, {"vin": "JM1NDAM77K0306400", "customer": STEVE, "analytics": {}}]
)
async def test_a_link_without_what_it_needs_is_refused(arguments: dict[str, Any], connect: Connect) -> None:
    async with connect() as client:
        assert kind_of(await client.call_tool("build_deep_link", {**AT_UMAZDA, **arguments})) == "invalid_arguments"


async def test_an_encrypted_link_without_a_key_names_the_setting(connect: Connect) -> None:
    dealers = {"umazda": DealerSettings(express_host="express.umazda.com")}
    async with connect(change={"dealers": dealers}, dealers=["umazda"]) as client:
        result = await client.call_tool("build_deep_link", {"vin": "JM1NDAM77K0306400", "customer": STEVE})
    assert kind_of(result) == "not_configured"
    assert "dealers.umazda.link_key" in text_of(result)


@pytest.mark.parametrize("tool", TOOLS)
async def test_no_tool_takes_an_argument_that_it_does_not_know(tool: str, connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool(tool, {"dealer": "umazda", "overrule": True})
    assert kind_of(result) == "invalid_arguments"
    assert "overrule" in text_of(result)
    assert await world.requests() == []


async def test_a_prompt_is_filled_in(connect: Connect) -> None:
    async with connect() as client:
        assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["work_a_lead"]
        filled = await client.get_prompt("work_a_lead", {"dealer": "umazda", "request": "a red {car}"})
    assert "a red {car}" in filled.messages[0].content.text  # type: ignore[union-attr]

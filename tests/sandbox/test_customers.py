"""Customers, links, trade-in offers and documents."""

from __future__ import annotations

import hashlib

import pytest

from .conftest import (
    AT_UMAZDA,
    CUSTOMER,
    DOCUMENT,
    TRADE,
    ask,
    first_vin,
    post,
    read_log,
    read_state,
)

pytestmark = pytest.mark.anyio


async def test_known_email_is_a_duplicate_at_its_dealer(http):
    """The second request returns the first id, for the address in any case. Another dealer gets a new customer."""
    first = await post(http, "/customers", customer=CUSTOMER)
    again = await post(http, "/customers", customer={**CUSTOMER, "email": "Steve.McQueen@Example.com"})
    elsewhere = await post(http, "/customers", customer=CUSTOMER, dealer={"partner_id": "CA317"})
    assert "duplicate" not in first
    assert again == first | {"duplicate": True}
    assert elsewhere["customer"]["id"] == 1650261
    assert [customer["dpid"] for customer in (await read_state(http))["customers"]] == ["umazda", "hyundaidemo"]


async def test_link_of_a_customer_leads_to_the_vehicle(http):
    """The parameter ucid holds the customer's id, and the analytics follow it."""
    vin = await first_vin(http)
    answer = await post(http, "/customers", customer=CUSTOMER, vehicle={"vin": vin}, analytics={"utm_source": "a b"})
    url = f"https://express.umazda.com/express/{vin}?ucid=1650260&utm_source=a%20b"
    assert answer["customer"]["redirect_url"] == url


async def test_state_and_log_show_the_digest_of_a_document(http):
    """The contents appear in neither."""
    await post(http, "/customers", customer=CUSTOMER)
    await post(http, "/customers/1650260/documents", **DOCUMENT)
    [document] = (await read_state(http))["documents"]
    digest = hashlib.sha256(b"%PDF-1.7 a page").hexdigest()
    assert document == {
        "id": 1602287,
        "dpid": "umazda",
        "customer_id": 1650260,
        "document_name": "DL Front",
        "document_type": "license",
        "file_name": "license front.png",
        "relationship": "self",
        "sha256": digest,
        "size": 15,
    }
    entry = (await read_log(http))[-1]
    assert entry["body"]["contents"] == f"sha256:{digest}"


async def test_agent_is_assigned_and_replaced(http):
    """The state has the newest agent, and the answer is the customer."""
    await post(http, "/customers", customer=CUSTOMER)
    for agent in ({"id": "ID9876"}, {"email": "natalie.wood@example.com"}):
        answer = await ask(http, "PUT", "/customers", {**AT_UMAZDA, "agent": agent}, id=1650260)
        assert answer.json() == {"status": "ok", "customer": {**CUSTOMER, "phone": None}}
    assert (await read_state(http))["customers"][0]["agent"] == {"email": "natalie.wood@example.com"}


async def test_trade_in_offer_is_unique_by_customer_and_vin(http):
    """A second valuation updates it, also for the email in capitals. A new email makes a customer."""
    customer = (await post(http, "/customers", customer=CUSTOMER))["customer"]
    first = await post(http, "/create_tradein_offer", **TRADE)
    again = await post(http, "/create_tradein_offer", **{**TRADE, "email": "STEVE.McQueen@example.com"}, mileage=7)
    assert first == again
    assert first["customer"]["id"] == customer["id"]
    other = await post(http, "/create_tradein_offer", **{**TRADE, "email": "ali@example.com"})
    assert other["customer"] == {
        "id": 1650261,
        "redirect_url": "https://express.umazda.com/inventory?ucid=1650261",
    }
    offers = (await read_state(http))["trade_offers"]
    assert [(offer["customer_id"], offer["value"], offer.get("mileage")) for offer in offers] == [
        (1650260, 9000, 7),
        (1650261, 9000, None),
    ]


async def test_deleted_document_is_gone_and_its_id_used_up(http):
    """A request with one unknown id deletes nothing."""
    await post(http, "/customers", customer=CUSTOMER)
    path = "/customers/1650260/documents"
    first, second = [(await post(http, path, **DOCUMENT))["document_id"] for _ in range(2)]
    refusal = await ask(http, "DELETE", path, {**AT_UMAZDA, "doc_ids": [second, 99]})
    assert (refusal.status_code, len((await read_state(http))["documents"])) == (404, 2)
    assert (await ask(http, "DELETE", path, {**AT_UMAZDA, "doc_ids": [second]})).status_code == 200
    assert [document["id"] for document in (await read_state(http))["documents"]] == [first]
    assert (await ask(http, "GET", f"{path}/content", AT_UMAZDA, doc_id=second)).status_code == 404
    assert (await post(http, path, **DOCUMENT))["document_id"] == second + 1


async def test_foreign_customer_and_documents_are_unknown(http):
    """A request at the wrong dealer gets a 404 without a body, and changes nothing."""
    await post(http, "/customers", customer=CUSTOMER)
    await post(http, "/customers/1650260/documents", **DOCUMENT)
    before = await read_state(http)
    foreign = {"dealer": {"dpid": "hyundaidemo"}}
    for answer in (
        await ask(http, "PUT", "/customers", {**foreign, "agent": {"id": "x"}}, id=1650260),
        await ask(http, "PUT", "/customers", {**AT_UMAZDA, "agent": {"id": "x"}}, id=99),
        await ask(http, "GET", "/customers/1650260/documents/content", foreign, doc_id=1602287),
        await ask(http, "DELETE", "/customers/1650260/documents", {**foreign, "doc_ids": [1602287]}),
        await ask(http, "POST", "/create_tradein_offer", {**TRADE, "dpid": "nobody"}),
        await ask(http, "GET", "/dealers/nobody", None),
    ):
        assert (answer.status_code, answer.content) == (404, b"")
    assert await read_state(http) == before


async def test_foreign_customer_gets_no_document(http):
    """A customer of another dealer is as unknown as an id that never existed. Nothing is stored."""
    await post(http, "/customers", customer=CUSTOMER)
    foreign = {**DOCUMENT, "dealer": {"dpid": "hyundaidemo"}}
    for path in ("/v1/customers/1650260/documents", "/v1/customers/99/documents", "/v1/customers/x/documents"):
        answer = await http.post(path, json=foreign)
        assert (answer.status_code, answer.content) == (404, b"")
    assert (await read_state(http))["documents"] == []


async def test_state_shows_a_link_with_its_dealer(http):
    """A link to a model tells if one is in stock."""
    answer = await post(http, "/links", vehicle={"make": "mazda", "model": "CX-5"})
    assert answer["vehicle"] == {"price_locked": True, "in_stock": True, "grade": "new"}
    [link] = (await read_state(http))["links"]
    assert link["dpid"] == "umazda"
    assert link["redirect_url"] == "https://express.umazda.com/inventory?make=mazda&model=CX-5"


async def test_link_to_a_foreign_vehicle_is_not_in_stock(http):
    """The link is created all the same."""
    vin = await first_vin(http, "toyotademo")
    assert (await post(http, "/links", vehicle={"vin": vin}))["vehicle"]["in_stock"] is False

"""The answers have the shapes of the reference's samples, and the client's models read them."""

from __future__ import annotations

import pytest

from roadster_client.models.customers import CustomerCreated, CustomerUpdated
from roadster_client.models.dealers import Dealer, DealerDetails
from roadster_client.models.documents import DocumentContents, DocumentsDeleted, DocumentUploaded
from roadster_client.models.links import LinkCreated
from roadster_client.models.plans import PlanCatalogue
from roadster_client.models.quotes import Quote
from roadster_client.models.trades import TradeValued
from roadster_client.models.values import decode_file
from roadster_client.models.vehicles import InventoryPage, VehicleDetails

from .conftest import (
    AT_UMAZDA,
    CUSTOMER,
    DOCUMENT,
    TRADE,
    ask,
    field_paths,
    first_vin,
    get,
    post,
    read_sample,
    read_stock,
)

pytestmark = pytest.mark.anyio


async def test_answers_parse_with_the_clients_models(http):
    """The client's model of each operation reads its answer."""
    vin = await first_vin(http)
    dealers = [Dealer.model_validate(dealer) for dealer in await get(http, "/dealers")]
    assert [dealer.dpid for dealer in dealers] == ["umazda", "hyundaidemo", "toyotademo"]
    assert dealers[1].zip_code == "93313"
    assert len(InventoryPage.model_validate(await get(http, "/vehicles", dpid="umazda")).vehicles) == 100
    details = await get(http, f"/vehicles/{vin}", **{"dealer[partner_id]": "51101"})
    assert VehicleDetails.model_validate(details).vehicle_info.make == "Mazda"
    assert Quote.model_validate(await post(http, "/payments", customer={}, vehicle={"vin": vin})).deals.lease
    assert LinkCreated.model_validate(await post(http, "/links", vehicle={"vin": vin})).status == "ok"
    creation = CustomerCreated.model_validate(await post(http, "/customers", customer=CUSTOMER))
    assert creation.customer.id == 1650260
    upload = await post(http, "/customers/1650260/documents", **DOCUMENT)
    assert DocumentUploaded.model_validate(upload).document_id == 1602287
    configuration = DealerDetails.model_validate(await get(http, "/dealers/umazda")).configuration
    assert configuration
    assert configuration.markups[0].make == "All"
    plans = await get(http, "/plans", **{"dealer[partner_id]": "51101", "vin": vin, "deal_type": "cash"})
    assert [plan.id for plan in PlanCatalogue.model_validate(plans).plans] == [6160, 1614, 1619]
    valuation = await post(http, "/create_tradein_offer", **TRADE)
    assert TradeValued.model_validate(valuation).customer.id == 1650260
    update = await ask(http, "PUT", "/customers", {**AT_UMAZDA, "agent": {"id": 9876}}, id=1650260)
    assert CustomerUpdated.model_validate(update.json()).status == "ok"
    contents = await ask(http, "GET", "/customers/1650260/documents/content", AT_UMAZDA, doc_id=1602287)
    assert decode_file(DocumentContents.model_validate(contents.json()).contents) == b"%PDF-1.7 a page"
    deletion = await ask(http, "DELETE", "/customers/1650260/documents", {**AT_UMAZDA, "doc_ids": [1602287]})
    assert DocumentsDeleted.model_validate(deletion.json()).message == "Successfully deleted document"


async def test_quote_has_every_field_of_the_sample(http):
    """It has 46, 69 and 85 terms, the data and the programs, field by field."""
    vehicle = next(v for v in await read_stock(http) if v["dealer_options"] and v["model"] == "CX-5")
    order = {**read_sample("payments.req.json"), "vehicle": {"vin": vehicle["vin"]}}
    quote = await post(http, "/payments", **order)
    assert field_paths(read_sample("payments.resp.json")) - field_paths(quote) == set()
    assert [len(quote["deals"][deal]["terms"]) for deal in ("cash", "finance", "lease")] == [46, 69, 85]


async def test_feed_and_details_have_the_fields_of_the_sample(http):
    """The feed also has type, MSRP and price. The details also have the VIN."""
    vehicles = await read_stock(http, "hyundaidemo")
    full = next(v for v in vehicles if v["packages"] and v["options"] and v["dealer_options"])
    sample = field_paths(read_sample("inventory.resp.json")["vehicles"])
    assert field_paths(full) - sample == {"type", "msrp", "price"}
    assert sample - field_paths(full) == set()
    details = await get(http, f"/vehicles/{full['vin']}", **{"dealer[partner_id]": "CA317"})
    assert field_paths(details) - field_paths(read_sample("vehicle_details.resp.json")) == {"vehicle_info.vin"}


async def test_dealer_and_plans_have_the_fields_of_the_sample(http):
    """A plan also has the code that requests name."""
    assert field_paths(await get(http, "/dealers/hyundaidemo")) == field_paths(read_sample("dealer_config.resp.json"))
    query = {"dealer[partner_id]": "51101", "vin": await first_vin(http), "deal_type": "cash"}
    plans = field_paths(await get(http, "/plans", **query))
    assert plans == field_paths(read_sample("plans.resp.json")) | {"plans.code"}


async def test_deals_and_programs_have_the_documented_units(http):
    """A rate is a fraction in a deal and percent in a program. A program shows a money factor times 1000."""
    quote = await post(http, "/payments", customer={}, vehicle={"vin": await first_vin(http)})
    deals, programs = quote["deals"], quote["programs"]
    assert programs["cash"]["deal_type"] == "finance"
    sixty = next(p for p in programs["finance"] if (p["term"], p["min_score"]) == (60, 720))
    assert sixty["interest_rate"] / 100 == pytest.approx(deals["finance"]["terms"]["interest_rate"])
    thirty_six = next(p for p in programs["lease"] if (p["term"], p["min_score"]) == (36, 720))
    assert thirty_six["money_factor"] / 1000 == pytest.approx(deals["lease"]["terms"]["money_factor"])


async def test_requests_of_the_samples_are_accepted(http):
    """A documented request is refused only for a VIN that no dealer has."""
    assert (await http.post("/v1/payments", json=read_sample("payments.req.json"))).status_code == 404
    assert (await http.post("/v1/customers", json=read_sample("customers_create.req.json"))).status_code == 200
    assert (await http.post("/v1/create_tradein_offer", json=read_sample("trade.req.json"))).status_code == 200
    agent = read_sample("customers_update.req.json")
    assert (await ask(http, "PUT", "/customers", agent, id=1650260)).status_code == 200
    for method, path, name in (("GET", "/content", "docs_content"), ("DELETE", "", "docs_delete")):
        body = read_sample(f"{name}.req.json")
        answer = await ask(http, method, f"/customers/1650260/documents{path}", body, doc_id=1)
        assert answer.status_code == 404
    link = await http.post("/v1/links", json=read_sample("links.req.json"))
    assert link.json()["vehicle"]["in_stock"] is False
    assert link.json()["link"]["redirect_url"] == (
        "https://express.umazda.com/express/4T1C11AK0LU322811"
        "?utm_source=roadster-api&utm_medium=email&utm_campaign=2021%20retargeting"
    )

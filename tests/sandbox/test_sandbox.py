"""The sandbox answers as the documents say, the same every time, and goes wrong when it is told to."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import anyio
import httpx2
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from roadster_client import OPERATIONS
from roadster_client.models.customers import CustomerCreated, CustomerUpdated
from roadster_client.models.dealers import Dealer, DealerDetails
from roadster_client.models.documents import DocumentContents, DocumentsDeleted, DocumentUploaded
from roadster_client.models.links import LinkCreated
from roadster_client.models.plans import PlanCatalogue
from roadster_client.models.quotes import Quote
from roadster_client.models.templates import Template, TemplateReceipt
from roadster_client.models.trades import TradeValued
from roadster_client.models.values import file_bytes
from roadster_client.models.vehicles import InventoryPage, VehicleDetails
from roadster_sandbox import API_KEY, BASE_PATHS, DEALERS, SandboxTransport, create_app, vin_check_digit
from roadster_sandbox.http.server import server_config
from tests.conftest import SAMPLES

pytestmark = pytest.mark.anyio

ROADSTER = BASE_PATHS["roadster"]
UMAZDA, HYUNDAI, TOYOTA = DEALERS
PDF = base64.b64encode(b"%PDF-1.7 a page").decode()
CUSTOMER = {"first_name": "Steve", "last_name": "McQueen", "email": "steve.mcqueen@example.com"}
DOCUMENT = {
    "document_name": "DL Front",
    "document_type": "license",
    "file_name": "license front.png",
    "relationship": "self",
    "contents": PDF,
}

CREATED = ("customers", "documents", "trade_offers", "links", "templates", "forms", "shipments")
AT_UMAZDA = {"dealer": {"dpid": "umazda"}}
TRADE = {"dpid": "umazda", "email": CUSTOMER["email"], "vin": "4T1C11AK0LU322811", "value": 9000}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def client(seed: int = 7) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url="http://sandbox",
        headers={"authorization": f"Bearer {API_KEY}"},
        transport=SandboxTransport(create_app(seed)),
    )


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with client() as opened:
        yield opened


async def get(http: httpx2.AsyncClient, path: str, **query: Any) -> Any:
    answer = await http.get(ROADSTER + path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def post(http: httpx2.AsyncClient, path: str, **body: Any) -> Any:
    answer = await http.post(ROADSTER + path, json={"dealer": {"dpid": "umazda"}, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ask(http: httpx2.AsyncClient, method: str, path: str, body: Any, **query: Any) -> httpx2.Response:
    return await http.request(method, ROADSTER + path, json=body, params=query)


async def stock(http: httpx2.AsyncClient, dpid: str = "umazda") -> list[Any]:
    return (await get(http, "/vehicles", dpid=dpid, size=500, in_stock="any"))["vehicles"]


async def first_vin(http: httpx2.AsyncClient, dpid: str = "umazda") -> str:
    return (await stock(http, dpid))[0]["vin"]


async def fault(http: httpx2.AsyncClient, operation: str, kind: str, **more: Any) -> None:
    ordered = await http.post("/__sandbox/faults", json={"operation": operation, "fault": kind, **more})
    assert ordered.status_code == 200, ordered.text


async def state(http: httpx2.AsyncClient) -> Any:
    return (await http.get("/__sandbox/state")).json()


def fields(sample: Any, prefix: str = "") -> set[str]:
    """The paths of all fields below `sample`, lists entered at their first item."""
    if isinstance(sample, list):
        return fields(sample[0], prefix) if sample else set()
    if isinstance(sample, dict):
        return {
            path for name, value in sample.items() for path in {f"{prefix}{name}"} | fields(value, f"{prefix}{name}.")
        }
    return set()


def read_sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


class TestWorld:
    async def test_two_worlds_of_one_seed_are_equal(self):
        """A seed decides every vehicle, down to VIN and price."""
        async with client(3) as one, client(3) as other, client(4) as different:
            assert await stock(one) == await stock(other)
            assert await stock(one) != await stock(different)

    async def test_every_vin_is_valid_and_unique_over_all_dealers(self, http):
        """Check digit, characters and uniqueness hold for all 600 vehicles."""
        vins = [vehicle["vin"] for dealer in DEALERS for vehicle in await stock(http, dealer.dpid)]
        assert len(vins) == len(set(vins)) == 600
        assert all(vin[8] == vin_check_digit(vin) for vin in vins)

    @pytest.mark.parametrize("dealer", DEALERS, ids=lambda dealer: dealer.dpid)
    async def test_each_model_is_there_often_enough_and_some_vehicles_are_not_for_sale(self, http, dealer):
        """Every model line has at least 20 vehicles; a few vehicles are out of stock, a few reserved."""
        vehicles = await stock(http, dealer.dpid)
        models = [vehicle["model"] for vehicle in vehicles]
        assert min(models.count(model) for model in models) >= 20
        assert {vehicle["make"] for vehicle in vehicles} == {dealer.make}
        assert 0 < sum(not vehicle["in_stock"] for vehicle in vehicles) < 40
        assert 0 < sum(vehicle["reserved"] for vehicle in vehicles) < 40

    async def test_msrp_is_base_destination_and_extras(self, http):
        """The prices of a quote add up to the MSRP that the feed shows."""
        for vehicle in (await stock(http, "hyundaidemo"))[:20]:
            body = {"customer": {}, "dealer": {"dpid": "hyundaidemo"}, "vehicle": {"vin": vehicle["vin"]}}
            prices = (await post(http, "/payments", **body))["deals"]["cash"]["data"]["vehicle"]["prices"]
            parts = ("base", "destination", "colors", "packages", "options")
            assert sum(prices[part] for part in parts) == vehicle["msrp"]

    @given(st.text("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", min_size=17, max_size=17), st.integers(0, 16))
    def test_the_check_digit_notices_each_wrong_digit(self, vin, position):
        """Changing one figure by one always changes the check digit, except at its own place, which does not count."""
        if vin[position].isdigit():
            changed = f"{vin[:position]}{(int(vin[position]) + 1) % 10}{vin[position + 1 :]}"
            same = vin_check_digit(vin) == vin_check_digit(changed)
            assert same == (position == 8)

    @pytest.mark.parametrize("vin", ["1M8GDM9AXKP042788", "11111111111111111"])
    def test_known_vins_have_their_check_digit(self, vin):
        """The two examples that the standard's literature uses."""
        assert vin_check_digit(vin) == vin[8]

    @pytest.mark.parametrize("vin", ["", "1M8GDM9AXKP04278", "1M8GDM9AXKPO42788"])
    def test_what_is_no_vin_has_no_check_digit(self, vin):
        """Wrong lengths and the letters I, O, Q are refused."""
        with pytest.raises(ValueError, match="17 characters"):
            vin_check_digit(vin)


class TestShapes:
    async def test_every_answer_parses_with_the_clients_models(self, http):
        """Each operation answers what its model reads."""
        vin = await first_vin(http)
        dealers = [Dealer.model_validate(dealer) for dealer in await get(http, "/dealers")]
        assert [dealer.dpid for dealer in dealers] == ["umazda", "hyundaidemo", "toyotademo"]
        assert dealers[1].zip_code == "93313"
        assert len(InventoryPage.model_validate(await get(http, "/vehicles", dpid="umazda")).vehicles) == 100
        details = await get(http, f"/vehicles/{vin}", **{"dealer[partner_id]": "51101"})
        assert VehicleDetails.model_validate(details).vehicle_info.make == "Mazda"
        assert Quote.model_validate(await post(http, "/payments", customer={}, vehicle={"vin": vin})).deals.lease
        assert LinkCreated.model_validate(await post(http, "/links", vehicle={"vin": vin})).status == "ok"
        created = CustomerCreated.model_validate(await post(http, "/customers", customer=CUSTOMER))
        assert created.customer.id == 1650260
        uploaded = await post(http, "/customers/1650260/documents", **DOCUMENT)
        assert DocumentUploaded.model_validate(uploaded).document_id == 1602287
        configuration = DealerDetails.model_validate(await get(http, "/dealers/umazda")).configuration
        assert configuration
        assert configuration.markups[0].make == "All"
        plans = await get(http, "/plans", **{"dealer[partner_id]": "51101", "vin": vin, "deal_type": "cash"})
        assert [plan.id for plan in PlanCatalogue.model_validate(plans).plans] == [6160, 1614, 1619]
        valued = await post(http, "/create_tradein_offer", **TRADE)
        assert TradeValued.model_validate(valued).customer.id == 1650260
        updated = await ask(http, "PUT", "/customers", {**AT_UMAZDA, "agent": {"id": 9876}}, id=1650260)
        assert CustomerUpdated.model_validate(updated.json()).status == "ok"
        contents = await ask(http, "GET", "/customers/1650260/documents/content", AT_UMAZDA, doc_id=1602287)
        assert file_bytes(DocumentContents.model_validate(contents.json()).contents) == b"%PDF-1.7 a page"
        deleted = await ask(http, "DELETE", "/customers/1650260/documents", {**AT_UMAZDA, "doc_ids": [1602287]})
        assert DocumentsDeleted.model_validate(deleted.json()).message == "Successfully deleted document"

    async def test_a_quote_has_every_field_of_the_reference(self, http):
        """46, 69 and 85 terms, the data and the programs, field by field as in the sample."""
        vehicle = next(v for v in await stock(http) if v["dealer_options"] and v["model"] == "CX-5")
        order = {**read_sample("payments.req.json"), "vehicle": {"vin": vehicle["vin"]}}
        quote = await post(http, "/payments", **order)
        assert fields(read_sample("payments.resp.json")) - fields(quote) == set()
        assert [len(quote["deals"][deal]["terms"]) for deal in ("cash", "finance", "lease")] == [46, 69, 85]

    async def test_feed_and_details_have_the_fields_of_the_reference(self, http):
        """The feed also carries type, MSRP and price; the details also carry the VIN."""
        vehicles = await stock(http, "hyundaidemo")
        full = next(v for v in vehicles if v["packages"] and v["options"] and v["dealer_options"])
        sample = fields(read_sample("inventory.resp.json")["vehicles"])
        assert fields(full) - sample == {"type", "msrp", "price"}
        assert sample - fields(full) == set()
        details = await get(http, f"/vehicles/{full['vin']}", **{"dealer[partner_id]": "CA317"})
        assert fields(details) - fields(read_sample("vehicle_details.resp.json")) == {"vehicle_info.vin"}

    async def test_a_dealer_and_its_plans_have_the_fields_of_the_reference(self, http):
        """A plan also carries the code that requests take."""
        assert fields(await get(http, "/dealers/hyundaidemo")) == fields(read_sample("dealer_config.resp.json"))
        query = {"dealer[partner_id]": "51101", "vin": await first_vin(http), "deal_type": "cash"}
        listed = fields(await get(http, "/plans", **query))
        assert listed == fields(read_sample("plans.resp.json")) | {"plans.code"}

    async def test_units_differ_between_deals_and_programs_as_documented(self, http):
        """One rate is a fraction in the deal and percent in the program; a money factor is there a thousand times."""
        quote = await post(http, "/payments", customer={}, vehicle={"vin": await first_vin(http)})
        deals, programs = quote["deals"], quote["programs"]
        assert programs["cash"]["deal_type"] == "finance"
        sixty = next(p for p in programs["finance"] if (p["term"], p["min_score"]) == (60, 720))
        assert sixty["interest_rate"] / 100 == pytest.approx(deals["finance"]["terms"]["interest_rate"])
        thirty_six = next(p for p in programs["lease"] if (p["term"], p["min_score"]) == (36, 720))
        assert thirty_six["money_factor"] / 1000 == pytest.approx(deals["lease"]["terms"]["money_factor"])

    async def test_the_samples_requests_are_understood(self, http):
        """Each documented request is read: what is refused is only that its VIN is at no dealer."""
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


class TestInventory:
    async def test_pages_follow_one_another_by_vin(self, http):
        """from_vin leads through the whole stock in order, nothing twice and nothing left out."""
        everything = [vehicle["vin"] for vehicle in await stock(http)]
        seen: list[str] = []
        while len(seen) < len(everything):
            query = {"dpid": "umazda", "size": 70, "in_stock": "any"} | ({"from_vin": seen[-1]} if seen else {})
            page = await get(http, "/vehicles", **query)
            assert page["total"] == 200
            seen += [vehicle["vin"] for vehicle in page["vehicles"]]
        assert seen == everything == sorted(everything)

    async def test_only_stock_is_listed_unless_any_is_asked_for(self, http):
        """Without in_stock=any, vehicles that are out of stock are neither listed nor counted."""
        page = await get(http, "/vehicles", dpid="umazda", size=500)
        assert all(vehicle["in_stock"] for vehicle in page["vehicles"])
        assert page["total"] == len(page["vehicles"]) < 200

    async def test_updated_since_narrows(self, http):
        """Later moments leave fewer vehicles, and the sandbox's present leaves none."""
        totals = [
            (await get(http, "/vehicles", dpid="umazda", updated_since=since))["total"]
            for since in (0, 1_735_689_600 - 15 * 86_400, 1_735_689_600)
        ]
        assert totals[0] > totals[1] > totals[2] == 0


def cents(amount: Decimal) -> float:
    return float(amount.quantize(Decimal("0.01"), ROUND_HALF_UP))


class TestFigures:
    @pytest.mark.parametrize("dealer", DEALERS, ids=lambda dealer: dealer.dpid)
    async def test_finance_amortises_at_the_programs_rate(self, http, dealer):
        """Recomputed from the feed's price: every payment, what is financed, and the interest."""
        for vehicle in (await stock(http, dealer.dpid))[::40]:
            body = {"dealer": {"dpid": dealer.dpid}, "vehicle": {"vin": vehicle["vin"]}}
            payment = {"deal_type": "finance", "customer_cash": 2500.5, "term": 48}
            trade = {"value": 9000, "payoff": 4000}
            quote = await post(
                http, "/payments", **body, customer={"credit_score": 650}, payment=payment, trade_in=trade
            )
            terms = quote["deals"]["finance"]["terms"]
            percent = next(
                p["interest_rate"] for p in quote["programs"]["finance"] if (p["term"], p["min_score"]) == (48, 620)
            )
            tax = round(vehicle["price"] * terms["combined_tax_rate"] + 1e-9, 2)
            fees = sum(terms["fees"].values())
            financed = vehicle["price"] + tax + fees - quote["programs"]["cash"]["rebate"] - 5000 - 2500.5
            assert terms["sales_tax"] == pytest.approx(tax)
            assert terms["total_financed"] == pytest.approx(financed)
            rate = percent / 1200
            monthly = financed * rate / (1 - (1 + rate) ** -48)
            assert terms["monthly_payment"] == pytest.approx(monthly, abs=0.0051)
            assert terms["total_interest"] == pytest.approx(terms["monthly_payment"] * 48 - financed)
            assert terms["customer_cash"] == 2500.5

    @pytest.mark.parametrize("dealer", DEALERS, ids=lambda dealer: dealer.dpid)
    async def test_a_lease_pays_for_depreciation_and_rent(self, http, dealer):
        """Recomputed from cap cost, residual and money factor, the use tax on top."""
        for vehicle in (await stock(http, dealer.dpid))[::40]:
            body = {"dealer": {"dpid": dealer.dpid}, "customer": {}, "vehicle": {"vin": vehicle["vin"]}}
            payment = {"deal_type": "lease", "customer_cash": 1500, "term": 24, "annual_mileage": 15000}
            quote = await post(http, "/payments", **body, payment=payment)
            terms = quote["deals"]["lease"]["terms"]
            program = next(p for p in quote["programs"]["lease"] if (p["term"], p["min_score"]) == (24, 720))
            msrp, factor = Decimal(vehicle["msrp"]), Decimal(str(program["money_factor"])) / 1000
            residual = Decimal(cents(msrp * program["base_residual"] / 100)) + Decimal(cents(-msrp / 50))
            cap = Decimal(vehicle["price"] + 650 - 1500 - quote["programs"]["cash"]["rebate"])
            base = cents((cap - residual) / 24 + (cap + residual) * factor)
            assert terms["cap_cost"] == float(cap)
            assert terms["residual_value"] == pytest.approx(float(residual))
            assert terms["base_payment"] == base
            tax = cents(Decimal(str(base)) * Decimal(str(terms["combined_tax_rate"])))
            assert terms["monthly_payment"] == pytest.approx(base + tax)
            assert terms["due_at_signing"] == pytest.approx(1500 + terms["total_fees_due_at_signing"] + base + tax)

    async def test_cash_is_price_less_rebate_and_equity_with_fees_and_tax(self, http):
        """Chosen incentives count as rebate, a negative equity is added, a plan is paid and not taxed."""
        vehicle = next(v for v in await stock(http) if v["model"] == "CX-5")
        order = {
            "customer": {"incentives": ["loyalty", "unheard of"]},
            "vehicle": {"vin": vehicle["vin"]},
            "trade_in": {"value": 3000, "payoff": 4500.25},
            "plans": [{"id": 6160, "code": "RBX301", "tier": "5R"}],
        }
        terms = (await post(http, "/payments", **order))["deals"]["cash"]["terms"]
        assert terms["rebate"] == 1500
        assert terms["trade_equity"] == -1500.25
        assert terms["total_plans"] == 1849
        assert terms["sales_tax"] == pytest.approx(vehicle["price"] * 0.104, abs=0.0051)
        assert terms["primary_tax"] + terms["secondary_tax"] + terms["local_tax"] == pytest.approx(terms["sales_tax"])
        expected = vehicle["price"] + 1849 + terms["total_fees"] + terms["sales_tax"] - 1500 + 1500.25
        assert terms["due_at_signing"] == pytest.approx(expected)

    async def test_no_taxes_or_fees_leaves_the_price(self, http):
        """All three deals are then without taxes and fees, whichever of them the terms were for."""
        vehicle = next(v for v in await stock(http) if v["model"] == "MX-5 Miata")
        order = {"customer": {}, "vehicle": {"vin": vehicle["vin"]}, "payment": {"no_taxes_or_fees": True}}
        deals = (await post(http, "/payments", **order))["deals"]
        assert deals["cash"]["terms"]["due_at_signing"] == vehicle["price"]
        assert deals["finance"]["terms"]["total_financed"] == vehicle["price"]
        assert deals["lease"]["terms"]["cap_cost"] == vehicle["price"]
        assert deals["lease"]["terms"]["monthly_payment"] == deals["lease"]["terms"]["base_payment"]

    async def test_terms_apply_to_the_deal_they_are_for(self, http):
        """The other deal keeps its defaults: 60 months of finance, 36 of lease, nothing down."""
        order = {"customer": {}, "vehicle": {"vin": await first_vin(http)}}
        asked = {"deal_type": "lease", "term": 24, "customer_cash": 1000}
        deals = (await post(http, "/payments", **order, payment=asked))["deals"]
        assert (deals["lease"]["terms"]["term"], deals["lease"]["terms"]["customer_cash"]) == (24, 1000)
        assert (deals["finance"]["terms"]["term"], deals["finance"]["terms"]["customer_cash"]) == (60, 0)
        deals = (await post(http, "/payments", **order, payment={"deal_type": "cash", "term": 24}))["deals"]
        assert (deals["lease"]["terms"]["term"], deals["finance"]["terms"]["term"]) == (36, 60)

    async def test_a_down_payment_never_exceeds_what_is_to_pay(self, http):
        """Ten million down finance nothing; nothing becomes negative."""
        order = {"customer": {}, "vehicle": {"vin": await first_vin(http)}}
        asked = {"deal_type": "finance", "customer_cash": 10_000_000}
        terms = (await post(http, "/payments", **order, payment=asked))["deals"]["finance"]["terms"]
        assert terms["total_financed"] == terms["monthly_payment"] == terms["total_interest"] == 0
        assert terms["customer_cash"] == terms["maximum_customer_cash"]


class TestConsistency:
    @pytest.mark.parametrize("dealer", DEALERS, ids=lambda dealer: dealer.dpid)
    async def test_a_dealers_fees_are_those_of_its_quotes(self, http, dealer):
        """Field by field; the acquisition fee is the lease's."""
        fees = (await get(http, f"/dealers/{dealer.dpid}"))["configuration"]["fees"]
        body = {"dealer": {"dpid": dealer.dpid}, "customer": {}, "vehicle": {"vin": await first_vin(http, dealer.dpid)}}
        quoted = (await post(http, "/payments", **body))["deals"]["lease"]["terms"]["fees"]
        assert fees == {
            "doc_fee": quoted["doc"],
            "filing_fee": quoted["filing"],
            "handling_fee": quoted["handling"],
            "lease_acquisition_fee": quoted["acquisition"],
        }

    async def test_every_plan_costs_in_a_quote_what_the_catalogue_offers_it_for(self, http):
        """Each tier of each plan, for each kind of deal, by the ids and codes that the catalogue gives."""
        vin = await first_vin(http)
        terms = {"deal_rate": 4.9, "deal_term": 60, "amount_financed": 30_000}
        for deal_type in ("cash", "finance", "lease"):
            query = {"dealer[partner_id]": "51101", "vin": vin, "deal_type": deal_type, **terms}
            for plan in (await get(http, "/plans", **query))["plans"]:
                for tier in plan["tiers"]:
                    chosen = {"id": plan["id"], "code": plan["code"], "tier": tier["code"]}
                    quote = await post(http, "/payments", customer={}, vehicle={"vin": vin}, plans=[chosen])
                    assert quote["deals"][deal_type]["terms"]["total_plans"] == tier["offer"]

    @pytest.mark.parametrize("missing", ["deal_rate", "deal_term", "amount_financed"])
    async def test_plans_for_finance_and_lease_need_all_the_terms(self, http, missing):
        """As the reference says; cash needs none of them."""
        terms = {"deal_rate": 4.9, "deal_term": 60, "amount_financed": 30_000}
        given = {name: value for name, value in terms.items() if name != missing}
        query = {"dealer[partner_id]": "51101", "vin": await first_vin(http), **given}
        for deal_type in ("finance", "lease"):
            answer = await http.get("/v1/plans", params={**query, "deal_type": deal_type})
            assert (answer.status_code, answer.json()["error"]) == (400, f"Missing {missing.replace('_', ' ')}")


class TestWrites:
    async def test_a_known_email_address_is_a_duplicate_at_the_same_dealer_only(self, http):
        """The second one answers the first id, whatever the case; another dealer gets a customer of its own."""
        first = await post(http, "/customers", customer=CUSTOMER)
        again = await post(http, "/customers", customer={**CUSTOMER, "email": "Steve.McQueen@Example.com"})
        elsewhere = await post(http, "/customers", customer=CUSTOMER, dealer={"partner_id": "CA317"})
        assert "duplicate" not in first
        assert again == first | {"duplicate": True}
        assert elsewhere["customer"]["id"] == 1650261
        assert [customer["dpid"] for customer in (await state(http))["customers"]] == ["umazda", "hyundaidemo"]

    async def test_a_customers_link_leads_to_the_vehicle(self, http):
        """The id stands in ucid, the analytics behind it."""
        vin = await first_vin(http)
        made = await post(http, "/customers", customer=CUSTOMER, vehicle={"vin": vin}, analytics={"utm_source": "a b"})
        expected = f"https://express.umazda.com/express/{vin}?ucid=1650260&utm_source=a%20b"
        assert made["customer"]["redirect_url"] == expected

    async def test_the_state_shows_a_documents_digest_and_not_its_contents(self, http):
        """So does the log of requests."""
        await post(http, "/customers", customer=CUSTOMER)
        await post(http, "/customers/1650260/documents", **DOCUMENT)
        [document] = (await state(http))["documents"]
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
        logged = (await http.get("/__sandbox/requests")).json()[-1]
        assert logged["body"]["contents"] == f"sha256:{digest}"

    async def test_an_agent_is_assigned_and_replaced(self, http):
        """The newest one stands in the state; the answer is the customer."""
        await post(http, "/customers", customer=CUSTOMER)
        for agent in ({"id": "ID9876"}, {"email": "natalie.wood@example.com"}):
            answer = await ask(http, "PUT", "/customers", {**AT_UMAZDA, "agent": agent}, id=1650260)
            assert answer.json() == {"status": "ok", "customer": {**CUSTOMER, "phone": None}}
        assert (await state(http))["customers"][0]["agent"] == {"email": "natalie.wood@example.com"}

    async def test_a_trade_in_offer_is_one_for_its_customer_and_vin(self, http):
        """A second valuation updates it, also for the email in capitals; a new email makes a customer."""
        made = await post(http, "/customers", customer=CUSTOMER)
        first = await post(http, "/create_tradein_offer", **TRADE)
        again = await post(http, "/create_tradein_offer", **{**TRADE, "email": "STEVE.McQueen@example.com"}, mileage=7)
        assert first == again
        assert first["customer"]["id"] == made["customer"]["id"]
        other = await post(http, "/create_tradein_offer", **{**TRADE, "email": "ali@example.com"})
        assert other["customer"] == {
            "id": 1650261,
            "redirect_url": "https://express.umazda.com/inventory?ucid=1650261",
        }
        offers = (await state(http))["trade_offers"]
        assert [(offer["customer_id"], offer["value"], offer.get("mileage")) for offer in offers] == [
            (1650260, 9000, 7),
            (1650261, 9000, None),
        ]

    async def test_what_is_deleted_is_gone_and_its_id_is_not_given_again(self, http):
        """One unknown id among several deletes nothing."""
        await post(http, "/customers", customer=CUSTOMER)
        path = "/customers/1650260/documents"
        kept, gone = [(await post(http, path, **DOCUMENT))["document_id"] for _ in range(2)]
        refused = await ask(http, "DELETE", path, {**AT_UMAZDA, "doc_ids": [gone, 99]})
        assert (refused.status_code, len((await state(http))["documents"])) == (404, 2)
        assert (await ask(http, "DELETE", path, {**AT_UMAZDA, "doc_ids": [gone]})).status_code == 200
        assert [document["id"] for document in (await state(http))["documents"]] == [kept]
        assert (await ask(http, "GET", f"{path}/content", AT_UMAZDA, doc_id=gone)).status_code == 404
        assert (await post(http, path, **DOCUMENT))["document_id"] == gone + 1

    async def test_another_dealers_customer_and_documents_are_unknown(self, http):
        """For whoever names the wrong dealer: 404 without a body, nothing changed."""
        await post(http, "/customers", customer=CUSTOMER)
        await post(http, "/customers/1650260/documents", **DOCUMENT)
        before = await state(http)
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
        assert await state(http) == before

    async def test_another_dealers_customer_gets_no_document(self, http):
        """A foreign customer is as unknown as one that never was: 404 without a body, nothing stored."""
        await post(http, "/customers", customer=CUSTOMER)
        foreign = {**DOCUMENT, "dealer": {"dpid": "hyundaidemo"}}
        for path in ("/v1/customers/1650260/documents", "/v1/customers/99/documents", "/v1/customers/x/documents"):
            answer = await http.post(path, json=foreign)
            assert (answer.status_code, answer.content) == (404, b"")
        assert (await state(http))["documents"] == []

    async def test_links_are_kept_with_their_dealer(self, http):
        """A link to a model says whether one is in stock."""
        made = await post(http, "/links", vehicle={"make": "mazda", "model": "CX-5"})
        assert made["vehicle"] == {"price_locked": True, "in_stock": True, "grade": "new"}
        [link] = (await state(http))["links"]
        assert link["dpid"] == "umazda"
        assert link["redirect_url"] == "https://express.umazda.com/inventory?make=mazda&model=CX-5"

    async def test_another_dealers_vehicle_is_not_in_stock(self, http):
        """The link is made, and says so."""
        vin = await first_vin(http, "toyotademo")
        assert (await post(http, "/links", vehicle={"vin": vin}))["vehicle"]["in_stock"] is False


FORM = {
    "form_data": {
        "name": "Form",
        "file_name": "form.pdf",
        "form_definition": {"pages": [{"fields": [{"x": 1, "y": 2, "name": "vin_1", "type": "vin"}]}]},
    },
    "file_stream": f"data:application/pdf;charset=utf-8;base64,{PDF}",
}


class TestForms:
    async def test_templates_have_the_fields_of_the_reference_and_their_dealer_alone_sees_them(self, http):
        """By list, details and file; an unknown one and another dealer's are 404 without a body."""
        listed = await get(http, "/templates", dpid="umazda")
        assert fields(listed) == fields(read_sample("templates_list.resp.json"))
        assert [Template.model_validate(template).id for template in listed] == [278, 279, 280, 281]
        assert await get(http, "/templates/details", dpid="umazda", template_id=278) == listed[0]
        for path in ("details", "file"):
            for dpid, template_id in (("hyundaidemo", 278), ("umazda", 282), ("umazda", 999), ("nobody", 278)):
                query = {"dpid": dpid, "template_id": template_id}
                answer = await http.get(f"/v1/templates/{path}", params=query)
                assert (answer.status_code, answer.content) == (404, b"")

    async def test_templates_are_the_same_for_the_same_seed(self, http):
        """And differ for another one."""
        listed = await get(http, "/templates", dpid="umazda")
        async with client(7) as same, client(8) as different:
            assert await get(same, "/templates", dpid="umazda") == listed
            assert await get(different, "/templates", dpid="umazda") != listed

    async def test_a_templates_file_is_a_pdf_whose_parts_are_where_it_says(self, http):
        """Each offset of its table leads to that object, and the end to the table; as many pages as the definition."""
        for template in await get(http, "/templates", dpid="umazda"):
            query = {"dpid": "umazda", "template_id": template["id"]}
            content = base64.b64decode(await get(http, "/templates/file", **query))
            start = int(content.rsplit(b"startxref\n", 1)[1].split()[0])
            assert content[start:].startswith(b"xref\n")
            offsets = [line for line in content[start:].splitlines() if line.endswith(b" n ")]
            for number, line in enumerate(offsets, 1):
                assert content[int(line[:10]) :].startswith(b"%d 0 obj" % number)
            assert content.count(b"/Type/Page/") == len(template["form_definition"]["pages"])

    async def test_a_template_is_kept_and_answered_with_a_receipt_without_its_id(self, http):
        """The receipt has the fields of the reference; the file is what was sent, and the log has its digest alone."""
        answer = await ask(http, "POST", "/templates", FORM, dpid="hyundaidemo")
        assert answer.json().keys() == read_sample("template_create.resp.json").keys()
        TemplateReceipt.model_validate(answer.json())
        assert (await get(http, "/templates", dpid="hyundaidemo"))[-1]["id"] == 290
        assert await get(http, "/templates/file", dpid="hyundaidemo", template_id=290) == PDF
        [kept] = (await state(http))["templates"]
        digest = hashlib.sha256(b"%PDF-1.7 a page").hexdigest()
        assert (kept["id"], kept["dpid"], kept["sha256"], kept["size"]) == (290, "hyundaidemo", digest, 15)
        log = (await http.get("/__sandbox/requests")).json()
        assert log[0]["body"]["file_stream"] == f"sha256:{digest}"

    async def test_forms_are_made_of_templates_of_the_orders_dealer_alone(self, http):
        """An unknown order, another dealer's template and a deleted one are 404; the log names the order's dealer."""
        for order, template_ids in ((1, [278]), (367101, [278, 282]), (367121, [278]), (367101, [281])):
            body = {"title": "Please sign", "template_ids": template_ids}
            answer = await ask(http, "POST", f"/orders/{order}/forms", body)
            assert (answer.status_code, answer.content) == (404, b"")
        assert (await state(http))["forms"] == []
        body = {**read_sample("forms_create.req.json"), "template_ids": [278, 279]}
        assert (await ask(http, "POST", "/orders/367104/forms", body)).json() == {}
        assert (await state(http))["forms"] == [{"dpid": "umazda", "order_id": 367104, **body}]
        assert (await http.get("/__sandbox/requests")).json()[-1]["dealer"] == "umazda"

    @pytest.mark.parametrize(
        ("path", "query", "body", "error"),
        [
            ("/templates", {}, FORM, "Missing dealer"),
            ("/templates", {"dpid": "umazda"}, {**FORM, "file_stream": PDF}, "Invalid file stream"),
            (
                "/templates",
                {"dpid": "umazda"},
                {**FORM, "file_stream": FORM["file_stream"] + "!"},
                "Invalid file stream",
            ),
            ("/templates", {"dpid": "umazda"}, {"form_data": FORM["form_data"]}, "Missing file stream"),
            ("/templates", {"dpid": "umazda"}, {**FORM, "form_data": {}}, "Missing name"),
            ("/orders/367101/forms", {}, {"template_ids": [278]}, "Missing title"),
            ("/orders/367101/forms", {}, {"title": "Sign", "template_ids": []}, "Invalid template ids"),
        ],
    )
    async def test_what_is_wrong_with_a_form_is_said_in_plain_words(self, http, path, query, body, error):
        """400 with the documented body."""
        answer = await ask(http, "POST", path, body, **query)
        assert (answer.status_code, answer.json()) == (400, {"status": "error", "error": error})


BAD_BODIES = [
    ("/links", {"dealer": "umazda"}, "Invalid dealer"),
    ("/links", {"dealer": None}, "Missing dealer"),
    ("/links", {"dealer": {}}, "Missing dealer"),
    ("/links", {"dealer": {"dpid": "umazda", "partner_id": "51101"}}, "Invalid dealer"),
    ("/links", {"vehicle": {"vin": "123"}}, "Invalid vin"),
    ("/customers", {"customer": {**CUSTOMER, "email": ""}}, "Missing email"),
    ("/customers", {"customer": {**CUSTOMER, "email": "steve"}}, "Invalid email"),
    ("/customers", {"customer": {"email": "a@b"}}, "Missing first name"),
    ("/payments", {"vehicle": {"vin": "JM1BPACL0S1000001"}}, "Missing customer"),
    ("/payments", {"customer": {}, "vehicle": {}}, "Missing vin"),
    ("/payments", {"customer": {"credit_score": 20}, "vehicle": {"vin": "JM1BPACL0S1000001"}}, "Invalid credit score"),
    ("/create_tradein_offer", {**TRADE, "email": "steve"}, "Invalid email"),
    ("/create_tradein_offer", {**TRADE, "value": -1}, "Invalid value"),
    ("/create_tradein_offer", {}, "Missing dpid"),
    ("/customers/1650260/documents", {**DOCUMENT, "relationship": None}, "Missing relationship"),
    ("/customers/1650260/documents", {**DOCUMENT, "relationship": "co_app"}, "Missing co app email id"),
    ("/customers/1650260/documents", {**DOCUMENT, "contents": "not base64!"}, "Invalid contents"),
    ("/customers/1650260/documents", {**DOCUMENT, "file_name": "page.exe"}, "Invalid file name"),
    ("/customers/1650260/documents", {**DOCUMENT, "document_type": "passport"}, "Invalid document type"),
]


class TestErrors:
    @pytest.mark.parametrize(("path", "body", "error"), BAD_BODIES)
    async def test_what_is_wrong_is_said_in_plain_words(self, http, path, body, error):
        """400 with the documented body."""
        await post(http, "/customers", customer=CUSTOMER)
        answer = await http.post(ROADSTER + path, json={"dealer": {"dpid": "umazda"}, **body})
        assert (answer.status_code, answer.json()) == (400, {"status": "error", "error": error})

    @pytest.mark.parametrize(
        ("method", "path", "body", "query", "error"),
        [
            ("PUT", "/customers", {"agent": {"id": "x"}}, {}, "Missing id"),
            ("PUT", "/customers", {"agent": {}}, {"id": 1650260}, "Missing agent"),
            ("PUT", "/customers", {"agent": {"email": "x"}}, {"id": 1650260}, "Invalid email"),
            ("GET", "/customers/1650260/documents/content", {}, {}, "Missing doc id"),
            ("DELETE", "/customers/1650260/documents", {}, {}, "Missing doc ids"),
            ("DELETE", "/customers/1650260/documents", {"doc_ids": []}, {}, "Invalid doc ids"),
        ],
    )
    async def test_so_it_is_with_the_other_methods(self, http, method, path, body, query, error):
        """400 with the documented body, for a customer who exists."""
        await post(http, "/customers", customer=CUSTOMER)
        answer = await ask(http, method, path, {**AT_UMAZDA, **body}, **query)
        assert (answer.status_code, answer.json()["error"]) == (400, error)

    @pytest.mark.parametrize("content", [b"{", b"[]", b'"x"', b"NaN", b'{"x":1e999}', b"\xff", b"[" * 9999])
    async def test_a_body_that_is_no_json_object_is_refused(self, http, content):
        """Never with a 500, however broken it is; and the log can still be read."""
        answer = await http.post("/v1/customers", content=content)
        assert (answer.status_code, answer.json()["error"]) == (400, "Invalid body")
        assert (await http.get("/__sandbox/requests")).json()[0]["status"] == 400

    @pytest.mark.parametrize(
        ("path", "query", "status"),
        [
            ("/vehicles", {}, 400),
            ("/vehicles", {"dpid": "umazda", "size": 0}, 400),
            ("/vehicles", {"dpid": "umazda", "size": "many"}, 400),
            ("/vehicles", {"dpid": "umazda", "in_stock": "no"}, 400),
            ("/vehicles", {"dpid": "nobody"}, 404),
            ("/vehicles/JM1BPACL0S1000001", {}, 400),
            ("/vehicles/JM1BPACL0S1000001", {"dealer[partner_id]": "51101"}, 404),
            ("/nothing", {}, 404),
        ],
    )
    async def test_a_wrong_query_is_400_and_the_unknown_404(self, http, path, query, status):
        """A 404 has no body."""
        answer = await http.get(ROADSTER + path, params=query)
        assert answer.status_code == status
        assert (answer.content == b"") == (status == 404)

    async def test_a_dealers_vehicle_is_unknown_at_another(self, http):
        """Neither its details nor a quote are given out there."""
        vin = await first_vin(http, "toyotademo")
        details = await http.get(f"/v1/vehicles/{vin}", params={"dealer[partner_id]": "51101"})
        body = {"dealer": {"dpid": "umazda"}, "customer": {}, "vehicle": {"vin": vin}}
        assert (details.status_code, (await http.post("/v1/payments", json=body)).status_code) == (404, 404)

    @pytest.mark.parametrize(
        ("header", "status"),
        [
            (f"Bearer {API_KEY}", 200),
            (f"Token {API_KEY}", 200),
            (API_KEY, 200),
            (f"Basic {API_KEY}", 401),
            ("Bearer wrong", 401),
            ("", 401),
        ],
    )
    async def test_only_the_key_opens(self, http, header, status):
        """With either scheme or none; 401 has no body."""
        answer = await http.get("/v1/dealers", headers={"authorization": header})
        assert answer.status_code == status
        assert (answer.content == b"") == (status == 401)


class TestGrading:
    async def test_the_log_has_every_request_in_order(self, http):
        """With its dealer, whichever id named it, and with what was refused; the answer carries its number."""
        vin = await first_vin(http)
        await get(http, f"/vehicles/{vin}", **{"dealer[partner_id]": "51101"})
        last = await http.post("/v1/customers", json={"dealer": {"dpid": "hyundaidemo"}})
        log = (await http.get("/__sandbox/requests")).json()
        assert [(entry["n"], entry["operation"], entry["dealer"], entry["status"]) for entry in log] == [
            (1, "list_inventory", "umazda", 200),
            (2, "get_vehicle", "umazda", 200),
            (3, "create_customer", "hyundaidemo", 400),
        ]
        assert log[1] == {
            "n": 2,
            "operation": "get_vehicle",
            "method": "GET",
            "path": f"/v1/vehicles/{vin}",
            "query": {"dealer[partner_id]": "51101"},
            "dealer": "umazda",
            "body": None,
            "status": 200,
        }
        assert last.headers["x-request-id"] == "sandbox-000003"

    @pytest.mark.parametrize(
        ("path", "status", "key"),
        [("/roadie/v1/shipments/1%0A2", 404, "errors"), ("/mykaarma/customer/v2/customer/1%0A2", 400, "errors")],
    )
    async def test_an_id_with_a_line_end_is_one_that_nobody_has(self, http, path, status, key):
        """Which no route matches, and each API answers in its own words."""
        answer = await http.get(path)
        assert (answer.status_code, next(iter(answer.json()))) == (status, key)
        assert (await http.get("/v1/vehicles/1%0A2")).status_code == 404

    async def test_reset_leads_back_to_the_initial_world(self, http):
        """Nothing created, logged or ordered is left; ids start again; another seed makes another world."""
        before = await stock(http)
        await post(http, "/customers", customer=CUSTOMER)
        await fault(http, "*", "status", times=9)
        assert (await http.post("/__sandbox/reset", json={"seed": 8})).json() == {"seed": 8}
        assert await stock(http) != before
        assert (await http.post("/__sandbox/reset")).json() == {"seed": 7}
        assert await state(http) == {"seed": 7, **{kind: [] for kind in CREATED}}
        assert (await http.get("/__sandbox/requests")).json() == []
        assert await stock(http) == before
        assert (await post(http, "/customers", customer=CUSTOMER))["customer"]["id"] == 1650260

    async def test_an_unknown_fault_or_operation_is_refused_with_the_valid_ones(self, http):
        """So is any other field that is not understood."""
        unknown = await http.post("/__sandbox/faults", json={"operation": "*", "fault": "earthquake"})
        assert unknown.status_code == 400
        assert "gzip_bomb" in unknown.json()["error"]
        unknown = await http.post("/__sandbox/faults", json={"operation": "sell_car", "fault": "html"})
        assert unknown.status_code == 400
        assert all(operation in unknown.json()["error"] for operation in OPERATIONS)
        for content in (b"", b"{", b"[]", b'{"operation": "*"}', b'{"operation":"*","fault":"html","x":1}'):
            assert (await http.post("/__sandbox/faults", content=content)).status_code == 400
        assert (await http.post("/__sandbox/reset", content=b"{")).status_code == 400


async def json_fault(http: httpx2.AsyncClient, kind: str) -> httpx2.Response:
    await fault(http, "create_customer", kind)
    return await http.post("/v1/customers", json={"dealer": {"dpid": "umazda"}, "customer": CUSTOMER})


async def read_dealers(http: httpx2.AsyncClient, received: bytearray) -> None:
    async with http.stream("GET", "/v1/dealers") as response:
        async for chunk in response.aiter_raw():
            received += chunk


class TestFaults:
    async def test_a_status_lasts_as_often_as_ordered_and_does_nothing(self, http):
        """Two 429 with Retry-After for one operation, then it works; the log names the fault."""
        await fault(http, "create_customer", "status", status=429, seconds=3, times=2)
        assert len(await get(http, "/dealers")) == 3
        for _ in range(2):
            answer = await http.post("/v1/customers", json={"dealer": {"dpid": "umazda"}, "customer": CUSTOMER})
            assert (answer.status_code, answer.headers["retry-after"], answer.content) == (429, "3", b"")
        assert (await state(http))["customers"] == []
        assert "duplicate" not in await post(http, "/customers", customer=CUSTOMER)
        log = (await http.get("/__sandbox/requests")).json()
        assert [entry.get("fault") for entry in log] == [None, "status", "status", None]

    async def test_deleting_the_faults_ends_them(self, http):
        """Also those for every operation."""
        await fault(http, "*", "status", status=500, times=9)
        assert (await http.get("/v1/dealers")).status_code == 500
        await http.delete("/__sandbox/faults")
        assert (await http.get("/v1/dealers")).status_code == 200

    async def test_a_lost_answer_was_carried_out(self, http):
        """The connection drops without an answer, and the customer is there."""
        with pytest.raises(httpx2.ReadError):
            await json_fault(http, "lost_answer")
        assert len((await state(http))["customers"]) == 1
        [entry] = (await http.get("/__sandbox/requests")).json()
        assert (entry["fault"], entry["status"]) == ("lost_answer", None)

    async def test_a_reset_drops_the_connection_in_the_body(self, http):
        """Half of the answer arrives, then the connection is gone."""
        whole = (await http.get("/v1/dealers")).content
        await fault(http, "list_dealers", "reset")
        received = bytearray()
        with pytest.raises(httpx2.ReadError):
            await read_dealers(http, received)
        assert 0 < len(received) < len(whole)

    async def test_wrong_types_leave_the_dealer_as_it_was(self, http):
        """Every other value is in a list of its own."""
        answer = (await json_fault(http, "wrong_types")).json()
        assert answer["customer"]["id"] == [1650260]
        assert answer["customer"]["dpid"] == "umazda"

    async def test_a_foreign_dealer_is_named_everywhere(self, http):
        """Where the answer named its dealer, and where it named none."""
        answer = (await json_fault(http, "foreign_dealer")).json()
        assert answer["customer"]["dpid"] == answer["dpid"] == answer["dealer"]["dpid"] == "toyotademo"
        for dealer in DEALERS:
            await fault(http, "list_inventory", "foreign_dealer")
            named = (await get(http, "/vehicles", dpid=dealer.dpid))["dealer"]
            assert named["dpid"] in {other.dpid for other in DEALERS} - {dealer.dpid}

    async def test_nan_is_in_objects_and_arrays_alike(self, http):
        """A strict reader of JSON fails on either; a bare string is replaced."""
        assert '"id":NaN' in (await json_fault(http, "nan")).text
        await fault(http, "list_dealers", "nan")
        assert (await http.get("/v1/dealers")).text.endswith(",NaN]")
        await fault(http, "get_template_file", "nan")
        assert (await http.get("/v1/templates/file", params={"dpid": "umazda", "template_id": 278})).text == "NaN"

    async def test_a_truncated_answer_is_half_of_the_json(self, http):
        """The connection ends well: only the JSON shows it."""
        whole = (await http.get("/v1/dealers")).content
        await fault(http, "list_dealers", "truncated")
        assert (await http.get("/v1/dealers")).content == whole[: len(whole) // 2]

    async def test_a_login_page_comes_with_200(self, http):
        """As HTML, and nothing was done."""
        answer = await json_fault(http, "html")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert (await state(http))["customers"] == []

    async def test_a_redirect_leads_to_another_host(self, http):
        """302, with the location of a host that does not exist."""
        answer = await json_fault(http, "redirect")
        assert (answer.status_code, answer.headers["location"]) == (302, "https://elsewhere.example/v1")

    async def test_a_huge_body_never_ends(self, http):
        """Whoever reads more than 20 MB of it can still stop."""
        await fault(http, "list_dealers", "huge")
        size = 0
        async with http.stream("GET", "/v1/dealers") as response:
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size > 20_000_000:
                    break
        assert len(await get(http, "/dealers")) == 3

    async def test_a_gzip_bomb_is_small_on_the_wire(self, http):
        """200 MB of zeros come as less than 2 MB."""
        await fault(http, "list_dealers", "gzip_bomb")
        async with http.stream("GET", "/v1/dealers") as response:
            assert response.headers["content-encoding"] == "gzip"
            wire = sum([len(chunk) async for chunk in response.aiter_raw()])
        assert 100_000 < wire < 2_000_000

    async def test_drip_and_delay_keep_the_caller_waiting(self, http):
        """A drip gives a byte and then makes wait for the next; a delay gives nothing, though all is done."""
        await fault(http, "list_dealers", "drip")
        received = b""
        with anyio.move_on_after(0.3):
            async with http.stream("GET", "/v1/dealers") as response:
                async for chunk in response.aiter_raw():
                    received += chunk
        assert received == b"["
        await fault(http, "create_customer", "delay", seconds=60)
        with anyio.move_on_after(0.3) as waited:
            await http.post("/v1/customers", json={"dealer": {"dpid": "umazda"}, "customer": CUSTOMER})
        assert waited.cancelled_caught
        assert len((await state(http))["customers"]) == 1
        await fault(http, "list_dealers", "delay", seconds=0)
        assert len(await get(http, "/dealers")) == 3


@contextmanager
def served() -> Iterator[str]:
    """A sandbox on a free port of this machine."""
    server = uvicorn.Server(server_config(create_app(), "127.0.0.1", 0))
    sockets = [server.config.bind_socket()]
    thread = threading.Thread(target=server.run, args=(sockets,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


async def test_over_a_socket_dropped_connections_are_dropped(capfd):
    """Nothing of a lost answer and half of a reset one arrives; an endless one can be left; nothing is logged."""
    with served() as url:
        async with httpx2.AsyncClient(base_url=url, headers={"authorization": API_KEY}) as http:
            whole = (await http.get("/v1/dealers")).content
            with pytest.raises(httpx2.RemoteProtocolError, match="without sending a response"):
                await json_fault(http, "lost_answer")
            assert len((await state(http))["customers"]) == 1
            await fault(http, "list_dealers", "reset")
            received = bytearray()
            with pytest.raises(httpx2.TransportError):
                await read_dealers(http, received)
            assert 0 < len(received) < len(whole)
            await fault(http, "list_dealers", "huge")
            async with http.stream("GET", "/v1/dealers") as response:
                async for chunk in response.aiter_raw():
                    if chunk:
                        break
            with anyio.fail_after(5):
                assert len(await get(http, "/dealers")) == 3
    assert capfd.readouterr().err == ""

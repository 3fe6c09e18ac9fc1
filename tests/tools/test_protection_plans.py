"""Protection plans: their prices, and the terms of the deal that they need."""

from __future__ import annotations

import pytest

from tests.conftest import Connect, World, answer_of, kind_of, text_of
from tests.tools.umazda import AT_UMAZDA, some_vin

pytestmark = pytest.mark.anyio


@pytest.mark.operation("list_plans", "list_protection_plans")
async def test_list_protection_plans_full_shows_coverage(connect: Connect, world: World) -> None:
    """They show nothing of the dealer's cost or profit, and no miles where Roadster gives 0."""
    async with connect() as client:
        cash = {**AT_UMAZDA, "vin": await some_vin(client), "deal_type": "cash"}
        gap = answer_of(await client.call_tool("list_protection_plans", {**cash, "detail": "full"}))["plans"][-1]
    assert gap == {
        "id": 1619,
        "code": "GAP1",
        "title": "Guaranteed Asset Protection",
        "category": "Guaranteed Asset Protection",
        "vendor": "Sandbox Protection",
        "tiers": [{"code": "G60", "title": "5 years", "price": 895, "term_months": 60, "msrp": 895}],
        "description": "Pays what is still owed where the insurance of a total loss does not.",
        "taxable": False,
        "residualize": False,
        "price_is_offline": True,
        "deal_types": ["cash", "finance", "lease"],
        "grades": ["new"],
    }
    query = (await world.requests())[-1]["query"]
    assert query.keys() == {"dealer[partner_id]", "vin", "deal_type"}


@pytest.mark.parametrize("deal_type", ["finance", "lease"])
@pytest.mark.parametrize("missing", ["apr_percent", "term_months", "amount_financed"])
async def test_list_protection_plans_needs_the_terms_of_the_deal(
    missing: str, deal_type: str, connect: Connect, world: World
) -> None:
    terms = {"apr_percent": 4.9, "term_months": 60, "amount_financed": 31234.56}
    arguments = {**AT_UMAZDA, "vin": "3MVDMBBM0SM472067", "deal_type": deal_type, **terms}
    async with connect() as client:
        whole = await client.call_tool("list_protection_plans", arguments)
        result = await client.call_tool("list_protection_plans", {**arguments, missing: None})
    assert kind_of(whole) is None
    assert kind_of(result) == "invalid_arguments"
    assert f"{missing}: is needed for {deal_type}" in text_of(result)
    (request,) = await world.requests()
    assert (request["query"]["deal_rate"], request["query"]["amount_financed"]) == ("4.9", "31235")

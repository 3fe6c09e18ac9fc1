"""The protection plans (F&I) of a vehicle and a deal."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from roadster_client.models.payments import DealType
from roadster_client.models.plans import Plan
from roadster_client.models.values import Amount, Months, Vin, plausible
from roadster_tools.answers import ToolAnswer, UnreadRows, list_text, money, plain
from roadster_tools.arguments.parameters import Cursor, Detail
from roadster_tools.catalogue import tool
from roadster_tools.cursors import Page
from roadster_tools.failures import InvalidArguments
from roadster_tools.gate.gate import Grant


class PlanTierRow(ToolAnswer):
    code: str | None = Field(default=None, description="`tier` of a chosen plan")
    title: str | None = None
    price: float | None = None
    term_months: int | None = None
    miles: int | None = None
    msrp: float | None = None
    invoice_price: float | None = Field(default=None, description="not for customers")

    def text(self) -> str:
        values = (
            self.title,
            None if self.price is None else f"price {money(self.price)}",
            None if self.term_months is None else f"{self.term_months} months",
            None if self.miles is None else f"{self.miles} miles",
            None if self.msrp is None else f"MSRP {money(self.msrp)}",
            None if self.invoice_price is None else f"dealer's cost {money(self.invoice_price)}",
        )
        return f"- tier {self.code or 'without a code'}: {'; '.join(filter(None, values))}"


class PlanRow(ToolAnswer):
    """The fields after the tiers are set only in a full answer."""

    id: int
    code: str | None = None
    title: str | None = None
    category: str | None = None
    vendor: str | None = None
    tiers: list[PlanTierRow]
    description: str | None = None
    msrp: float | None = None
    invoice_price: float | None = None
    taxable: bool | None = None
    residualize: bool | None = None
    price_is_offline: bool | None = None
    deal_types: list[str] | None = None
    grades: list[str] | None = None

    def text(self) -> str:
        values = self.structured_content()
        tiers = [tier.text() for tier in self.tiers]
        first = [f"plan {values.pop('id')}, code {values.pop('code', 'unknown')}", values.pop("title", None)]
        del values["tiers"]
        others = [
            f"{name} {', '.join(value) if isinstance(value, list) else plain(value)}" for name, value in values.items()
        ]
        return "\n".join(["; ".join(filter(None, [*first, *others])), *tiers])


class PlansAnswer(ToolAnswer):
    plans: list[PlanRow]
    truncated: bool
    next_cursor: str | None = None
    hint: str | None = None

    def text(self) -> str:
        return list_text((plan.text() for plan in self.plans), next_cursor=self.next_cursor, hint=self.hint)


@tool("List protection plans")
async def list_protection_plans(
    grant: Grant,
    vin: Vin,
    deal_type: DealType,
    apr_percent: Annotated[
        Annotated[float, plausible(0, 100)] | None, Field(description="of a lease: rate_percent")
    ] = None,
    term_months: Months | None = None,
    amount_financed: Annotated[Amount | None, Field(description="of a lease: cap_cost")] = None,
    detail: Detail = "brief",
    cursor: Cursor | None = None,
) -> PlansAnswer:
    """Protection plans (F&I) for a deal on a vehicle, with prices. Finance and lease need rate, term and amount from
    quote_payments."""
    terms = {"apr_percent": apr_percent, "term_months": term_months, "amount_financed": amount_financed}
    if deal_type != "cash":
        missing = [name for name, value in terms.items() if value is None]
        if missing:
            raise InvalidArguments(dict.fromkeys(missing, f"is needed for {deal_type}"))
    page = Page.at(cursor, None, grant.cursors, "list_protection_plans", vin, deal_type, *terms.values())
    plans = await grant.roadster.list_plans(
        vin,
        deal_type,
        deal_rate=apr_percent,
        deal_term=term_months,
        amount_financed=None if amount_financed is None else round(amount_financed),
    )
    rows, next_cursor = await page.select(plans.plans, lambda plan: _plan_row(plan, detail))
    return PlansAnswer(
        plans=rows,
        truncated=next_cursor is not None,
        next_cursor=next_cursor,
        hint=None if rows else _empty_hint(grant),
    )


def _empty_hint(grant: Grant) -> str:
    unread = UnreadRows.of_list(grant.left_out, "plans")
    if unread:
        return unread.hint("the plan")
    return "No plan fits this deal; another deal_type or term may have some."


def _plan_row(plan: Plan, detail: Detail) -> PlanRow:
    full = detail == "full"
    row = PlanRow(
        id=plan.id,
        code=plan.code,
        title=plan.title,
        category=plan.category,
        vendor=plan.vendor,
        tiers=[
            PlanTierRow(
                code=tier.code,
                title=tier.title,
                price=tier.offer,
                term_months=tier.term,
                miles=tier.mileage or None,
                msrp=tier.msrp if full else None,
                invoice_price=tier.invoice_price if full else None,
            )
            for tier in plan.tiers
        ],
    )
    if not full:
        return row
    return row.model_copy(
        update={
            "description": plan.description,
            "msrp": plan.msrp or None,
            "invoice_price": plan.invoice_price,
            "taxable": plan.taxable,
            "residualize": plan.residualize,
            "price_is_offline": plan.price_is_offline,
            "deal_types": [*plan.deal_types] or None,
            "grades": [*plan.grades] or None,
        }
    )

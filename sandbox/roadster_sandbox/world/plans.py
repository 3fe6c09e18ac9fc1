"""The protection plans that a quote can include. Every dealer sells them, without tax and without a residual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Tier:
    """One level of a plan: `term` in months, `mileage` in miles, and the `price` in dollars that a quote adds."""

    code: str
    title: str
    term: int
    mileage: int
    price: int


@dataclass(frozen=True)
class ProtectionPlan:
    id: int
    code: str
    title: str
    vendor: str
    description: str
    tiers: tuple[Tier, ...]

    def to_listing(self, dpid: str, rank: int) -> dict[str, Any]:
        """Returns the plan as `GET /plans` lists it, with the `code` that requests name. Only the tiers have prices."""
        return {
            "id": self.id,
            "code": self.code,
            "dpid": dpid,
            "title": self.title,
            "subtitle": self.vendor,
            "category": self.title,
            "description": self.description,
            "vendor": self.vendor,
            "grades": ["new"],
            "deal_types": ["cash", "finance", "lease"],
            "taxable": False,
            "residualize": False,
            "msrp": 0,
            "invoice_price": 0,
            "offer": 0,
            "cash_feature_rank": rank,
            "tiers": [
                {
                    "title": tier.title,
                    "msrp": tier.price,
                    "invoice_price": 0,
                    "offer": tier.price,
                    "code": tier.code,
                    "state": "live",
                    "term": tier.term,
                    "mileage": tier.mileage,
                }
                for tier in self.tiers
            ],
            "backend_profit": True,
            "default_tier_index": 0,
            "tier_is_selectable": True,
            "price_is_offline": True,
        }


PLANS: Mapping[int, ProtectionPlan] = {
    plan.id: plan
    for plan in (
        ProtectionPlan(
            6160,
            "RBX301",
            "Vehicle Service Contract",
            "Sandbox Protection",
            "Pays for repairs after the manufacturer's warranty has ended.",
            (Tier("5R", "5 years/ 60K miles", 60, 60_000, 1849), Tier("7R", "7 years/ 100K miles", 84, 100_000, 2470)),
        ),
        ProtectionPlan(
            1614,
            "TM59",
            "Prepaid Maintenance",
            "Sandbox Service",
            "Oil, filters and inspections as the manufacturer schedules them.",
            (Tier("TM59", "5 years/ 9 service intervals", 60, 75_000, 695),),
        ),
        ProtectionPlan(
            1619,
            "GAP1",
            "Guaranteed Asset Protection",
            "Sandbox Protection",
            "Pays what is still owed where the insurance of a total loss does not.",
            (Tier("G60", "5 years", 60, 0, 895),),
        ),
    )
}
"""The plans by the id that requests name."""


@dataclass(frozen=True)
class ChosenPlan:
    """A plan in one of its tiers."""

    plan: ProtectionPlan
    tier: Tier

    def to_quote_row(self) -> dict[str, Any]:
        """Returns the plan as a deal of a quote lists it."""
        return {
            "retail_add_on_id": self.plan.id,
            "taxable": False,
            "residualize": False,
            "title": self.plan.title,
            "pricing_source": "static",
            "backend_profit": True,
            "product_code": self.plan.code,
            "price": self.tier.price,
            "tier_code": self.tier.code,
            "tier_mileage": self.tier.mileage,
            "tier_term": self.tier.term,
            "tier_title": self.tier.title,
            "surcharges": None,
        }


def choose_plan(plan_id: int, code: str | None, tier_code: str | None) -> ChosenPlan | None:
    """Returns the plan in the tier of that code, by default in the first tier, and None for unknown codes."""
    plan = PLANS.get(plan_id)
    if plan is None or code not in (None, plan.code):
        return None
    tier = next((tier for tier in plan.tiers if tier_code in (None, tier.code)), None)
    return ChosenPlan(plan, tier) if tier else None

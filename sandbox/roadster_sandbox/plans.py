"""The protection plans that a quote can include. Sold at every dealer, never taxed, never part of a residual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Tier:
    """`term` in months, `mileage` in miles, `price` in dollars."""

    code: str
    title: str
    term: int
    mileage: int
    price: int


@dataclass(frozen=True)
class Plan:
    id: int
    code: str
    title: str
    tiers: tuple[Tier, ...]


PLANS: Mapping[int, Plan] = {
    plan.id: plan
    for plan in (
        Plan(
            6160,
            "RBX301",
            "Vehicle Service Contract",
            (Tier("5R", "5 years/ 60K miles", 60, 60_000, 1849), Tier("7R", "7 years/ 100K miles", 84, 100_000, 2470)),
        ),
        Plan(1614, "TM59", "Prepaid Maintenance", (Tier("TM59", "5 years/ 9 service intervals", 60, 75_000, 695),)),
        Plan(1619, "GAP1", "Guaranteed Asset Protection", (Tier("G60", "5 years", 60, 0, 895),)),
    )
}
"""By id, as a request names them."""


@dataclass(frozen=True)
class ChosenPlan:
    plan: Plan
    tier: Tier

    def quoted(self) -> dict[str, Any]:
        """As a deal lists it."""
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


def chosen_plan(plan_id: int, code: str | None, tier_code: str | None) -> ChosenPlan | None:
    """The plan of that id, in its first tier unless one is named; None where there is no such plan or tier."""
    plan = PLANS.get(plan_id)
    if plan is None or code not in (None, plan.code):
        return None
    tier = next((tier for tier in plan.tiers if tier_code in (None, tier.code)), None)
    return ChosenPlan(plan, tier) if tier else None

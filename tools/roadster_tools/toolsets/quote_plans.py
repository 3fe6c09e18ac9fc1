"""The protection plans that a request for a quote chose: which of them there are."""

from __future__ import annotations

from collections.abc import Sequence

from roadster_client import ClientError, DealerApi, ForeignDealer
from roadster_client.models.customers import PlanChoice
from roadster_client.models.plans import Plan
from roadster_tools.answers import cell

_MOST_NAMES = 10
"""Plans or tiers that a sentence names."""


async def find_unknown_plans(roadster: DealerApi, vin: str, choices: Sequence[PlanChoice]) -> dict[str, str]:
    """Returns what is wrong with the choices, by argument, and names what there is. Returns {} if nobody knows.

    The plans are those of a cash deal, because only it needs no rate. Raises ForeignDealer.
    """
    try:
        plans = {plan.id: plan for plan in (await roadster.list_plans(vin, "cash")).plans}
    except ForeignDealer:
        raise
    except ClientError:
        return {}
    problems: dict[str, str] = {}
    for place, choice in enumerate(choices):
        plan = plans.get(choice.id)
        if plan is None:
            names = _names([(str(each.id), each.title) for each in plans.values()])
            problems[f"plans.{place}.id"] = f"is none of a cash deal's plans: {names}"
        elif choice.tier is not None and choice.tier not in [tier.code for tier in plan.tiers]:
            problems[f"plans.{place}.tier"] = f"is none of plan {plan.id}'s tiers: {_tier_names(plan)}"
        elif choice.code is not None and plan.code is not None and choice.code != plan.code:
            problems[f"plans.{place}.code"] = f"is not that of plan {plan.id}, which is {cell(plan.code)}"
    return problems


def _tier_names(plan: Plan) -> str:
    return _names([(cell(tier.code), tier.title) for tier in plan.tiers if tier.code is not None])


def _names(rows: Sequence[tuple[str, str | None]]) -> str:
    return (
        ", ".join(f"{key} ({cell(title)})" if title else key for key, title in rows[:_MOST_NAMES]) or "there are none"
    )

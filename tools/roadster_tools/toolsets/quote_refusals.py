"""What a request for a quote asked for in vain: an unknown plan or term, or a plan twice."""

from __future__ import annotations

from collections.abc import Sequence

from roadster_client import ClientError, DealerApi, ForeignDealer
from roadster_client.models.customers import PlanChoice
from roadster_client.models.payments import DealType, PaymentRequest
from roadster_client.models.plans import Plan
from roadster_tools.answers import cell

from .quote_terms import program_terms

_MOST_NAMES = 10
"""Plans or tiers that a sentence names."""
_WITH_TERM: Sequence[DealType] = ("finance", "lease")


def find_repeated_plans(plans: Sequence[PlanChoice]) -> dict[str, str]:
    """Returns each plan that was named before, by argument, because a plan that is sent twice is charged twice."""
    ids = [plan.id for plan in plans]
    firsts = [ids.index(plan_id) for plan_id in ids]
    return {f"plans.{place}.id": f"is that of plans.{first}" for place, first in enumerate(firsts) if first != place}


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


async def find_unknown_term(roadster: DealerApi, request: PaymentRequest) -> dict[DealType, str]:
    """Returns a sentence for each deal whose programs lack the term of the request, which names their terms.

    Returns {} if nobody knows. Raises ForeignDealer.
    """
    if request.payment is None or request.payment.term is None:
        return {}
    deal_of_request = request.payment.deal_type
    try:
        quote = await roadster.quote_payments(PaymentRequest(vehicle=request.vehicle))
    except ForeignDealer:
        raise
    except ClientError:
        return {}
    terms = {
        deal_type: program_terms(quote, deal_type) for deal_type in _WITH_TERM if deal_of_request in (None, deal_type)
    }
    return {
        deal_type: f"no program has this term, only {', '.join(map(str, own))} have one"
        for deal_type, own in terms.items()
        if own and request.payment.term not in own
    }


def _tier_names(plan: Plan) -> str:
    return _names([(cell(tier.code), tier.title) for tier in plan.tiers if tier.code is not None])


def _names(rows: Sequence[tuple[str, str | None]]) -> str:
    return (
        ", ".join(f"{key} ({cell(title)})" if title else key for key, title in rows[:_MOST_NAMES]) or "there are none"
    )

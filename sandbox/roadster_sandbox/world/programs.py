"""The lenders' programs: rates by credit score and term, residuals, rebates and incentives.

A deal takes the best tier whose `min_score` the customer reaches, and of its terms the shortest that is
not shorter than what was asked (the longest, if none is): 30 months are priced with the 36 months' rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .inventory import Vehicle

FINANCE_TERMS = (24, 36, 48, 60, 72)
LEASE_TERMS = (24, 36, 48)
BASE_ANNUAL_MILEAGE = 12_000
TIERS = {720: Decimal(0), 620: Decimal("2.25"), 1: Decimal("5.50")}
"""By the least score: what the tier adds to the APR, in percentage points. The best comes first."""

_EXPIRES_AT = "2025-03-31T00:00:00.000Z"
_TERM_APR = {24: Decimal("-0.50"), 36: Decimal("-0.25"), 48: Decimal(0), 60: Decimal("0.25"), 72: Decimal("0.75")}
_TERM_RESIDUAL = {24: 7, 36: 0, 48: -9}
_MILEAGE_RESIDUAL = ((10_000, 1), (12_000, 0), (15_000, -2), (18_000, -4))
_OVER_18_000 = -6


@dataclass(frozen=True)
class Lender:
    """`apr` in percent, of the best tier for 48 months; `money_factor` as a fraction, of the best tier."""

    code: str
    name: str
    apr: Decimal
    money_factor: Decimal


LENDERS: Mapping[str, Lender] = {
    "Mazda": Lender("MAZ", "Mazda Financial Services", Decimal("4.49"), Decimal("0.00175")),
    "Hyundai": Lender("HMF", "Hyundai Motor Finance", Decimal("3.99"), Decimal("0.00150")),
    "Toyota": Lender("TFS", "Toyota Financial Services", Decimal("5.24"), Decimal("0.00210")),
}

INCENTIVES = {
    "first responders": ("First Responders Program", 750),
    "loyalty": ("Owner Loyalty Program", 500),
    "military": ("Military Appreciation Program", 500),
}
"""By the name that a quote's request gives: what it is called, and its cash in dollars."""


def apr(vehicle: Vehicle, score: int, term: int) -> Decimal:
    """The finance rate in percent."""
    return _apr(vehicle, _tier(score), _program_term(FINANCE_TERMS, term))


def money_factor(vehicle: Vehicle, score: int) -> Decimal:
    """The lease's rate as the fraction that the formula takes. It does not depend on the term."""
    return _money_factor(vehicle, _tier(score))


def base_residual(vehicle: Vehicle, term: int) -> int:
    """The percent of MSRP that remains at the end of the lease, at 12,000 miles a year."""
    return vehicle.line.residual + _TERM_RESIDUAL[_program_term(LEASE_TERMS, term)]


def mileage_residual(annual_mileage: int) -> int:
    """What the mileage adds to the residual, in percentage points."""
    return next((points for miles, points in _MILEAGE_RESIDUAL if annual_mileage <= miles), _OVER_18_000)


def rebate(vehicle: Vehicle, incentives: Iterable[str]) -> Decimal:
    """The manufacturer's rebate, and the cash of those incentives that the customer is entitled to."""
    return Decimal(vehicle.line.rebate + sum(INCENTIVES[name][1] for name in set(incentives) & INCENTIVES.keys()))


def published(vehicle: Vehicle) -> dict[str, Any]:
    """`programs` of a quote, in the reference's units: finance rates in percent, money factors times 1000."""
    lender = LENDERS[vehicle.dealer.make]
    extras = {"incentives": _incentives(), "rebates": _rebates(vehicle), "expires_at": _EXPIRES_AT}
    return {
        # One object that calls itself finance, as the reference has it.
        "cash": {
            "deal_type": "finance",
            "incentives": extras["incentives"],
            "rebate": vehicle.line.rebate,
            "rebates": extras["rebates"],
        },
        "finance": [
            {
                "deal_type": "finance",
                "min_score": tier,
                "term": term,
                "interest_rate": float(_apr(vehicle, tier, term)),
                **extras,
            }
            for tier in TIERS
            for term in FINANCE_TERMS
        ],
        "lease": [
            {
                "name": lease_program_name(vehicle),
                "lender": lender.code,
                "lender_name": lender.name,
                "deal_type": "lease",
                "min_score": tier,
                "term": term,
                "money_factor": float(_money_factor(vehicle, tier) * 1000),
                "base_residual": base_residual(vehicle, term),
                "base_annual_mileage": BASE_ANNUAL_MILEAGE,
                **extras,
            }
            for tier in TIERS
            for term in LEASE_TERMS
        ],
    }


def lease_program_name(vehicle: Vehicle) -> str:
    return f"{LENDERS[vehicle.dealer.make].name} (Standard Lease Program) - {vehicle.dealer.state}"


def finance_program_name(vehicle: Vehicle, score: int) -> str:
    return (
        f"{LENDERS[vehicle.dealer.make].name} (Standard APR Program) - "
        f"Credit Score {_tier(score)}+ - {vehicle.dealer.state}"
    )


def _tier(score: int) -> int:
    return next(least for least in TIERS if score >= least)


def _program_term(offered: tuple[int, ...], asked: int) -> int:
    return next((term for term in offered if term >= asked), offered[-1])


def _apr(vehicle: Vehicle, tier: int, term: int) -> Decimal:
    return LENDERS[vehicle.dealer.make].apr + _TERM_APR[term] + TIERS[tier]


def _money_factor(vehicle: Vehicle, tier: int) -> Decimal:
    return LENDERS[vehicle.dealer.make].money_factor + (TIERS[tier] / 2400).quantize(Decimal("0.00001"))


def _incentives() -> list[dict[str, Any]]:
    return [
        {"name": name, "display_name": title, "cash": cash, "expires_at": _EXPIRES_AT}
        for name, (title, cash) in INCENTIVES.items()
    ]


def _rebates(vehicle: Vehicle) -> list[dict[str, Any]]:
    if not vehicle.line.rebate:
        return []
    return [
        {
            "id": 910_000 + vehicle.line.rebate,
            "program_id": f"{LENDERS[vehicle.dealer.make].code}-{vehicle.year}-{vehicle.line.rebate}",
            "name": "Manufacturer Rebate",
            "cash": vehicle.line.rebate,
            "recipient": "Customer",
            "expires_at": _EXPIRES_AT,
        }
    ]

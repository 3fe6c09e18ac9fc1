"""The lenders' programs: rates by credit score and term, residuals, rebates and incentives.

A deal takes the best tier that the customer's credit score reaches. From that tier it takes the shortest program
that covers the requested term, or the longest program. For instance, 30 months are priced at the rate for 36.
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
"""Percentage points that a tier adds to the APR, by the lowest credit score of the tier. The best tier comes first."""

_EXPIRES_AT = "2099-03-31T00:00:00.000Z"
"""The sandbox reads no clock, so its programs run for as long as anybody uses it."""

# Percentage points, added to the lender's APR and to a model's residual.
_TERM_APR = {24: Decimal("-0.50"), 36: Decimal("-0.25"), 48: Decimal(0), 60: Decimal("0.25"), 72: Decimal("0.75")}
_TERM_RESIDUAL = {24: 7, 36: 0, 48: -9}
_MILEAGE_RESIDUAL = ((10_000, 1), (12_000, 0), (15_000, -2), (18_000, -4))
_OVER_18_000 = -6


@dataclass(frozen=True)
class Lender:
    """A lender with the rates of its best tier: `apr` in percent for 48 months, `money_factor` as a fraction."""

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
"""Title and dollars of each incentive, by the name that the request for a quote gives."""


def apr(vehicle: Vehicle, score: int, term: int) -> Decimal:
    """Returns the finance rate in percent."""
    return _apr(vehicle, _tier(score), _program_term(FINANCE_TERMS, term))


def money_factor(vehicle: Vehicle, score: int) -> Decimal:
    """Returns the rate of a lease as a fraction. It does not depend on the term."""
    return _money_factor(vehicle, _tier(score))


def base_residual(vehicle: Vehicle, term: int) -> int:
    """Returns the percent of MSRP that remains at the end of the lease, at 12,000 miles a year."""
    return vehicle.line.residual + _TERM_RESIDUAL[_program_term(LEASE_TERMS, term)]


def mileage_residual(annual_mileage: int) -> int:
    """Returns the percentage points that the mileage adds to the residual."""
    return next((points for miles, points in _MILEAGE_RESIDUAL if annual_mileage <= miles), _OVER_18_000)


def rebate(vehicle: Vehicle, incentives: Iterable[str]) -> Decimal:
    """Returns the dollars of the manufacturer's rebate and of the incentives. Unknown incentives add nothing."""
    return Decimal(vehicle.line.rebate + sum(INCENTIVES[name][1] for name in set(incentives) & INCENTIVES.keys()))


def to_programs(vehicle: Vehicle) -> dict[str, Any]:
    """Returns the `programs` of a quote, in the reference's units: rates in percent, money factors times 1000."""
    lender = LENDERS[vehicle.dealer.make]
    extras = {"incentives": _incentives(), "rebates": _rebates(vehicle), "expires_at": _EXPIRES_AT}
    return {
        # In the reference, too, this is one object with the deal type finance.
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
    return next(minimum for minimum in TIERS if score >= minimum)


def _program_term(terms: tuple[int, ...], months: int) -> int:
    return next((term for term in terms if term >= months), terms[-1])


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

"""The answer of `POST /payments` in its documented shape: 46, 69 and 85 terms, the deals' data, the programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from roadster_sandbox.world import programs
from roadster_sandbox.world.inventory import Vehicle
from roadster_sandbox.world.lineup import Extra, Paint
from roadster_sandbox.world.plans import ChosenPlan

from .deal_arithmetic import (
    ZERO,
    Lease,
    Loan,
    Purchase,
    calculate_lease,
    calculate_loan,
    calculate_purchase,
    monthly_payment,
    to_cents,
)
from .requests import QuoteBody, RequestedTradeIn

_NORMALIZED_PRINCIPAL = Decimal(1000)
"""Dollars. Terms named `normalized…` are the payment for an add-on of this price."""

_OVERAGE_CHARGE = 0.15
"""Dollars for each mile above the leased mileage."""

# The sandbox's dealers never charge or grant these. They are zero, as in the reference's own sample.
_ZERO_TERMS = (
    "total_accessories",
    "tax_surcharge",
    "total_bonus",
    "nontaxable_bonus",
    "taxable_bonus",
    "nontaxable_rebate",
    "dealer_cash",
    "total_coupon",
    "add_on_discount",
    "plans_discount",
    "trade_tax_credit",
    "total_contribution",
    "profit",
)
_ZERO_PURCHASE_TERMS = ("total_taxable_add_ons", "tax_adjustment")
_ZERO_FINANCE_TERMS = ("stamp_tax", "normalized_monthly_payment_for_taxable_add_ons")
_ZERO_LEASE_TERMS = (
    "excess_mileage",
    "excess_mileage_charge",
    "total_residualizable_add_ons",
    "initial_tax",
    "initial_primary_tax",
    "initial_secondary_tax",
    "local_tax",
    "tax_due_at_signing",
    "total_tax_capitalized",
    "first_payment_waiver",
    "normalized_monthly_payment_for_nontaxable_residualizable_add_ons",
    "normalized_monthly_payment_for_taxable_nonresidualizable_add_ons",
    "normalized_monthly_payment_for_taxable_residualizable_add_ons",
    "security_deposit_due_at_signing",
    "minimum_customer_cash",
    "purchase_charge",
)


def quote(vehicle: Vehicle, body: QuoteBody, plans: tuple[ChosenPlan, ...]) -> dict[str, Any]:
    """Returns the cash, finance and lease deals. Each quote has all three, for every deal type in the request."""
    purchase = calculate_purchase(vehicle, body, plans)
    terms = {
        "cash": _cash_terms(purchase),
        "finance": _finance_terms(purchase, calculate_loan(purchase, body), body.customer.credit_score),
        "lease": _lease_terms(purchase, calculate_lease(purchase, body)),
    }
    data = {
        "plans": [plan.to_quote_row() for plan in plans],
        "accessories": [],
        "vehicle": _priced_vehicle(vehicle),
        "trade": _trade(body.trade_in),
    }
    deals = {
        deal_type: {"id": 4550 + vehicle.number, "deal_type": deal_type, "terms": _to_json(deal), "data": data}
        for deal_type, deal in terms.items()
    }
    return {"deals": deals, "programs": programs.to_programs(vehicle)}


def _common_terms(purchase: Purchase) -> dict[str, Any]:
    return {
        **dict.fromkeys(_ZERO_TERMS, 0),
        "msrp": purchase.vehicle.msrp,
        "price": purchase.price,
        "base_price_before_taxes_and_fees": purchase.price,
        "base_price_after_fees": purchase.price + purchase.total_fees,
        "total_add_ons": purchase.plans,
        "total_plans": purchase.plans,
        "tax_rate": purchase.rates.state,
        "secondary_tax_rate": purchase.rates.county,
        "local_tax_rate": purchase.rates.local,
        "combined_tax_rate": purchase.rates.combined_rate,
        "default_tax_bonus": True,
        "fees": {
            **dict.fromkeys(("acquisition", "handling", "inspection", "misc", "out_of_state"), 0),
            **_to_json(purchase.fees),
        },
        "rebate": purchase.rebate,
        "taxable_rebate": purchase.rebate,
        "trade_equity": purchase.equity,
        "due_to_customer_at_signing": 0,
        "total_purchase_price": purchase.total,
        "total_purchase_price_before_taxes_and_fees": purchase.price + purchase.plans,
    }


def _taxes(purchase: Purchase) -> dict[str, Any]:
    """Returns the sales tax and its parts. The last part takes the rounding, so the parts add up to the tax."""
    primary, secondary = (
        to_cents(purchase.price * purchase.rates.state),
        to_cents(purchase.price * purchase.rates.county),
    )
    return {
        "sales_tax": purchase.sales_tax,
        "primary_tax": primary,
        "secondary_tax": secondary,
        "local_tax": purchase.sales_tax - primary - secondary,
        "fees_to_tax": [],
        "total_fees": purchase.total_fees,
        "total_nontaxable_add_ons": purchase.plans,
        **dict.fromkeys(_ZERO_PURCHASE_TERMS, 0),
    }


def _cash_terms(purchase: Purchase) -> dict[str, Any]:
    due = max(purchase.balance, ZERO)
    return {
        **_common_terms(purchase),
        **_taxes(purchase),
        "normalized_taxable_add_on_price": to_cents(_NORMALIZED_PRINCIPAL * (1 + purchase.rates.combined_rate)),
        "normalized_nontaxable_add_on_price": _NORMALIZED_PRINCIPAL,
        "due_at_signing": due,
        "due_at_signing_before_taxes_and_fees": max(due - purchase.total_fees - purchase.sales_tax, ZERO),
        "due_to_customer_at_signing": due - purchase.balance,
        "total_cost": purchase.total_cost,
        "total_cost_of_ownership": purchase.total_cost,
    }


def _finance_terms(purchase: Purchase, loan: Loan, score: int) -> dict[str, Any]:
    lender = programs.LENDERS[purchase.vehicle.dealer.make]
    total_cost = purchase.total_cost + loan.interest
    normalized_payment = monthly_payment(_NORMALIZED_PRINCIPAL, loan.apr, loan.term)
    return {
        **_common_terms(purchase),
        **_taxes(purchase),
        **dict.fromkeys(_ZERO_FINANCE_TERMS, 0),
        # The deal has the rate as a fraction, and the programs have the same rate in percent.
        "interest_rate": loan.apr / 100,
        "effective_interest_rate": loan.apr / 100,
        "term": loan.term,
        "customer_cash": loan.down,
        "minimum_customer_cash": 0,
        "maximum_customer_cash": loan.most_down,
        "due_at_signing": loan.down,
        "due_to_customer_at_signing": loan.most_down - purchase.balance,
        "total_financed": loan.financed,
        "total_financed_before_subsidy": loan.financed,
        "total_interest": loan.interest,
        "lender": lender.code,
        "lender_name": lender.name,
        "program_name": programs.finance_program_name(purchase.vehicle, score),
        "days_until_first_payment": 30,
        **_payments(loan.payment, loan.payment_before_taxes_and_fees),
        "base_payment": loan.payment_before_taxes_and_fees,
        "normalized_monthly_payment": normalized_payment,
        "normalized_monthly_payment_for_nontaxable_add_ons": normalized_payment,
        "total_cost": total_cost,
        "total_cost_of_ownership": total_cost,
    }


def _lease_terms(purchase: Purchase, lease: Lease) -> dict[str, Any]:
    lender = programs.LENDERS[purchase.vehicle.dealer.make]
    common = _common_terms(purchase)
    old_car = purchase.value_given - lease.due_to_customer
    total_cost = lease.down + purchase.total_fees + lease.payment * lease.term + old_car
    return {
        **common,
        **dict.fromkeys(_ZERO_LEASE_TERMS, 0),
        "fees": {**common["fees"], "acquisition": float(purchase.acquisition_fee)},
        "term": lease.term,
        "money_factor": lease.money_factor,
        "cap_cost": lease.adjusted_cap_cost,
        "residual_value": lease.residual,
        "base_residual_percent": lease.residual_percent,
        "residual_adjustment": lease.residual_adjustment,
        "annual_mileage": lease.annual_mileage,
        "lender": lender.code,
        "lender_name": lender.name,
        "program_name": programs.lease_program_name(purchase.vehicle),
        "residual_msrp": purchase.vehicle.msrp,
        "net_purchase_price": lease.adjusted_cap_cost - purchase.acquisition_fee,
        "monthly_tax": lease.use_tax,
        "effective_monthly_tax": lease.use_tax,
        **_payments(lease.payment, lease.base_payment),
        "first_payment": lease.payment,
        "base_payment": lease.base_payment,
        "normalized_monthly_payment_for_nontaxable_nonresidualizable_add_ons": to_cents(
            _NORMALIZED_PRINCIPAL / lease.term + _NORMALIZED_PRINCIPAL * lease.money_factor
        ),
        "customer_cash": lease.down,
        "desired_customer_cash": lease.desired_down,
        "down_from_customer_cash": lease.down,
        "maximum_customer_cash": lease.most_down,
        "due_at_signing": lease.down + purchase.total_fees + lease.payment,
        "due_to_customer_at_signing": lease.due_to_customer,
        "total_purchase_price": purchase.price + purchase.plans + purchase.acquisition_fee + purchase.total_fees,
        "total_cost": total_cost,
        "total_cost_of_ownership": total_cost,
        "fees_to_tax_at_signing": [],
        "fees_to_capitalize": ["acquisition"],
        "overage_charge": _OVERAGE_CHARGE,
        "total_fees_due_at_signing_except_acquisition_fee": purchase.total_fees,
        "total_fees_due_at_signing": purchase.total_fees,
        "total_fees_capitalized": purchase.acquisition_fee,
    }


def _payments(monthly: Decimal, before_taxes_and_fees: Decimal) -> dict[str, Any]:
    """Returns the payment a month, and the twelve payments of a year spread over 26 and over 52."""
    return {
        "payment_frequency": "month",
        "monthly_payment": monthly,
        "biweekly_payment": to_cents(monthly * 12 / 26),
        "weekly_payment": to_cents(monthly * 12 / 52),
        "monthly_payment_before_taxes_and_fees": before_taxes_and_fees,
        "biweekly_payment_before_taxes_and_fees": to_cents(before_taxes_and_fees * 12 / 26),
        "weekly_payment_before_taxes_and_fees": to_cents(before_taxes_and_fees * 12 / 52),
        "principal_for_normalized_payment": _NORMALIZED_PRINCIPAL,
    }


def _priced_vehicle(vehicle: Vehicle) -> dict[str, Any]:
    line, style = vehicle.line, f"{8_000_000 + vehicle.number}-{vehicle.year}"
    return {
        "used": False,
        "demo": False,
        "certified": False,
        "stock_number": vehicle.stock_number,
        "msrp": vehicle.msrp,
        "invoice": vehicle.msrp - vehicle.trim.base * 6 // 100,
        "prices": _prices(vehicle),
        "fees": [],
        "packages": _extras(vehicle.packages),
        "options": _extras(vehicle.options),
        "interior_color": _color(vehicle.interior, f"{style}-2"),
        "exterior_color": _color(vehicle.paint, f"{style}-1"),
        "premium_colors": [],
        "dealer_options": _extras(vehicle.dealer_options),
        "mpg": (line.city_mpg + line.highway_mpg) // 2,
        "mileage": 0,
        "make": vehicle.dealer.make,
        "model": line.model,
        "style_edmunds_id": style,
        "submodel": line.model,
        "title": f"{line.model} {vehicle.trim.name}",
        "trim": vehicle.trim.name,
        "transmission": {
            "speeds": line.gearbox.speeds,
            "label": line.gearbox.label,
            "type": vehicle.transmission_type,
        },
        "drivetrain": vehicle.trim.drivetrain,
        "engine": vars(line.engine),
        "dealer_name": vehicle.dealer.name,
        "body": line.body,
        "weight": line.weight,
        "year": vehicle.year,
        "mfg_codes": [1868],
    }


def _prices(vehicle: Vehicle) -> dict[str, Any]:
    dealer_installed = sum(extra.msrp for extra in vehicle.dealer_options)
    return {
        **dict.fromkeys(("gas_guzzler", "excise_tax", "registration_fee", "tax_credit"), 0),
        "base": vehicle.trim.base,
        "destination": vehicle.destination,
        "colors": vehicle.paint.msrp + vehicle.interior.msrp,
        "packages": sum(extra.msrp for extra in vehicle.packages),
        "options": sum(extra.msrp for extra in vehicle.options),
        "fees": vehicle.destination,
        "dio": dealer_installed,
        "total": vehicle.msrp + dealer_installed,
    }


def _extras(extras: Iterable[Extra]) -> list[dict[str, Any]]:
    return [{**vars(extra), "residual": 0, "invoice_price": extra.msrp} for extra in extras]


def _color(paint: Paint, color_id: str) -> dict[str, Any]:
    # In the reference's sample, a colour that consists of digits is a number.
    rgb = int(paint.rgb) if paint.rgb.isdigit() else paint.rgb
    return {"secondary_rgb": None, "msrp": paint.msrp, "id": color_id, "label": paint.label, "rgb": rgb}


def _trade(trade_in: RequestedTradeIn | None) -> dict[str, Any] | None:
    if trade_in is None:
        return None
    valuation = {
        "trade_in_value": trade_in.value,
        "trade_in_payoff": trade_in.payoff,
        "trade_in_ownership": trade_in.ownership,
        "trade_in_mileage": trade_in.mileage,
    }
    return {"valuation": {"valuation": valuation}}


def _to_json(terms: Mapping[str, Any]) -> dict[str, Any]:
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in terms.items()}

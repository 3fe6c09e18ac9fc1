"""The answer of POST /payments in its documented shape: 46, 69 and 85 terms, the deals' data, the programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from roadster_sandbox.world import programs
from roadster_sandbox.world.inventory import Vehicle
from roadster_sandbox.world.lineup import Extra, Paint
from roadster_sandbox.world.plans import ChosenPlan

from .deal_arithmetic import ZERO, Lease, Loan, Purchase, amortised, cents, lease, loan, purchase
from .requests import QuoteBody, RequestedTradeIn

_NORMALIZED_PRINCIPAL = Decimal(1000)
_OVERAGE_CHARGE = 0.15

# What the sandbox's dealers never charge or grant stands at zero, as in the reference's own sample.
_NEVER = (
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
_NEVER_BOUGHT = ("total_taxable_add_ons", "tax_adjustment")
_NEVER_FINANCED = ("stamp_tax", "normalized_monthly_payment_for_taxable_add_ons")
_NEVER_LEASED = (
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


def quote(vehicle: Vehicle, order: QuoteBody, plans: tuple[ChosenPlan, ...]) -> dict[str, Any]:
    """Cash, finance and lease side by side, whichever of them the request's payment terms were for."""
    bought = purchase(vehicle, order, plans)
    terms = {
        "cash": _cash_terms(bought),
        "finance": _finance_terms(bought, loan(bought, order), order.customer.credit_score),
        "lease": _lease_terms(bought, lease(bought, order)),
    }
    data = {
        "plans": [chosen.quoted() for chosen in plans],
        "accessories": [],
        "vehicle": _priced_vehicle(vehicle),
        "trade": _trade(order.trade_in),
    }
    deals = {
        deal_type: {"id": 4550 + vehicle.number, "deal_type": deal_type, "terms": _plain(deal), "data": data}
        for deal_type, deal in terms.items()
    }
    return {"deals": deals, "programs": programs.published(vehicle)}


def _common_terms(bought: Purchase) -> dict[str, Any]:
    before = bought.price + bought.plans
    return {
        **dict.fromkeys(_NEVER, 0),
        "msrp": bought.vehicle.msrp,
        "price": bought.price,
        "base_price_before_taxes_and_fees": bought.price,
        "base_price_after_fees": bought.price + bought.total_fees,
        "total_add_ons": bought.plans,
        "total_plans": bought.plans,
        "tax_rate": bought.rates.state,
        "secondary_tax_rate": bought.rates.county,
        "local_tax_rate": bought.rates.local,
        "combined_tax_rate": bought.rates.combined,
        "default_tax_bonus": True,
        "fees": {
            **dict.fromkeys(("acquisition", "handling", "inspection", "misc", "out_of_state"), 0),
            **_plain(bought.fees),
        },
        "rebate": bought.rebate,
        "taxable_rebate": bought.rebate,
        "trade_equity": bought.equity,
        "due_to_customer_at_signing": 0,
        "total_purchase_price": bought.total,
        "total_purchase_price_before_taxes_and_fees": before,
    }


def _taxes(bought: Purchase) -> dict[str, Any]:
    """The parts of the sales tax, of which the last takes the rounding, so that they add up."""
    primary, secondary = cents(bought.price * bought.rates.state), cents(bought.price * bought.rates.county)
    return {
        "sales_tax": bought.sales_tax,
        "primary_tax": primary,
        "secondary_tax": secondary,
        "local_tax": bought.sales_tax - primary - secondary,
        "fees_to_tax": [],
        "total_fees": bought.total_fees,
        "total_nontaxable_add_ons": bought.plans,
        **dict.fromkeys(_NEVER_BOUGHT, 0),
    }


def _cash_terms(bought: Purchase) -> dict[str, Any]:
    due = max(bought.balance, ZERO)
    return {
        **_common_terms(bought),
        **_taxes(bought),
        "normalized_taxable_add_on_price": cents(_NORMALIZED_PRINCIPAL * (1 + bought.rates.combined)),
        "normalized_nontaxable_add_on_price": _NORMALIZED_PRINCIPAL,
        "due_at_signing": due,
        "due_at_signing_before_taxes_and_fees": max(due - bought.total_fees - bought.sales_tax, ZERO),
        "due_to_customer_at_signing": due - bought.balance,
        "total_cost": bought.total - bought.rebate,
        "total_cost_of_ownership": bought.total - bought.rebate,
    }


def _finance_terms(bought: Purchase, borrowed: Loan, score: int) -> dict[str, Any]:
    lender = programs.LENDERS[bought.vehicle.dealer.make]
    total_cost = bought.total - bought.rebate + borrowed.interest
    normalized = amortised(_NORMALIZED_PRINCIPAL, borrowed.apr, borrowed.term)
    return {
        **_common_terms(bought),
        **_taxes(bought),
        **dict.fromkeys(_NEVER_FINANCED, 0),
        # A fraction, while the programs have the same rate in percent.
        "interest_rate": borrowed.apr / 100,
        "effective_interest_rate": borrowed.apr / 100,
        "term": borrowed.term,
        "customer_cash": borrowed.down,
        "minimum_customer_cash": 0,
        "maximum_customer_cash": borrowed.most_down,
        "due_at_signing": borrowed.down,
        "due_to_customer_at_signing": borrowed.most_down - bought.balance,
        "total_financed": borrowed.financed,
        "total_financed_before_subsidy": borrowed.financed,
        "total_interest": borrowed.interest,
        "lender": lender.code,
        "lender_name": lender.name,
        "program_name": programs.finance_program_name(bought.vehicle, score),
        "days_until_first_payment": 30,
        **_payments(borrowed.payment, borrowed.payment_before_taxes_and_fees),
        "base_payment": borrowed.payment_before_taxes_and_fees,
        "normalized_monthly_payment": normalized,
        "normalized_monthly_payment_for_nontaxable_add_ons": normalized,
        "total_cost": total_cost,
        "total_cost_of_ownership": total_cost,
    }


def _lease_terms(bought: Purchase, leased: Lease) -> dict[str, Any]:
    lender = programs.LENDERS[bought.vehicle.dealer.make]
    common = _common_terms(bought)
    total_cost = leased.down + bought.total_fees + leased.payment * leased.term
    return {
        **common,
        **dict.fromkeys(_NEVER_LEASED, 0),
        "fees": {**common["fees"], "acquisition": float(bought.acquisition_fee)},
        "term": leased.term,
        "money_factor": leased.money_factor,
        "cap_cost": leased.adjusted_cap_cost,
        "residual_value": leased.residual,
        "base_residual_percent": leased.residual_percent,
        "residual_adjustment": leased.residual_adjustment,
        "annual_mileage": leased.annual_mileage,
        "lender": lender.code,
        "lender_name": lender.name,
        "program_name": programs.lease_program_name(bought.vehicle),
        "residual_msrp": bought.vehicle.msrp,
        "net_purchase_price": leased.adjusted_cap_cost - bought.acquisition_fee,
        "monthly_tax": leased.use_tax,
        "effective_monthly_tax": leased.use_tax,
        **_payments(leased.payment, leased.base_payment),
        "first_payment": leased.payment,
        "base_payment": leased.base_payment,
        "normalized_monthly_payment_for_nontaxable_nonresidualizable_add_ons": cents(
            _NORMALIZED_PRINCIPAL / leased.term + _NORMALIZED_PRINCIPAL * leased.money_factor
        ),
        "customer_cash": leased.down,
        "desired_customer_cash": leased.desired_down,
        "down_from_customer_cash": leased.down,
        "maximum_customer_cash": leased.most_down,
        "due_at_signing": leased.down + bought.total_fees + leased.payment,
        "total_purchase_price": bought.price + bought.plans + bought.acquisition_fee + bought.total_fees,
        "total_cost": total_cost,
        "total_cost_of_ownership": total_cost,
        "fees_to_tax_at_signing": [],
        "fees_to_capitalize": ["acquisition"],
        "overage_charge": _OVERAGE_CHARGE,
        "total_fees_due_at_signing_except_acquisition_fee": bought.total_fees,
        "total_fees_due_at_signing": bought.total_fees,
        "total_fees_capitalized": bought.acquisition_fee,
    }


def _payments(monthly: Decimal, before: Decimal) -> dict[str, Any]:
    """A year's twelve payments, spread over 26 or 52."""
    return {
        "payment_frequency": "month",
        "monthly_payment": monthly,
        "biweekly_payment": cents(monthly * 12 / 26),
        "weekly_payment": cents(monthly * 12 / 52),
        "monthly_payment_before_taxes_and_fees": before,
        "biweekly_payment_before_taxes_and_fees": cents(before * 12 / 26),
        "weekly_payment_before_taxes_and_fees": cents(before * 12 / 52),
        "principal_for_normalized_payment": _NORMALIZED_PRINCIPAL,
    }


def _priced_vehicle(vehicle: Vehicle) -> dict[str, Any]:
    line, style = vehicle.line, f"{8_000_000 + vehicle.number}-{vehicle.year}"
    dealer_installed = sum(extra.msrp for extra in vehicle.dealer_options)
    return {
        "used": False,
        "demo": False,
        "certified": False,
        "stock_number": vehicle.stock_number,
        "msrp": vehicle.msrp,
        "invoice": vehicle.msrp - vehicle.trim.base * 6 // 100,
        "prices": {
            **dict.fromkeys(("gas_guzzler", "excise_tax", "registration_fee", "tax_credit"), 0),
            "base": vehicle.trim.base,
            "destination": vehicle.destination,
            "colors": vehicle.paint.msrp + vehicle.interior.msrp,
            "packages": sum(extra.msrp for extra in vehicle.packages),
            "options": sum(extra.msrp for extra in vehicle.options),
            "fees": vehicle.destination,
            "dio": dealer_installed,
            "total": vehicle.msrp + dealer_installed,
        },
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


def _extras(extras: Iterable[Extra]) -> list[dict[str, Any]]:
    return [{**vars(extra), "residual": 0, "invoice_price": extra.msrp} for extra in extras]


def _color(paint: Paint, color_id: str) -> dict[str, Any]:
    # The reference's sample has a colour of digits alone as a number.
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


def _plain(terms: Mapping[str, Any]) -> dict[str, Any]:
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in terms.items()}

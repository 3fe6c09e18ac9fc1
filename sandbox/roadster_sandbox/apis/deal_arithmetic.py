"""The arithmetic of a deal, so that every question about a quote has exactly one right answer.

Each named amount is rounded to cents, half up, where it arises, and what is built upon it takes the rounded amount.
Rates are never rounded. `price` is the vehicle's price and `plans` the sum of the protection plans.

    sales tax   = price * combined rate of the dealer's state; neither a rebate nor a trade-in lowers the tax base
    fees        = doc + filing + license + tire of the dealer's state
    equity      = trade-in value - payoff; negative where more is owed than the car is worth
    total       = price + plans + fees + sales tax
    balance     = total - rebate - equity
    cash        due at signing = balance
    finance     financed = balance - down; payment = financed*r / (1 - (1 + r)^-n) with r = APR / 12, n months
                (financed / n at 0 %); interest = n * payment - financed
    lease       gross cap cost = price + plans + acquisition fee
                cap cost reduction = down + rebate + equity
                adjusted cap cost = gross - reduction
                residual = MSRP * base residual percent + MSRP * mileage points, each rounded
                base payment = (adjusted - residual) / n + (adjusted + residual) * money factor
                monthly use tax = base payment * combined rate; payment = base payment + use tax
                due at signing = down + fees + first payment

`no_taxes_or_fees` makes the tax, the fees and the acquisition fee zero. A down payment above what is left to pay is
cut to that; what a trade-in or rebate leaves over is due to the customer. A lease payment is at least zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from roadster_sandbox.world import programs
from roadster_sandbox.world.dealers import ACQUISITION_FEE, FEES, TAX_RATES, TaxRates
from roadster_sandbox.world.inventory import Vehicle
from roadster_sandbox.world.plans import ChosenPlan

from .requests import QuoteBody, RequestedTerms

ZERO = Decimal(0)
DEFAULT_FINANCE_TERM, DEFAULT_LEASE_TERM = 60, 36

_UNTAXED = TaxRates(ZERO, ZERO, ZERO)


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def amortised(principal: Decimal, apr: Decimal, months: int) -> Decimal:
    """The monthly payment that repays `principal` in `months`; `apr` in percent a year."""
    rate = apr / 1200
    return cents(principal * rate / (1 - (1 + rate) ** -months) if rate else principal / months)


@dataclass(frozen=True)
class Purchase:
    """What the three deals have in common."""

    vehicle: Vehicle
    price: Decimal
    plans: Decimal
    rates: TaxRates
    fees: Mapping[str, Decimal]
    acquisition_fee: Decimal
    rebate: Decimal
    equity: Decimal

    @property
    def sales_tax(self) -> Decimal:
        return cents(self.price * self.rates.combined)

    @property
    def total_fees(self) -> Decimal:
        return sum(self.fees.values(), ZERO)

    @property
    def total(self) -> Decimal:
        return self.price + self.plans + self.total_fees + self.sales_tax

    @property
    def balance(self) -> Decimal:
        return self.total - self.rebate - self.equity


@dataclass(frozen=True)
class Loan:
    """`apr` in percent, `term` in months."""

    apr: Decimal
    term: int
    down: Decimal
    most_down: Decimal
    financed: Decimal
    payment: Decimal
    payment_before_taxes_and_fees: Decimal

    @property
    def interest(self) -> Decimal:
        return self.payment * self.term - self.financed


@dataclass(frozen=True)
class Lease:
    """`residual_percent` is the base residual; `money_factor` a fraction; `term` in months."""

    term: int
    annual_mileage: int
    money_factor: Decimal
    gross_cap_cost: Decimal
    down: Decimal
    desired_down: Decimal
    most_down: Decimal
    adjusted_cap_cost: Decimal
    residual_percent: int
    residual_adjustment: Decimal
    residual: Decimal
    base_payment: Decimal
    use_tax: Decimal

    @property
    def payment(self) -> Decimal:
        return self.base_payment + self.use_tax


def purchase(vehicle: Vehicle, order: QuoteBody, plans: tuple[ChosenPlan, ...]) -> Purchase:
    state, untaxed = vehicle.dealer.state, order.payment.no_taxes_or_fees
    trade = order.trade_in
    return Purchase(
        vehicle=vehicle,
        price=Decimal(vehicle.price),
        plans=Decimal(sum(chosen.tier.price for chosen in plans)),
        rates=_UNTAXED if untaxed else TAX_RATES[state],
        fees={name: ZERO if untaxed else fee for name, fee in FEES[state].items()},
        acquisition_fee=ZERO if untaxed else ACQUISITION_FEE,
        rebate=programs.rebate(vehicle, order.customer.incentives),
        equity=_money(trade.value) - _money(trade.payoff) if trade else ZERO,
    )


def loan(bought: Purchase, order: QuoteBody) -> Loan:
    terms = order.payment if order.payment.deal_type == "finance" else RequestedTerms()
    term = terms.term or DEFAULT_FINANCE_TERM
    apr = programs.apr(bought.vehicle, order.customer.credit_score, term)
    most_down = max(bought.balance, ZERO)
    down = min(_money(terms.customer_cash), most_down)
    financed = most_down - down
    untaxed = max(financed - bought.total_fees - bought.sales_tax, ZERO)
    return Loan(
        apr=apr,
        term=term,
        down=down,
        most_down=most_down,
        financed=financed,
        payment=amortised(financed, apr, term),
        payment_before_taxes_and_fees=amortised(untaxed, apr, term),
    )


def lease(bought: Purchase, order: QuoteBody) -> Lease:
    terms = order.payment if order.payment.deal_type == "lease" else RequestedTerms()
    term = terms.term or DEFAULT_LEASE_TERM
    mileage = order.payment.annual_mileage
    money_factor = programs.money_factor(bought.vehicle, order.customer.credit_score)
    msrp = Decimal(bought.vehicle.msrp)
    percent = programs.base_residual(bought.vehicle, term)
    adjustment = cents(msrp * programs.mileage_residual(mileage) / 100)
    residual = cents(msrp * percent / 100) + adjustment
    gross = bought.price + bought.plans + bought.acquisition_fee
    most_down = max(gross - bought.rebate - bought.equity - residual, ZERO)
    desired_down = _money(terms.customer_cash)
    down = min(desired_down, most_down)
    adjusted = gross - down - bought.rebate - bought.equity
    payment = max(cents((adjusted - residual) / term + (adjusted + residual) * money_factor), ZERO)
    return Lease(
        term=term,
        annual_mileage=mileage,
        money_factor=money_factor,
        gross_cap_cost=gross,
        down=down,
        desired_down=desired_down,
        most_down=most_down,
        adjusted_cap_cost=adjusted,
        residual_percent=percent,
        residual_adjustment=adjustment,
        residual=residual,
        base_payment=payment,
        use_tax=cents(payment * bought.rates.combined),
    )


def _money(amount: float) -> Decimal:
    return cents(Decimal(str(amount)))

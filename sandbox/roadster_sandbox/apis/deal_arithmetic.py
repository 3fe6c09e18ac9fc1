"""The arithmetic of a deal. Every question about a quote has exactly one right answer.

Each named amount is rounded to cents, half up, when it is calculated. Later amounts are calculated from the rounded
one. Rates are never rounded. `price` is the vehicle's price and `plans` the sum of the protection plans.

    sales tax   = price * combined rate of the customer's state; neither a rebate nor a trade-in lowers the tax base
    fees        = doc + filing + tire of the dealer's state + license of the customer's state
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
    total cost  = due at signing + later payments + value given - due to the customer, where
    value given = equity, but 0 where it is negative: what is owed is paid in money then; that is
    cash        total - rebate + debt, with debt = the negative equity without its sign
    finance     total - rebate + debt + interest
    lease       down + fees + n * payment + the value given that was used; the car goes back at its end

The customer's state is that of their zip code. Without one, or for one outside the states, it is the dealer's. The
total cost is what the customer gives away in money and in their old car, so the three deals can be compared.

`no_taxes_or_fees` makes the tax, the fees and the acquisition fee zero. A down payment is at most the amount that is
left to pay. If a trade-in or rebate is worth more than that, the difference is due to the customer. A lease can take no
more than what is above its residual.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from roadster_sandbox.world import programs
from roadster_sandbox.world.dealers import ACQUISITION_FEE, FEES
from roadster_sandbox.world.inventory import Vehicle
from roadster_sandbox.world.plans import ChosenPlan
from roadster_sandbox.world.taxes import TAX_RATES, TaxRates, state_of

from .requests import QuoteBody, RequestedTerms

ZERO = Decimal(0)
DEFAULT_FINANCE_TERM, DEFAULT_LEASE_TERM = 60, 36

_NO_TAXES = TaxRates(ZERO, ZERO, ZERO, ZERO)


def to_cents(amount: Decimal) -> Decimal:
    """Returns the amount rounded to cents, half up."""
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def monthly_payment(principal: Decimal, apr: Decimal, months: int) -> Decimal:
    """Returns the payment that repays `principal` in `months`, at an `apr` in percent a year."""
    rate = apr / 1200
    return to_cents(principal * rate / (1 - (1 + rate) ** -months) if rate else principal / months)


@dataclass(frozen=True)
class Purchase:
    """The amounts that the three deals have in common."""

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
        return to_cents(self.price * self.rates.combined_rate)

    @property
    def total_fees(self) -> Decimal:
        return sum(self.fees.values(), ZERO)

    @property
    def total(self) -> Decimal:
        return self.price + self.plans + self.total_fees + self.sales_tax

    @property
    def balance(self) -> Decimal:
        return self.total - self.rebate - self.equity

    @property
    def value_given(self) -> Decimal:
        """The part of the total cost that is the old car. A debt on it is paid in money, so it is none."""
        return max(self.equity, ZERO)

    @property
    def total_cost(self) -> Decimal:
        """The total cost in cash. A loan adds its interest."""
        return self.balance + self.value_given


@dataclass(frozen=True)
class Loan:
    """A finance deal. `apr` is in percent and `term` in months. `most_down` is the largest useful down payment."""

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
    """A lease deal. `residual_percent` is the base residual, `money_factor` a fraction, and `term` in months.

    `desired_down` is the requested down payment, and `down` the part of it that is due, at most `most_down`.
    `due_to_customer` is the part of the trade-in and the rebate that the lease cannot take.
    """

    term: int
    annual_mileage: int
    money_factor: Decimal
    gross_cap_cost: Decimal
    down: Decimal
    desired_down: Decimal
    most_down: Decimal
    due_to_customer: Decimal
    adjusted_cap_cost: Decimal
    residual_percent: int
    residual_adjustment: Decimal
    residual: Decimal
    base_payment: Decimal
    use_tax: Decimal

    @property
    def payment(self) -> Decimal:
        return self.base_payment + self.use_tax


def calculate_purchase(vehicle: Vehicle, body: QuoteBody, plans: tuple[ChosenPlan, ...]) -> Purchase:
    no_taxes, trade_in = body.payment.no_taxes_or_fees, body.trade_in
    home = state_of(body.customer.zip_code or "") or vehicle.dealer.state
    rates = TAX_RATES[home]
    fees = {**FEES[vehicle.dealer.state], "license": rates.registration}
    return Purchase(
        vehicle=vehicle,
        price=Decimal(vehicle.price),
        plans=Decimal(sum(plan.tier.price for plan in plans)),
        rates=_NO_TAXES if no_taxes else rates,
        fees={name: ZERO if no_taxes else fee for name, fee in fees.items()},
        acquisition_fee=ZERO if no_taxes else ACQUISITION_FEE,
        rebate=programs.rebate(vehicle, body.customer.incentives),
        equity=_money(trade_in.value) - _money(trade_in.payoff) if trade_in else ZERO,
    )


def calculate_loan(purchase: Purchase, body: QuoteBody) -> Loan:
    terms = body.payment if body.payment.deal_type == "finance" else RequestedTerms()
    term = terms.term or DEFAULT_FINANCE_TERM
    apr = programs.apr(purchase.vehicle, body.customer.credit_score, term)
    most_down = max(purchase.balance, ZERO)
    down = min(_money(terms.customer_cash), most_down)
    financed = most_down - down
    untaxed_amount = max(financed - purchase.total_fees - purchase.sales_tax, ZERO)
    return Loan(
        apr=apr,
        term=term,
        down=down,
        most_down=most_down,
        financed=financed,
        payment=monthly_payment(financed, apr, term),
        payment_before_taxes_and_fees=monthly_payment(untaxed_amount, apr, term),
    )


def calculate_lease(purchase: Purchase, body: QuoteBody) -> Lease:
    terms = body.payment if body.payment.deal_type == "lease" else RequestedTerms()
    term = terms.term or DEFAULT_LEASE_TERM
    mileage = body.payment.annual_mileage
    money_factor = programs.money_factor(purchase.vehicle, body.customer.credit_score)
    msrp = Decimal(purchase.vehicle.msrp)
    percent = programs.base_residual(purchase.vehicle, term)
    adjustment = to_cents(msrp * programs.mileage_residual(mileage) / 100)
    residual = to_cents(msrp * percent / 100) + adjustment
    gross = purchase.price + purchase.plans + purchase.acquisition_fee
    above_residual = gross - purchase.rebate - purchase.equity - residual
    most_down = max(above_residual, ZERO)
    desired_down = _money(terms.customer_cash)
    down = min(desired_down, most_down)
    adjusted = residual + most_down - down
    base_payment = to_cents((adjusted - residual) / term + (adjusted + residual) * money_factor)
    return Lease(
        term=term,
        annual_mileage=mileage,
        money_factor=money_factor,
        gross_cap_cost=gross,
        down=down,
        desired_down=desired_down,
        most_down=most_down,
        due_to_customer=most_down - above_residual,
        adjusted_cap_cost=adjusted,
        residual_percent=percent,
        residual_adjustment=adjustment,
        residual=residual,
        base_payment=base_payment,
        use_tax=to_cents(base_payment * purchase.rates.combined_rate),
    )


def _money(amount: float) -> Decimal:
    return to_cents(Decimal(str(amount)))

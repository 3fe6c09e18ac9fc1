"""The answer of POST /payments: three deals with their terms, and the programs that they come from."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from roadster_client.leniency import SUBJECT

from .dealer_figures import DealerOnly, IncentiveRows, RebateRows
from .parts import Received
from .personal_data import FinancialAmount
from .values import (
    Fraction,
    InterestPercent,
    MilesAYear,
    Money,
    MoneyFactor,
    Number,
    Payment,
    Percent,
    Price,
    TermMonths,
    ThousandfoldFactor,
    WholeNumber,
)
from .vehicles import Color, Engine, Option, Transmission


class Fees(Received):
    acquisition: Money | None = None
    doc: Money | None = None
    filing: Money | None = None
    handling: Money | None = None
    inspection: Money | None = None
    license: Money | None = None
    misc: Money | None = None
    out_of_state: Money | None = None
    tire: Money | None = None


class Terms(Received):
    """The terms that all three deals have.

    In the reference, `total_cost` is `total_cost_of_ownership` with `total_contribution`, which is the dealer cash. So
    it tells the dealer's part, and the other one is what the customer pays.
    """

    msrp: Price | None = None
    price: Price | None = None
    base_price_before_taxes_and_fees: Money | None = None
    base_price_after_fees: Money | None = None
    total_add_ons: Money | None = None
    total_accessories: Money | None = None
    total_plans: Money | None = None
    tax_rate: Fraction | None = None
    secondary_tax_rate: Fraction | None = None
    local_tax_rate: Fraction | None = None
    combined_tax_rate: Fraction | None = None
    local_tax: Money | None = None
    tax_surcharge: Money | None = None
    default_tax_bonus: bool | None = None
    fees: Fees | None = None
    dealer_cash: DealerOnly[Money] = None
    total_bonus: Money | None = None
    nontaxable_bonus: Money | None = None
    taxable_bonus: Money | None = None
    rebate: Money | None = None
    nontaxable_rebate: Money | None = None
    taxable_rebate: Money | None = None
    total_coupon: Money | None = None
    add_on_discount: Money | None = None
    plans_discount: Money | None = None
    trade_equity: Money | None = None
    trade_tax_credit: Money | None = None
    due_at_signing: Money | None = None
    due_to_customer_at_signing: Money | None = None
    total_purchase_price: Money | None = None
    total_purchase_price_before_taxes_and_fees: Money | None = None
    total_cost: DealerOnly[Money] = None
    total_cost_of_ownership: Money | None = None
    total_contribution: DealerOnly[Money] = None
    profit: DealerOnly[Money] = None


class CashTerms(Terms):
    """All 46 terms. Sums in the reference do not add up, so never recompute a total."""

    total_taxable_add_ons: Money | None = None
    total_nontaxable_add_ons: Money | None = None
    normalized_taxable_add_on_price: Money | None = None
    normalized_nontaxable_add_on_price: Money | None = None
    sales_tax: Money | None = None
    primary_tax: Money | None = None
    secondary_tax: Money | None = None
    tax_adjustment: Money | None = None
    fees_to_tax: tuple[str, ...] = ()
    total_fees: Money | None = None
    due_at_signing_before_taxes_and_fees: Money | None = None


class FinanceTerms(Terms):
    """All 69 terms. `interest_rate` is a fraction here and a percentage in the programs. `term` is in months."""

    interest_rate: Fraction | None = None
    effective_interest_rate: Fraction | None = None
    term: TermMonths | None = None
    customer_cash: Payment | None = None
    minimum_customer_cash: Money | None = None
    maximum_customer_cash: Money | None = None
    total_financed: Payment | None = None
    total_financed_before_subsidy: DealerOnly[Money] = None
    total_interest: Money | None = None
    lender: str | None = None
    lender_name: str | None = None
    program_name: str | None = None
    days_until_first_payment: WholeNumber | None = None
    total_taxable_add_ons: Money | None = None
    total_nontaxable_add_ons: Money | None = None
    sales_tax: Money | None = None
    primary_tax: Money | None = None
    secondary_tax: Money | None = None
    stamp_tax: Money | None = None
    tax_adjustment: Money | None = None
    fees_to_tax: tuple[str, ...] = ()
    total_fees: Money | None = None
    payment_frequency: str | None = None
    monthly_payment: Payment | None = None
    biweekly_payment: Payment | None = None
    weekly_payment: Payment | None = None
    base_payment: Money | None = None
    monthly_payment_before_taxes_and_fees: Money | None = None
    weekly_payment_before_taxes_and_fees: Money | None = None
    biweekly_payment_before_taxes_and_fees: Money | None = None
    principal_for_normalized_payment: Money | None = None
    normalized_monthly_payment: Money | None = None
    normalized_monthly_payment_for_taxable_add_ons: Money | None = None
    normalized_monthly_payment_for_nontaxable_add_ons: Money | None = None


class LeaseTerms(Terms):
    """All 85 terms. `money_factor` times 2,400 is the rate in percent. `term` is in months, mileage in miles a year."""

    term: TermMonths | None = None
    money_factor: MoneyFactor | None = None
    cap_cost: Payment | None = None
    residual_value: Payment | None = None
    base_residual_percent: Percent | None = None
    residual_adjustment: Money | None = None
    annual_mileage: MilesAYear | None = None
    excess_mileage: Number | None = None
    excess_mileage_charge: Money | None = None
    lender: str | None = None
    lender_name: str | None = None
    program_name: str | None = None
    residual_msrp: Money | None = None
    net_purchase_price: Money | None = None
    total_residualizable_add_ons: Money | None = None
    initial_tax: Money | None = None
    initial_primary_tax: Money | None = None
    initial_secondary_tax: Money | None = None
    monthly_tax: Money | None = None
    tax_due_at_signing: Money | None = None
    total_tax_capitalized: Money | None = None
    effective_monthly_tax: Money | None = None
    monthly_payment: Payment | None = None
    biweekly_payment: Payment | None = None
    weekly_payment: Payment | None = None
    first_payment: Payment | None = None
    first_payment_waiver: Money | None = None
    payment_frequency: str | None = None
    base_payment: Money | None = None
    monthly_payment_before_taxes_and_fees: Money | None = None
    weekly_payment_before_taxes_and_fees: Money | None = None
    biweekly_payment_before_taxes_and_fees: Money | None = None
    principal_for_normalized_payment: Money | None = None
    normalized_monthly_payment_for_nontaxable_nonresidualizable_add_ons: Money | None = None
    normalized_monthly_payment_for_nontaxable_residualizable_add_ons: Money | None = None
    normalized_monthly_payment_for_taxable_nonresidualizable_add_ons: Money | None = None
    normalized_monthly_payment_for_taxable_residualizable_add_ons: Money | None = None
    customer_cash: Payment | None = None
    desired_customer_cash: Money | None = None
    security_deposit_due_at_signing: Payment | None = None
    down_from_customer_cash: Money | None = None
    minimum_customer_cash: Money | None = None
    maximum_customer_cash: Money | None = None
    fees_to_tax_at_signing: tuple[str, ...] = ()
    fees_to_capitalize: tuple[str, ...] = ()
    overage_charge: Money | None = None
    purchase_charge: Money | None = None
    total_fees_due_at_signing_except_acquisition_fee: Money | None = None
    total_fees_due_at_signing: Money | None = None
    total_fees_capitalized: Money | None = None


class QuotedPlan(Received):
    """A protection plan within a deal. `tier_term` is in months, `tier_mileage` in miles."""

    retail_add_on_id: WholeNumber | None = None
    title: str | None = None
    price: Money | None = None
    product_code: str | None = None
    pricing_source: str | None = None
    taxable: bool | None = None
    residualize: bool | None = None
    backend_profit: DealerOnly[bool] = None
    tier_code: str | None = None
    tier_title: str | None = None
    tier_term: WholeNumber | None = None
    tier_mileage: WholeNumber | None = None
    surcharges: str | None = None


class Prices(Received):
    base: Money | None = None
    destination: Money | None = None
    gas_guzzler: Money | None = None
    excise_tax: Money | None = None
    registration_fee: Money | None = None
    colors: Money | None = None
    packages: Money | None = None
    options: Money | None = None
    fees: Money | None = None
    dio: Money | None = None
    total: Money | None = None
    tax_credit: Money | None = None


class DealVehicle(Received):
    """The vehicle of a deal. `mpg` is a single figure. `weight` is in pounds, `mileage` in miles."""

    used: bool | None = None
    demo: bool | None = None
    certified: bool | None = None
    stock_number: str | None = None
    msrp: Money | None = None
    invoice: DealerOnly[Money] = None
    prices: Prices | None = None
    fees: tuple[Option, ...] = ()
    packages: tuple[Option, ...] = ()
    options: tuple[Option, ...] = ()
    interior_color: Color | None = None
    exterior_color: Color | None = None
    premium_colors: tuple[Color, ...] = ()
    dealer_options: tuple[Option, ...] = ()
    mpg: Number | None = None
    mileage: Number | None = None
    make: str | None = None
    model: str | None = None
    style_edmunds_id: str | None = None
    submodel: str | None = None
    title: str | None = None
    trim: str | None = None
    transmission: Transmission | None = None
    drivetrain: str | None = None
    engine: Engine | None = None
    dealer_name: str | None = None
    body: str | None = None
    weight: Number | None = None
    year: WholeNumber | None = None
    mfg_codes: tuple[str, ...] = ()


class TradeValues(Received):
    trade_in_value: Money | None = None
    trade_in_payoff: FinancialAmount = None
    trade_in_ownership: str | None = None
    trade_in_mileage: Number | None = None


class Valuation(Received):
    valuation: TradeValues | None = None


class Trade(Received):
    """A trade-in. The reference nests `valuation` in `valuation`."""

    valuation: Valuation | None = None


class DealData(Received):
    """The parts of a deal. `accessories` is not read, because the reference shows only the text "string"."""

    plans: tuple[QuotedPlan, ...] = ()
    vehicle: DealVehicle | None = None
    trade: Trade | None = None


class CashDeal(Received):
    id: WholeNumber | None = None
    deal_type: str | None = None
    terms: Annotated[CashTerms, SUBJECT] = Field(default_factory=CashTerms)
    data: DealData | None = None


class FinanceDeal(Received):
    id: WholeNumber | None = None
    deal_type: str | None = None
    terms: Annotated[FinanceTerms, SUBJECT] = Field(default_factory=FinanceTerms)
    data: DealData | None = None


class LeaseDeal(Received):
    id: WholeNumber | None = None
    deal_type: str | None = None
    terms: Annotated[LeaseTerms, SUBJECT] = Field(default_factory=LeaseTerms)
    data: DealData | None = None


class Deals(Received):
    """The three deals. Each is None where the dealer does not offer it."""

    cash: CashDeal | None = None
    finance: FinanceDeal | None = None
    lease: LeaseDeal | None = None


class Incentive(Received):
    name: str | None = None
    display_name: str | None = None
    cash: Money | None = None
    expires_at: str | None = None


class Rebate(Received):
    id: WholeNumber | None = None
    program_id: str | None = None
    name: str | None = None
    cash: Money | None = None
    recipient: str | None = None
    expires_at: str | None = None


class CashProgram(Received):
    """The program for cash. The reference shows one object, with the `deal_type` "finance"."""

    deal_type: str | None = None
    rebate: Money | None = None
    incentives: IncentiveRows[Incentive] = ()
    rebates: RebateRows[Rebate] = ()


class FinanceProgram(Received):
    """A program for financing. `interest_rate` is a percentage here and a fraction in the deals."""

    deal_type: str | None = None
    term: TermMonths | None = None
    interest_rate: InterestPercent | None = None
    min_score: WholeNumber | None = None
    expires_at: str | None = None
    incentives: IncentiveRows[Incentive] = ()
    rebates: RebateRows[Rebate] = ()


class LeaseProgram(Received):
    """A program for leasing. Its `money_factor` is a thousand times that of the deals: 3.1 for 0.0031.

    Use `money_factor_fraction` instead.
    """

    name: str | None = None
    deal_type: str | None = None
    lender: str | None = None
    lender_name: str | None = None
    term: TermMonths | None = None
    money_factor: ThousandfoldFactor | None = None
    base_residual: Percent | None = None
    base_annual_mileage: MilesAYear | None = None
    min_score: WholeNumber | None = None
    expires_at: str | None = None
    incentives: IncentiveRows[Incentive] = ()
    rebates: RebateRows[Rebate] = ()

    @property
    def money_factor_fraction(self) -> float | None:
        """The money factor as in the deals, for instance 0.0031."""
        return None if self.money_factor is None else self.money_factor / 1000


def _to_array(value: Any) -> Any:
    """Reads one object as an array of one. In the reference, `cash` is an object, `finance` and `lease` are arrays."""
    return [value] if isinstance(value, dict) else value


class Programs(Received):
    cash: CashProgram | None = None
    finance: Annotated[tuple[FinanceProgram, ...], BeforeValidator(_to_array)] = ()
    lease: Annotated[tuple[LeaseProgram, ...], BeforeValidator(_to_array)] = ()


class Quote(Received):
    """The whole answer, of about 16 KB."""

    deals: Deals | None = None
    programs: Programs | None = None

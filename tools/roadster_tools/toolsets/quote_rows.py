"""The rows of a quote: a deal of each kind, the programs behind the deals, rebates and incentives."""

from __future__ import annotations

from roadster_tools.answers import ToolAnswer


class CashQuote(ToolAnswer):
    msrp: float | None = None
    price: float | None = None
    rebate: float | None = None
    total_fees: float | None = None
    sales_tax: float | None = None
    trade_equity: float | None = None
    due_at_signing: float | None = None
    total_cost: float | None = None


class FinanceQuote(ToolAnswer):
    monthly_payment: float | None = None
    term_months: int | None = None
    apr_percent: float | None = None
    due_at_signing: float | None = None
    total_financed: float | None = None
    total_interest: float | None = None
    total_cost: float | None = None
    lender: str | None = None


class LeaseQuote(ToolAnswer):
    monthly_payment: float | None = None
    term_months: int | None = None
    money_factor: float | None = None
    annual_miles: float | None = None
    due_at_signing: float | None = None
    residual_value: float | None = None
    residual_percent: float | None = None
    total_cost: float | None = None
    lender: str | None = None


class FinanceProgramRow(ToolAnswer):
    term_months: int | None = None
    apr_percent: float | None = None
    min_credit_score: int | None = None
    expires_at: str | None = None


class LeaseProgramRow(ToolAnswer):
    term_months: int | None = None
    money_factor: float | None = None
    residual_percent: float | None = None
    annual_miles: float | None = None
    min_credit_score: int | None = None
    lender: str | None = None
    expires_at: str | None = None


class DiscountRow(ToolAnswer):
    """A rebate or an incentive. `to` is its recipient where the documents name one."""

    name: str | None = None
    amount: float | None = None
    to: str | None = None
    expires_at: str | None = None

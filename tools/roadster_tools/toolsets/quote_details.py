"""The full part of a quote: every documented term of each deal, and the programs behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import Field, WithJsonSchema

from roadster_client.models.parts import Received
from roadster_client.models.payments import DealType
from roadster_client.models.quotes import FinanceProgram, LeaseProgram, Programs, Quote
from roadster_tools.answers import ToolAnswer, number_text, plain, table

from .quote_deals import Program, deals_of, percent, programs_by_deal
from .quote_rows import DiscountRow, FinanceProgramRow, LeaseProgramRow, whole_number

_MOST_ROWS = 20
"""Rows of each list in a full answer: programs, rebates, a vehicle's options. The documents show one to three."""

_NAMES_OF_NUMBERS = ("year", "id")
"""Ends of the names of numbers that count nothing, so their digits stay together."""

_RowT = TypeVar("_RowT")

# The fields explain themselves. In the list of tools, which every client loads, their schemas would take 700 bytes.
_Rows = Annotated[list[_RowT], WithJsonSchema({"items": {"type": "object"}, "type": "array"})]


class QuoteDetails(ToolAnswer):
    """Every documented term of each deal, with rates in percent, and the programs behind them."""

    terms: dict[str, dict[str, Any]] = Field(description="by deal: cash, finance, lease")
    plans: list[dict[str, Any]]
    vehicle: dict[str, Any]
    finance_programs: _Rows[FinanceProgramRow]
    lease_programs: _Rows[LeaseProgramRow]
    rebates: _Rows[DiscountRow]
    incentives: _Rows[DiscountRow]
    rows_cut: dict[str, int] | None = Field(default=None, description="rows not shown, by list")

    def text(self) -> str:
        return "\n".join(
            [
                *_terms_text(self.terms),
                *(f"Plan: {_fields_text(plan)}" for plan in self.plans),
                "Vehicle:",
                *(f"{name}: {_field_text(name, value)}" for name, value in _flatten(self.vehicle)),
                *table("Finance programs", self.finance_programs),
                *table("Lease programs", self.lease_programs),
                *table("Rebates", self.rebates),
                *table("Incentives", self.incentives),
            ]
        )


def quote_details(quote: Quote, term_months: int | None) -> QuoteDetails:
    """Returns all that Roadster says. The programs nearest to the term come first."""
    deals = deals_of(quote)
    data = next((deal.data for deal in deals.values() if deal.data is not None), None)
    programs = quote.programs or Programs()
    lists = _ShortLists()
    return QuoteDetails(
        terms={name: _terms_of(deal.terms) for name, deal in deals.items()},
        plans=lists.shorten("plans", [json_of(plan) for plan in data.plans]) if data is not None else [],
        vehicle=lists.shorten_values(json_of(data.vehicle)) if data is not None and data.vehicle is not None else {},
        finance_programs=[
            FinanceProgramRow(
                term_months=program.term,
                apr_percent=program.interest_rate,
                min_credit_score=program.min_score,
                expires_at=program.expires_at,
            )
            for program in lists.shorten("finance_programs", _nearest_term_first(programs.finance, term_months))
        ],
        lease_programs=[
            LeaseProgramRow(
                term_months=program.term,
                money_factor=program.money_factor_fraction,
                residual_percent=program.base_residual,
                annual_miles=program.base_annual_mileage,
                min_credit_score=program.min_score,
                lender=program.lender_name,
                expires_at=program.expires_at,
            )
            for program in lists.shorten("lease_programs", _nearest_term_first(programs.lease, term_months))
        ],
        rebates=lists.shorten("rebates", _discount_rows(quote, _rebates)),
        incentives=lists.shorten("incentives", _discount_rows(quote, _incentives)),
        rows_cut=lists.rows_cut or None,
    )


def _rebates(program: Program) -> list[DiscountRow]:
    return [
        DiscountRow(name=rebate.name, amount=rebate.cash, to=rebate.recipient, expires_at=rebate.expires_at)
        for rebate in program.rebates
    ]


def _incentives(program: Program) -> list[DiscountRow]:
    return [
        DiscountRow(name=each.name, title=each.display_name, amount=each.cash, expires_at=each.expires_at)
        for each in program.incentives
    ]


def _discount_rows(quote: Quote, rows_of: Callable[[Program], list[DiscountRow]]) -> list[DiscountRow]:
    """Returns the rows of the programs, each once. One that is not in the programs of all deals names its deals."""
    places: dict[str, tuple[DiscountRow, dict[DealType, None]]] = {}
    for deal_type, programs in programs_by_deal(quote).items():
        for row in (row for program in programs for row in rows_of(program)):
            places.setdefault(row.model_dump_json(), (row, {}))[1][deal_type] = None
    all_deals = deals_of(quote).keys()
    return [
        row if all_deals <= deals.keys() else row.model_copy(update={"deals": [*deals]})
        for row, deals in places.values()
    ]


class _ShortLists:
    """Shortens the lists of one answer, and counts the rows that it cuts, by list."""

    def __init__(self) -> None:
        self.rows_cut: dict[str, int] = {}

    def shorten(self, name: str, rows: Sequence[_RowT]) -> list[_RowT]:
        if len(rows) > _MOST_ROWS:
            self.rows_cut[name] = len(rows) - _MOST_ROWS
        return [*rows[:_MOST_ROWS]]

    def shorten_values(self, part: dict[str, Any]) -> dict[str, Any]:
        return {name: self.shorten(name, value) if isinstance(value, list) else value for name, value in part.items()}


_ProgramT = TypeVar("_ProgramT", FinanceProgram, LeaseProgram)


def _nearest_term_first(programs: Sequence[_ProgramT], term_months: int | None) -> Sequence[_ProgramT]:
    """Sorts the programs by how near their term is to `term_months`, else leaves them in the dealer's order."""
    if term_months is None:
        return programs
    return sorted(programs, key=lambda program: abs((program.term or 0) - term_months))


def json_of(part: Received) -> dict[str, Any]:
    """Returns what Roadster says of a part, under the documented names."""
    values: dict[str, Any] = _whole_numbers(part.model_dump(mode="json", exclude_none=True, exclude_defaults=True))
    return values


def _whole_numbers(value: Any) -> Any:
    match value:
        case dict():
            return {name: _whole_numbers(each) for name, each in value.items()}
        case list():
            return [_whole_numbers(each) for each in value]
        case float():
            return whole_number(value)
        case _:
            return value


def _terms_of(terms: Received) -> dict[str, Any]:
    """Returns the documented terms under their names. Rates, which are fractions there, become percentages."""
    return {
        (f"{name}_percent" if name.endswith("_rate") else name): (percent(value) if name.endswith("_rate") else value)
        for name, value in json_of(terms).items()
    }


def _terms_text(terms: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns the deals side by side, a line for each term, because most terms are in all deals and many are 0."""
    if not terms:
        return []
    deals = [dict(_flatten(deal)) for deal in terms.values()]
    names = list(dict.fromkeys(name for deal in deals for name in deal))
    zeros = [name for name in names if all(deal.get(name, 0) == 0 for deal in deals)]
    lines = [
        f"{name}: {' | '.join(dict.fromkeys(figures) if len(set(figures)) == 1 else figures)}"
        for name in names
        if name not in zeros
        for figures in [[_field_text(name, deal.get(name)) for deal in deals]]
    ]
    if zeros:
        lines.append(f"0 or false: {', '.join(zeros)}")
    return [f"Terms ({' | '.join(terms)}; one figure where they agree):", *lines]


def _flatten(terms: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in terms.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _fields_text(part: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_field_text(name, value)}" for name, value in _flatten(part))


def _field_text(name: str, value: Any) -> str:
    match value:
        case list():
            return "; ".join(_fields_text(row) if isinstance(row, dict) else plain(row) for row in value)
        case int() | float() if not isinstance(value, bool) and not name.endswith(_NAMES_OF_NUMBERS):
            return number_text(value)
        case _:
            return plain(value)

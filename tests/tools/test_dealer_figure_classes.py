"""Each field of the models that holds a dealer's own figure has a class, and so has each figure of the documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from roadster_client import Reader
from roadster_client.leniency import ignore_left_out, read_leniently
from roadster_client.models.dealer_figures import DealerFigureClass, DealerOnly, RebateRows
from roadster_client.models.values import Money
from roadster_tools import TOOLS
from tests.client.test_models import ANSWERS, sample

from .test_personal_data_classes import RECEIVED_FIELDS, parts

DEALERS = re.compile(
    r"cost|invoice|profit|markup|mark_up|holdback|hold_back|dealer_cash|dealer_price|contribution|subsid|subvent|reserve(?!d)|"
    r"lender_(money|rate|apr)|buy_rate|wholesale|margin|spiff|stair_step|kickback|commission|gross|net_price|^standard$|"
    r"^special$|^comments$",
    re.IGNORECASE,
)
"""Names of figures that only the dealer may know."""


TERMS = ("Terms", "CashTerms", "FinanceTerms", "LeaseTerms")
DEALER_FIGURES = {
    *(f"{model}.{name}" for model in TERMS for name in ("dealer_cash", "profit", "total_contribution", "total_cost")),
    "FinanceTerms.total_financed_before_subsidy",
    "DealVehicle.invoice",
    *("Option.invoice_price", "Plan.invoice_price", "PlanTier.invoice_price"),
    *(f"{model}.backend_profit" for model in ("QuotedPlan", "Plan", "OrderedPlan", "OrderedAccessory")),
    *("RateMarkup.standard", "RateMarkup.special"),
    *("CreditDecision.lender_money_factor", "CreditDecision.comments"),
    *(f"{model}.rebates" for model in ("CashProgram", "FinanceProgram", "LeaseProgram")),
    *(f"{model}.incentives" for model in ("CashProgram", "FinanceProgram", "LeaseProgram")),
}
"""Every field with a class. One that loses it is missing in the models, and one that gains it is missing here."""


NOT_DEALERS = {
    # What the customer pays in all, and the price that a lease starts from: Regulation M has lessees see it.
    *(f"{model}.total_cost_of_ownership" for model in TERMS),
    "LeaseTerms.cap_cost",
    # A person's rent, which has a class of its own.
    "ApplicantAddress.housing_cost",
    # Whole lists: their figures have a class.
    "DealerConfiguration.markups",
}
"""Received fields that sound like the dealer's and are not."""


NOT_DEALERS_IN_SAMPLES = re.compile(r"(.*\.)?(total_cost_of_ownership|cap_cost|housing_cost|markups\.\d+\.make)")


def dealer_class(annotation: Any) -> str | None:
    return next((part for part in parts(annotation) if part in get_args(DealerFigureClass)), None)


def test_received_fields_that_sound_like_the_dealers_have_a_class() -> None:
    without_class = {
        name
        for name, annotation in RECEIVED_FIELDS.items()
        if DEALERS.search(name.partition(".")[2]) and dealer_class(annotation) is None
    }
    assert without_class == NOT_DEALERS


def test_fields_with_a_class_are_these() -> None:
    assert {name for name, annotation in RECEIVED_FIELDS.items() if dealer_class(annotation)} == DEALER_FIGURES


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields each value of a JSON document by its path, with the names of fields and the numbers of rows."""
    if isinstance(node, dict | list):
        for name, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, f"{path}.{name}" if path else str(name))
    elif node is not None:
        yield path, node


@pytest.mark.parametrize("name", ANSWERS)
def test_no_documented_figure_reaches_a_reader_without_the_right(name: str) -> None:
    """Each field of a documented sample that sounds like the dealer's is dropped, however the models name it."""
    adapter = TypeAdapter[Any](ANSWERS[name])
    for right in (False, True):
        reader = Reader("contact", dealer_figures=right)
        answer = read_leniently(adapter, sample(name), reader, name, ignore_left_out)
        values = dict(leaves(adapter.dump_python(answer, mode="json", by_alias=True)))
        figures = {
            path
            for path, _ in leaves(sample(name))
            if any(map(DEALERS.search, path.split("."))) and not NOT_DEALERS_IN_SAMPLES.fullmatch(path)
        }
        assert figures & values.keys() == (figures if right else set())


def test_documented_rebate_of_the_dealer_is_a_figure() -> None:
    """In the reference's sample, the dealer receives the manufacturer's rebate."""
    adapter = TypeAdapter[Any](ANSWERS["payments.resp"])
    for right in (False, True):
        programs = adapter.validate_python(sample("payments.resp"), context=Reader(dealer_figures=right)).programs
        for program in (programs.cash, *programs.finance, *programs.lease):
            assert [rebate.cash for rebate in program.rebates] == ([1500] if right else [])
            assert [incentive.cash for incentive in program.incentives] == [750]


def test_answers_of_tools_have_no_other_figure_of_the_dealer() -> None:
    """A new field of an answer that sounds like the dealer's needs a look at where it comes from."""
    names = {name for tool in TOOLS.values() for name in property_names(tool.output_schema)}
    assert {name for name in names if DEALERS.search(name)} == {
        # By the right of the caller.
        *("invoice_price", "markups", "standard", "special"),
        # What the customer pays in all, and the price that a lease starts from.
        *("total_cost", "cap_cost"),
    }


def property_names(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        properties = schema.get("properties")
        yield from properties if isinstance(properties, dict) else ()
        for part in schema.values():
            yield from property_names(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from property_names(part)


@pytest.mark.parametrize("context", [None, "contact", Reader(), Reader("contact"), Reader(dealer_figures=True)])
def test_dealer_only_shows_what_it_may(context: Any) -> None:
    """A context that is no reader gives no right."""
    adapter = TypeAdapter[Any](DealerOnly[Money])
    for value in (500, 0, -20.5, None):
        shown = value if context == Reader(dealer_figures=True) else None
        assert adapter.validate_python(value, context=context) == shown


@pytest.mark.parametrize(
    ("recipient", "is_shown"),
    [
        ("Customer", True),
        (" customers ", True),
        ("the buyer", True),
        ("Dealer", False),
        ("customer's dealer", False),
        ("", False),
        (None, False),
        (5, False),
        (["Customer"], False),
    ],
)
def test_rebate_is_shown_only_if_it_names_the_customer(recipient: Any, is_shown: bool) -> None:
    adapter = TypeAdapter[Any](RebateRows[dict[str, Any]])
    rows = [{"name": "A", "recipient": recipient}]
    assert adapter.validate_python(rows, context=Reader("contact")) == (tuple(rows) if is_shown else ())
    assert adapter.validate_python(rows, context=Reader(dealer_figures=True)) == tuple(rows)

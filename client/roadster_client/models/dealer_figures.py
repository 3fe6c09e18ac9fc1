"""Keeps the dealer's own figures from readers without the right to them: the types of the fields that hold them.

They are what a vehicle, a plan or an option costs the dealer, what the dealer earns, and what a manufacturer or a
lender pays to the dealer. A customer must not see them. They are dropped as an answer is read, as personal data are
masked.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, ValidationInfo

from .reader import reader_of

_ValueT = TypeVar("_ValueT")

DealerFigureClass = Literal["dealer", "rebates", "incentives"]
"""The class of a field with a dealer's own figure, or of a list with some rows that are the dealer's. It stands in the
field's metadata, for tests and recordings."""


def _drop_unless_shown(value: Any, info: ValidationInfo) -> Any:
    return value if reader_of(info).dealer_figures else None


def _drop_rebates_unless_shown(rows: Any, info: ValidationInfo) -> Any:
    return rows if reader_of(info).dealer_figures else customers_rows("rebates", rows)


def _drop_incentives_unless_shown(rows: Any, info: ValidationInfo) -> Any:
    return rows if reader_of(info).dealer_figures else customers_rows("incentives", rows)


_CUSTOMER = re.compile(r"\s*(the )?(retail )?(customer|consumer|buyer|lessee)s?\s*", re.IGNORECASE)
"""Words for the customer as a recipient. The reference shows only `Dealer`."""


def customers_rows(kind: Literal["rebates", "incentives"], rows: Any) -> Any:
    """Returns a list of rebates or incentives without those that are not for the customer.

    The reference names the recipient of each rebate, so one without is not shown. Of incentives it names none.
    """
    if not isinstance(rows, list):
        return rows
    return [row for row in rows if not isinstance(row, dict) or is_for_customer(kind, row.get("recipient"))]


def is_for_customer(kind: Literal["rebates", "incentives"], recipient: Any) -> bool:
    """Tells whether a rebate or an incentive lowers what the customer pays, by its recipient."""
    if recipient in (None, ""):
        return kind == "incentives"
    return isinstance(recipient, str) and _CUSTOMER.fullmatch(recipient) is not None


DealerOnly = Annotated[_ValueT | None, "dealer", BeforeValidator(_drop_unless_shown)]
"""A dealer's own figure, fact or text in an answer, for instance `DealerOnly[Money]`. It is None for a reader without
the right to it."""

RebateRows = Annotated[tuple[_ValueT, ...], "rebates", BeforeValidator(_drop_rebates_unless_shown)]
IncentiveRows = Annotated[tuple[_ValueT, ...], "incentives", BeforeValidator(_drop_incentives_unless_shown)]
"""Rows without those that the dealer receives, unless the reader may see the dealer's figures."""

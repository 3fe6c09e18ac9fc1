"""The forms of texts in the settings, checked with words that say the right form."""

from __future__ import annotations

import re
from typing import Any

from pydantic import AfterValidator

from roadster_tools.arguments.parameters import whole_number

HOST = "a host such as mcp.example.com or mcp.example.com:8443, without scheme, path and *"
ORIGIN = "an origin such as https://app.example.com, without path and *"
STATE = "the two capital letters of a state, such as CA"


def written_as(pattern: str, form: str) -> AfterValidator:
    """Returns a validator of texts that says the form in words."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"expected {form}")
        return text

    return AfterValidator(check)


def order_ids(orders: Any) -> Any:
    """Returns the value of `orders` as it is. Raises ValueError."""
    if orders == "any":
        return orders
    if not isinstance(orders, list):
        raise ValueError('expected "any", or a list of order ids, as orders = ["367101"]')  # noqa: TRY004 - pydantic takes only a ValueError
    for place, order in enumerate(orders, 1):
        if not isinstance(order, str):
            raise ValueError(f'entry {place}: expected an order id in quotes, as "367101"')  # noqa: TRY004
        try:
            whole_number(order)
        except ValueError as error:
            raise ValueError(f"entry {place}: {error}, as a text without leading zeros") from None
    return orders

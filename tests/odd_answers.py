"""Odd answers: one with another value at one of its places, for tests of what a reader makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from roadster_client.json_text import NOT_A_NUMBER

ODD: tuple[Any, ...] = (
    *(None, "", " ", "odd", "\ufffd", 0, -1, 1e308, 10**400, NOT_A_NUMBER, True),
    *([], {}, [[[]]], ["odd"], [NOT_A_NUMBER], {"odd": None}),
)
"""Values that the documents show nowhere, or only in other fields."""

Place = tuple[str | int, ...]
"""The keys and indices that lead to a value."""

BINDING = re.compile(
    # A dealer's ids, the upstream's own report of a failure, and the file that was asked for.
    r".*\.(dpid|partner_id|dealer|dealerI[dD]|dealer_id|errors?)|get_document\.contents"
    # The rows of the feed and their number, because a page without rows is its end.
    r"|list_inventory\.(vehicles|total)"
    # What shows that a write was done, where nothing with an id was made.
    r"|update_customer\.status|delete_documents\.message"
    # The ids that bind an answer to its object, with the objects that hold them.
    r"|list_dealers\.\*|(create_customer|submit_trade_valuation)\.customer(\.id)?|upload_document\.document_id"
    r"|get_template\.(id|order_id|is_deleted)|\w+_shipment\.id|create_shipment\.reference_id"
    r"|get_customer_record\.(customerInfo(\.uuid)?|.*customer_?uuid)",
    re.IGNORECASE,
)
"""The places, after their operation's name, at which an odd value must still be an error."""


def places(json: Any, place: Place = ()) -> Iterator[Place]:
    """Yields each place of the document, and of a list those of its first item."""
    if place:
        yield place
    if isinstance(json, dict):
        for name, value in json.items():
            yield from places(value, (*place, name))
    elif isinstance(json, list) and json:
        yield from places(json[0], (*place, 0))


def path_of(place: Place) -> str:
    return ".".join("*" if isinstance(part, int) else part for part in place)


def lenient_places(operation: str, json: Any) -> list[Place]:
    return [place for place in places(json) if not BINDING.fullmatch(f"{operation}.{path_of(place)}")]


def with_value(json: Any, place: Place, value: Any) -> Any:
    copy = deepcopy(json)
    _around(copy, place)[place[-1]] = deepcopy(value)
    return copy


def without(json: Any, place: Place) -> Any:
    copy = deepcopy(json)
    del _around(copy, place)[place[-1]]
    return copy


def _around(json: Any, place: Place) -> Any:
    for part in place[:-1]:
        json = json[part]
    return json

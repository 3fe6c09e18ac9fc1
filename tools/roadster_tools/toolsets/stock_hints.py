"""The sentences and numbers about a whole stock that searches of the feed and of the mirror share."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from roadster_tools.answers import UnreadRows, money, quantity
from roadster_tools.gate.vehicles import PRICE_BAND, Late, StockCounts

from .vehicle_lookup import WantedVehicle

_MOST_COUNTS = 10
"""Models, bodies or trims that are counted by name. The rest is one number."""
_MOST_BANDS = 10
"""Bands of prices. Higher prices are one band."""


def count_names(counts: StockCounts) -> dict[str, dict[str, int]]:
    """Returns the numbers of the most frequent models, bodies and trims, and of the price bands from the lowest."""
    numbers = {
        "model": _most_frequent(counts.models),
        "body": _most_frequent(counts.bodies),
        "trim": _most_frequent(counts.trims),
        "price": _bands(counts.bands),
    }
    return {name: values for name, values in numbers.items() if values}


def _most_frequent(counts: Counter[str]) -> dict[str, int]:
    names = sorted(((name, n) for name, n in counts.items() if name), key=lambda item: (-item[1], item[0]))
    others = sum(n for _, n in names[_MOST_COUNTS:])
    return dict(names[:_MOST_COUNTS]) | ({"others": others} if others else {})


def _bands(bands: Counter[int]) -> dict[str, int]:
    priced = sorted((band, n) for band, n in bands.items() if band >= 0)
    if not priced:
        return {}
    names = {f"{band * PRICE_BAND // 1000}k-{(band + 1) * PRICE_BAND // 1000}k": n for band, n in priced[:_MOST_BANDS]}
    rest = priced[_MOST_BANDS:]
    if rest:
        names[f"from {rest[0][0] * PRICE_BAND // 1000}k"] = sum(n for _, n in rest)
    return names


def empty_hint(
    target: WantedVehicle,
    count: int,
    lowest: float | None,
    highest: float | None,
    unread: UnreadRows,
    *,
    is_first: bool,
) -> str:
    """Returns what an answer without vehicles says, once the whole stock was searched.

    `count` vehicles match all but the price, from the lowest to the highest of theirs.
    """
    others = f"{count} match otherwise, from {money(lowest or 0)} to {money(highest or 0)}." if count else ""
    if unread:
        return " ".join(filter(None, [unread.hint("the vehicle"), others]))
    if not is_first:
        return "No more vehicles match."
    if target.is_one:
        return target.hint_of_absence()
    if others:
        return f"No vehicle matches at this price: {others}"
    return "No vehicle matches. The feed lists new vehicles only; drop a filter, or try in_stock false."


def late_hint(late: Late | None, as_of: datetime) -> str:
    """Returns the sentence about vehicles that are older than they should be, empty where they are not."""
    if late is None:
        return ""
    age = age_text(datetime.now(UTC) - as_of)
    if late == "unanswered":
        return f"Roadster cannot be read now: this is its inventory of {age}."
    return f"This is the inventory of {age}, which is being read anew."


def age_text(age: timedelta) -> str:
    """Returns an age in its largest unit, in the words of the views, such as `5 minutes ago`."""
    minutes = int(age.total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:  # noqa: PLR2004
        return f"{quantity(minutes, 'minute')} ago"
    if minutes < 24 * 60:
        return f"{quantity(minutes // 60, 'hour')} ago"
    return f"{quantity(minutes // (24 * 60), 'day')} ago"


def time_text(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"

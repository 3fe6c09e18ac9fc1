"""The port to the mirror of a dealer's vehicles, and the search that it answers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from math import inf
from typing import Literal, Protocol, TypeVar

from roadster_client import Reader
from roadster_client.models.vehicles import InventoryVehicle
from roadster_tools.words import plain_words

Sort = Literal["price", "price_desc", "year", "newest", "mileage"]
"""`year` has the newest first, `newest` those that came into the feed last. The others begin with the lowest value,
`price_desc` with the highest. Vehicles without the value come last, and equal ones are sorted by VIN."""


Late = Literal["unanswered", "refreshing"]
"""The reason why vehicles may be older than is wanted: Roadster did not answer, or a refresh is under way."""

_PAINT = ("exterior_color", "exterior_color.label", "exterior_color.generic")
_WRITTEN = (
    *("make", "model", "trim", "body", "drivetrain"),
    *(f"{part}{name}" for part in ("engine", "transmission") for name in ("", ".label", ".type")),
    *(*_PAINT, "interior_color", "interior_color.label", "interior_color.generic"),
    *(f"{part}{place}" for part in ("packages", "options", "dealer_options") for place in ("", ".*")),
)
"""The fields that hold what `words_of` returns."""

_POINT = re.compile(r"(?<=\d)\.(?=\d)")
_POINT_LETTER = "\u01c0"
"""Stands for a decimal point among plain words, which have only letters and digits. No text of a feed has it."""

PRICE_BAND = 10_000
"""The width of a band of prices, in the currency's units."""

_ResultT = TypeVar("_ResultT")


@dataclass(frozen=True)
class StockQuery:
    """A search of one dealer's vehicles. None restricts nothing, and texts are compared as `compared` returns them.

    `words` are the beginnings of words that a vehicle must have, in any order, as `searched_words` returns them.
    """

    make: str | None = None
    model: str | None = None
    year_min: int | None = None
    year_max: int | None = None
    price_min: float | None = None
    price_max: float | None = None
    body: str | None = None
    color: str | None = None
    words: tuple[str, ...] = ()
    stock_number: str | None = None
    in_stock: bool = True
    """Leaves out the vehicles that the feed says are not in stock."""

    @property
    def limits_price(self) -> bool:
        return self.price_min is not None or self.price_max is not None

    @property
    def paths(self) -> set[str]:
        """The paths of the fields that the query compares. What could not be read of them may hide a match."""
        needs = (
            (self.make, ("make",)),
            (self.model, ("model",)),
            (self.body, ("body",)),
            (self.stock_number, ("stock_number",)),
            (self.year_min or self.year_max, ("year",)),
            (self.limits_price, ("price", "msrp")),
            (self.color, _PAINT),
            (self.words, _WRITTEN),
        )
        return {f"vehicles.*.{name}" for is_needed, names in needs if is_needed for name in names}

    def match(self, vehicle: InventoryVehicle) -> bool:
        """Tells whether the vehicle matches everything except the price, the stock number and `in_stock`."""
        texts = ((self.make, vehicle.make), (self.model, vehicle.model), (self.body, vehicle.body))
        return (
            all(text is None or compared(text) == compared(value) for text, value in texts)
            and (self.color is None or compared(self.color) in colors_of(vehicle))
            and _is_within(vehicle.year, self.year_min, self.year_max)
            and (not self.words or all(f" {word}" in words_of(vehicle) for word in self.words))
        )

    def match_price(self, price: float | None) -> bool:
        return _is_within(price, self.price_min, self.price_max)


@dataclass(frozen=True)
class StockPlace:
    """The place of a vehicle in a sorted search: the value that it is sorted by, 0 without a sort, and its VIN."""

    value: float
    vin: str


@dataclass(frozen=True)
class MirroredVehicle:
    """One vehicle as the feed had it. `unread` are the paths of its fields that could not be read."""

    json: str
    place: StockPlace
    unread: tuple[str, ...]
    reader: Reader

    @cached_property
    def vehicle(self) -> InventoryVehicle:
        """Read when it is asked for: an answer is often full before it has shown all vehicles that were fetched."""
        return InventoryVehicle.model_validate_json(self.json, context=self.reader)


@dataclass(frozen=True)
class StockCounts:
    """The numbers of the matching vehicles by what they are. `bands` are prices divided by `PRICE_BAND`, rounded down.

    A vehicle without a price is in the band -1, and one without a model, body or trim counts under an empty name.
    """

    models: Counter[str]
    bodies: Counter[str]
    trims: Counter[str]
    bands: Counter[int]

    @property
    def total(self) -> int:
        return self.bands.total()


@dataclass(frozen=True)
class OtherStock:
    """The rest of a dealer's vehicles, for a search without a match."""

    models: list[str]
    bodies: list[str]
    count: int
    """Vehicles that match all but the price."""
    lowest: float | None
    highest: float | None
    """The lowest and the highest price of those."""


@dataclass(frozen=True)
class StockPage:
    """A part of the matching vehicles, and what the whole stock says about them."""

    vehicles: list[MirroredVehicle]
    stock: int
    """Vehicles that the feed has, in stock where the query asks for that."""
    without_price: int
    """Vehicles that match everything, and that a search by price leaves out because the feed has no price of them."""
    unread_rows: int
    """Rows of the feed that could not be read."""
    unread: Counter[str]
    """How often a field that the query compares could not be read, by its path."""
    as_of: datetime
    """The vehicles are as the feed had them at this time, or later."""
    late: Late | None
    counts: StockCounts
    others: OtherStock | None
    """Only where nothing matches."""
    is_unordered: bool
    """Says that `newest` was asked for, and that all these vehicles were there when the feed was first read."""


@dataclass(frozen=True)
class LastSeen:
    """A vehicle as the feed had it at a time, None where it was not there."""

    vehicle: InventoryVehicle | None
    as_of: datetime


Stock = Literal["in stock", "reserved", "not in stock", "not in the feed"]


@dataclass(frozen=True)
class StockState:
    """The stock of a vehicle as the feed had it at a time. `stock` is None where the feed said nothing."""

    stock: Stock | None
    as_of: datetime


def stock_of(vehicle: InventoryVehicle | None) -> Stock | None:
    """Returns what the feed says about the stock of a vehicle, None where it says nothing."""
    if vehicle is None:
        return "not in the feed"
    if vehicle.reserved:
        return "reserved"
    return {True: "in stock", False: "not in stock", None: None}[vehicle.in_stock]


class VehicleMirror(Protocol):
    """The vehicles of one dealer, kept in the store and refreshed from its feed. It holds no personal data."""

    async def search(
        self, query: StockQuery, sort: Sort | None, *, after: StockPlace | None, most: int
    ) -> StockPage | None:
        """Returns up to `most` vehicles after the place `after`. Returns None where no vehicles are kept.

        Raises ClientError where nothing is kept yet and the feed cannot be read.
        """

    async def feed_vin(self, vin: str) -> str | None:
        """Returns a VIN as the feed had it the last time, which may be in small letters. Returns None if unknown."""

    async def look_up(self, vin: str, read: Callable[[], Awaitable[_ResultT]]) -> _ResultT | LastSeen:
        """Returns what `read` returns. If the feed does not answer it, returns the vehicle as it was last.

        Raises what `read` raises where no vehicles are kept, and ForeignDealer in any case: an upstream that mixes up
        dealers is not covered up by an older answer.
        """

    async def stock_of(self, vin: str) -> StockState | None:
        """Returns the stock as it was not long ago, or as the feed has it now. Returns None if nobody knows.

        Raises ForeignDealer where the feed names another dealer.
        """

    async def note_presence(self, vin: str, *, is_in_feed: bool) -> None:
        """Marks a vehicle as gone or as there again, as a look into the feed has just shown, if that is possible."""


def compared(text: str | None) -> str:
    """Returns a text as it is compared: without case and blanks around it, empty for None."""
    return (text or "").strip().casefold()


def price_of(vehicle: InventoryVehicle) -> float | None:
    return vehicle.price if vehicle.price is not None else vehicle.msrp


def colors_of(vehicle: InventoryVehicle) -> str:
    """Returns the names of the vehicle's paint as they are compared, one a line."""
    color = vehicle.exterior_color
    return "\n".join(compared(name) for name in (color.label, color.generic) if name) if color else ""


def searched_words(query: str) -> tuple[str, ...]:
    """Returns what a free search looks for. Words with a hyphen between them are one, and stand side by side."""
    parts = (" ".join(_words(part)) for part in re.split(r"[\s,;/+&]+", query))
    return tuple(part for part in dict.fromkeys(parts) if part)


def words_of(vehicle: InventoryVehicle) -> str:
    """Returns the words of the vehicle as a free search compares them, each with a blank before it.

    Each field has a line of its own, so that no two words stand side by side that are of two fields.
    """
    lines = dict.fromkeys("".join(f" {word}" for word in _words(text)) for text in _texts_of(vehicle))
    return "\n".join(line for line in lines if line)


def _words(text: str) -> list[str]:
    """Returns the plain words of a text. A decimal number is one word: nobody who looks for 5 means 2.5."""
    words = plain_words(_POINT.sub(_POINT_LETTER, text))
    return [word.replace(_POINT_LETTER, ".") for word in words]


def _texts_of(vehicle: InventoryVehicle) -> Iterator[str]:
    colors = (vehicle.exterior_color, vehicle.interior_color)
    texts = (
        *(vehicle.make, vehicle.model, vehicle.trim, vehicle.body, vehicle.drivetrain),
        *(name for part in (vehicle.engine, vehicle.transmission) if part for name in (part.label, part.type)),
        *(name for color in colors if color for name in (color.label, color.generic)),
        *(option.name for option in (*vehicle.packages, *vehicle.options, *vehicle.dealer_options)),
    )
    return (text for text in texts if text)


def sort_value(vehicle: InventoryVehicle, sort: Sort) -> float:
    """Returns the number by which a sort that nothing is kept for orders a vehicle, the lowest first.

    A feed does not say when a vehicle came into it, so `newest` is the year there.
    """
    price, mileage = price_of(vehicle), vehicle.mileage
    match sort:
        case "price":
            return inf if price is None else price
        case "price_desc":
            return inf if price is None else -price
        case "mileage":
            return inf if mileage is None else mileage
        case "year" | "newest":
            return inf if vehicle.year is None else -vehicle.year


def _is_within(value: float | None, low: float | None, high: float | None) -> bool:
    if low is None and high is None:
        return True
    return value is not None and (low is None or value >= low) and (high is None or value <= high)

"""The port to the mirror of a dealer's vehicles, and the search that it answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from roadster_client.models.vehicles import InventoryVehicle
from roadster_tools.words import plain_words

Sort = Literal["price", "price_desc", "year", "newest", "mileage"]
"""`year` has the newest first, `newest` those that came into the feed last. The others begin with the lowest value,
`price_desc` with the highest. Vehicles without the value come last, and equal ones are sorted by VIN."""


@dataclass(frozen=True)
class StockQuery:
    """A search of one dealer's vehicles. None restricts nothing, and texts are compared as `compared` returns them.

    `words` are the beginnings of words that a vehicle must have, in any order.
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


@dataclass(frozen=True)
class StockPlace:
    """The place of a vehicle in a sorted search: the value that it is sorted by, 0 without a sort, and its VIN."""

    value: float
    vin: str


@dataclass(frozen=True)
class MirroredVehicle:
    """One vehicle as the feed had it. `unread` are the paths of its fields that could not be read."""

    vehicle: InventoryVehicle
    place: StockPlace
    unread: tuple[str, ...]


@dataclass(frozen=True)
class StockCounts:
    """The numbers of matching vehicles by what they are, the most frequent first, and by price band, the lowest first.

    A band is named by its lowest price.
    """

    models: Mapping[str, int]
    bodies: Mapping[str, int]
    trims: Mapping[str, int]
    prices: Mapping[float, int]
    total: int


@dataclass(frozen=True)
class OtherStock:
    """The vehicles that match everything but the price, and the names to choose from, for a search without a match."""

    models: list[str]
    bodies: list[str]
    count: int = 0
    lowest: float | None = None
    highest: float | None = None
    unread_fields: int = 0
    """Values that the search compares and that could not be read."""


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
    as_of: datetime
    """The vehicles are as the feed had them at this time, or later."""
    late: Literal["unanswered", "refreshing"] | None = None
    """The reason why they may be older than is wanted: Roadster did not answer, or a refresh is under way."""
    counts: StockCounts | None = None
    others: OtherStock | None = None
    """Only where nothing matches."""


class VehicleMirror(Protocol):
    """The vehicles of one dealer, kept in the store and refreshed from its feed. It holds no personal data."""

    @property
    def is_on(self) -> bool:
        """Says whether vehicles are kept. Otherwise each search reads the feed."""

    async def search(self, query: StockQuery, sort: Sort | None, *, after: StockPlace | None, most: int) -> StockPage:
        """Returns up to `most` vehicles after the place `after`, with counts where that is None.

        Raises ClientError where nothing is kept yet and the feed cannot be read.
        """

    async def last_state(self, vin: str) -> tuple[MirroredVehicle | None, datetime] | None:
        """Returns the vehicle as it was last seen, and when that was. None where nothing is kept.

        For a feed that does not answer.
        """

    async def forget(self, vin: str) -> None:
        """Marks a vehicle that the feed does not have any more. Does nothing where that fails."""


def compared(text: str | None) -> str:
    """Returns a text as it is compared: without case and blanks around it, empty for None."""
    return (text or "").strip().casefold()


def price_of(vehicle: InventoryVehicle) -> float | None:
    return vehicle.price if vehicle.price is not None else vehicle.msrp


def colors_of(vehicle: InventoryVehicle) -> str:
    """Returns the names of the vehicle's paint as they are compared, one a line."""
    color = vehicle.exterior_color
    return "\n".join(compared(name) for name in (color.label, color.generic) if name) if color else ""


def words_of(vehicle: InventoryVehicle) -> str:
    """Returns the words of the vehicle as a free search compares them, each once and with a blank before it."""
    return "".join(f" {word}" for word in dict.fromkeys(plain_words(" ".join(_texts_of(vehicle)))))


def _texts_of(vehicle: InventoryVehicle) -> Iterator[str]:
    colors = (vehicle.exterior_color, vehicle.interior_color)
    texts = (
        *(vehicle.make, vehicle.model, vehicle.trim, vehicle.body, vehicle.drivetrain),
        *(name for part in (vehicle.engine, vehicle.transmission) if part for name in (part.label, part.type)),
        *(name for color in colors if color for name in (color.label, color.generic)),
        *(option.name for option in (*vehicle.packages, *vehicle.options, *vehicle.dealer_options)),
    )
    return (text for text in texts if text)

"""The values of the mirrors: the state of each, its vehicles, and the numbers of a search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for start time, as in `records`
    from roadster_client.models.vehicles import InventoryVehicle
    from roadster_tools.gate.vehicles import StockPlace


@dataclass(frozen=True)
class MirrorState:
    """The state of the mirror of one dealer's feed. Times are milliseconds since 1970, 0 for never."""

    as_of: int = 0
    """The vehicles are as the feed had them then, or later."""
    whole: int = 0
    """The beginning of the last whole reading that came to its end."""
    start: int = 0
    """The beginning of the whole reading that is not finished, 0 where there is none."""
    position: str | None = None
    """The last VIN of that reading, None at the start of the feed."""
    skip: int = 0
    """The rows behind that VIN that could not be read."""
    count: int = 0
    """The rows that the last whole reading, or the one that is not finished, has read."""
    unread: int = 0
    """The rows of them that could not be read."""
    failure: int = 0
    """The last failure, 0 after a success."""
    ignores_updates: bool = False
    """Says that the feed does not honour `updated_since`, so each refresh reads it whole."""
    lease: int = 0
    """Until then one process refreshes the mirror, and no other one does."""


@dataclass(frozen=True)
class NewVehicle:
    """One vehicle of a feed. `unread` are the paths of its fields that could not be read."""

    vehicle: InventoryVehicle
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoredVehicle:
    """One vehicle, which `json` holds as its model writes it."""

    place: StockPlace
    json: str
    unread: tuple[str, ...]


@dataclass(frozen=True)
class StockNumbers:
    """The vehicles of a dealer's feed, those without a price that a search leaves out, and those that match it."""

    stock: int
    without_price: int
    groups: list[tuple[str, str, str, int, int]]
    """Model, body, trim, price band and number of each kind."""
    unread: list[tuple[str, ...]]
    """The paths that could not be read of each vehicle in the feed, also of those that do not match."""
    oldest: int
    """The time at which the dealer's first vehicles came in."""

    @property
    def total(self) -> int:
        return sum(number for *_, number in self.groups)


@dataclass(frozen=True)
class OtherVehicles:
    """The names in a feed, and the prices of what a search by price leaves out."""

    models: list[str]
    bodies: list[str]
    prices: tuple[int, float | None, float | None] | None
    """How many vehicles match all but the price, and the lowest and highest of theirs, for a search by price."""

"""The lookup of one vehicle in a dealer's feed, by VIN or stock number. The feed is sorted by VIN."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from string import ascii_uppercase, digits

from roadster_client.models.values import VIN_CHARACTER
from roadster_client.models.vehicles import InventoryVehicle

_CHARACTERS: list[str] = re.findall(VIN_CHARACTER, digits + ascii_uppercase)
"""The characters of a VIN, in the order in which the feed is sorted."""

FEW = 2
"""Vehicles to ask for after the VIN before the wanted one: that VIN again, if the upstream repeats it, and the next."""


@dataclass(frozen=True)
class WantedVehicle:
    """The vehicle that a search asks for by its VIN, its stock number or both. Without either, any vehicle."""

    vin: str | None
    stock_number: str | None
    feed_vin: str | None = None
    """The VIN as the feed has it, None where that is not known."""

    @property
    def is_one(self) -> bool:
        return self.vin is not None or self.stock_number is not None

    @property
    def starts(self) -> tuple[str | None, ...]:
        """The VINs after which the search begins, one after the other, None for the start of the feed."""
        return (None,) if self.vin is None else tuple(map(vin_before, writings(self.vin, self.feed_vin)))

    def match(self, vehicle: InventoryVehicle) -> bool:
        """Tells whether it is this vehicle. Case and blanks around a stock number do not count."""
        return (self.vin is None or vehicle.vin == self.vin) and (
            self.stock_number is None
            or (vehicle.stock_number or "").strip().casefold() == self.stock_number.strip().casefold()
        )

    def is_behind(self, position: str | None) -> bool:
        """Tells whether the search has passed the VIN, so that no later vehicle can have it.

        No document says whether the feed's order heeds case, so either order is enough.
        """
        if self.vin is None or position is None:
            return False
        return position.strip() >= (self.feed_vin or self.vin) or position.strip().upper() >= self.vin

    def hint_of_rows(self, stock: list[bool | None]) -> str | None:
        """Returns what the rows do not say. `stock` tells of each row whether it is in stock."""
        return "Not in stock means sold or incoming." if False in stock else None

    def hint_of_absence(self) -> str:
        """Returns what an answer without rows says, once the whole feed was read."""
        if self.vin is not None and self.stock_number is not None:
            return "The feed has no vehicle with both this VIN and this stock number; search by one of them."
        key = "VIN" if self.vin is not None else "stock number"
        return f"The feed has no vehicle with this {key}: sold, never here, or used (the feed lists new ones only)."


def writings(vin: str, feed_vin: str | None) -> tuple[str, ...]:
    """Returns the forms of a VIN at whose places in the feed a lookup asks: the known one, or capitals, then small."""
    return (feed_vin,) if feed_vin is not None else tuple(dict.fromkeys((vin, vin.lower())))


def vin_before(vin: str) -> str | None:
    """Returns the last VIN that sorts before `vin`, None if there is none.

    For a VIN with small letters it also sorts before `vin` where the order does not heed case.
    """
    last = _CHARACTERS[-1] if vin == vin.upper() else _CHARACTERS[-1].lower()
    for place in reversed(range(len(vin))):
        rank = bisect_left(_CHARACTERS, vin[place].upper())
        if rank:
            before = _CHARACTERS[rank - 1].lower() if vin[place].islower() else _CHARACTERS[rank - 1]
            return vin[:place] + before + last * (len(vin) - place - 1)
    return None

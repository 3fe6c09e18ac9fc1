"""The vehicles of one dealer. The same seed makes the same vehicles, down to the VIN."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from .dealers import SandboxDealer
from .lineup import DEALER_OPTIONS, MAKES, Extra, ModelLine, Paint, TrimLevel
from .vin import new_vin

VEHICLES_PER_DEALER = 200

EPOCH = 1_735_689_600
"""Epoch seconds of 2025-01-01T00:00:00Z, which is always now in the sandbox. No answer depends on a clock."""

_DAY = 86_400
"""Seconds."""

_OUT_OF_STOCK_SHARE, _RESERVED_SHARE = 0.06, 0.05
"""Shares of the vehicles, so that every world has a few that cannot be sold."""


@dataclass(frozen=True)
class Vehicle:
    """One new vehicle. Amounts are whole dollars, `updated_at` is in epoch seconds, and `number` is unique."""

    vin: str
    number: int
    dealer: SandboxDealer
    year: int
    line: ModelLine
    trim: TrimLevel
    paint: Paint
    interior: Paint
    packages: tuple[Extra, ...]
    options: tuple[Extra, ...]
    dealer_options: tuple[Extra, ...]
    discount: int
    in_stock: bool
    reserved: bool
    updated_at: int

    @property
    def stock_number(self) -> str:
        return f"{self.dealer.make[0]}{self.number:05d}"

    @property
    def destination(self) -> int:
        return MAKES[self.dealer.make].destination

    @property
    def msrp(self) -> int:
        """Base, destination, colours, packages and options, without the options that the dealer installed."""
        extras = sum(extra.msrp for extra in (*self.packages, *self.options))
        return self.trim.base + self.destination + self.paint.msrp + self.interior.msrp + extras

    @property
    def price(self) -> int:
        """MSRP with the options that the dealer installed, less the dealer's discount."""
        return self.msrp + sum(extra.msrp for extra in self.dealer_options) - self.discount

    def to_listing(self) -> dict[str, Any]:
        """Returns the vehicle as `GET /vehicles` lists it.

        It has the documented fields, and `type`, `msrp` and `price`, which real feeds carry.
        """
        return {
            "make": self.dealer.make,
            "model": self.line.model,
            "year": self.year,
            "trim": self.trim.name,
            "body": self.line.body,
            "drivetrain": self.trim.drivetrain,
            "vin": self.vin,
            "stock_number": self.stock_number,
            "in_stock": self.in_stock,
            "reserved": self.reserved,
            "engine": {"label": self.line.engine.label, "type": self.line.engine.type},
            "transmission": {"label": self.line.gearbox.label, "type": self.transmission_type},
            "exterior_color": vars(self.paint),
            "interior_color": vars(self.interior),
            "packages": [vars(extra) for extra in self.packages],
            "options": [vars(extra) for extra in self.options],
            "dealer_options": [vars(extra) for extra in self.dealer_options],
            "type": "New",
            "msrp": self.msrp,
            "price": self.price,
        }

    def to_details(self) -> dict[str, Any]:
        """Returns the vehicle as `GET /vehicles/{vin}` shows it."""
        return {
            "vin": self.vin,
            "make": self.dealer.make,
            "model": self.line.model,
            "year": self.year,
            "trim": self.trim.name,
            "city_mpg": self.line.city_mpg,
            "highway_mpg": self.line.highway_mpg,
            "ev_range": self.line.ev_range,
        }

    @property
    def transmission_type(self) -> str:
        return "Manual" if "Manual" in self.line.gearbox.label else "Automatic"


def make_stock(dealer: SandboxDealer, first_number: int, count: int, random: Random) -> dict[str, Vehicle]:
    """Returns `count` vehicles of the dealer by VIN, sorted by VIN."""
    vehicles = [_make_vehicle(dealer, first_number + index, index, random) for index in range(count)]
    return {vehicle.vin: vehicle for vehicle in sorted(vehicles, key=lambda vehicle: vehicle.vin)}


def _make_vehicle(dealer: SandboxDealer, number: int, index: int, random: Random) -> Vehicle:
    make = MAKES[dealer.make]
    line = make.lines[index % len(make.lines)]  # by turns, so that every world has enough of each model
    trim = random.choice(line.trims)
    year = random.choice((2024, 2025, 2025))
    in_stock = random.random() >= _OUT_OF_STOCK_SHARE
    return Vehicle(
        # The serial ends in the vehicle's number, so no two VINs are the same.
        vin=new_vin(line.wmi, line.vds, year, line.plant, _serial(number, random.randrange(100, 999))),
        number=number,
        dealer=dealer,
        year=year,
        line=line,
        trim=trim,
        paint=random.choice(make.paints),
        interior=random.choice(make.interiors),
        packages=_pick(make.packages, 2, random),
        options=_pick(make.options, 3, random),
        dealer_options=_pick(DEALER_OPTIONS, 1, random),
        discount=random.randrange(0, 2500, 50),
        in_stock=in_stock,
        reserved=in_stock and random.random() < _RESERVED_SHARE,
        updated_at=EPOCH - random.randrange(30 * _DAY),
    )


def _serial(number: int, prefix: int) -> int:
    """Returns six digits that end in the vehicle's number, which has three digits in a world of the usual size."""
    return prefix * 1000 + number if number < 1000 else prefix // 100 * 100_000 + number  # noqa: PLR2004


def _pick(extras: tuple[Extra, ...], most: int, random: Random) -> tuple[Extra, ...]:
    return tuple(random.sample(extras, random.randint(0, most)))

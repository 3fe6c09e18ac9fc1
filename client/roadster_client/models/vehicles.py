"""Vehicles: the inventory feed, the details of one, and a vehicle in a request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field

from roadster_client.leniency import SUBJECT

from .dealer_figures import DealerOnly
from .parts import Received, Sent
from .values import FeedVin, Money, Name, Number, Price, Rgb, Vin, WholeNumber, Year


class VehicleRequest(Sent):
    """The vehicle of a link or a customer: a VIN, or a make that the other fields narrow down."""

    vin: Vin | None = None
    make: str | None = None
    model: str | None = None
    trim: str | None = None
    year: Year | None = None


class Engine(Received):
    label: str | None = None
    type: str | None = None
    horsepower: Number | None = None
    mfg_code: str | None = None


class Transmission(Received):
    label: str | None = None
    type: str | None = None
    speeds: Number | None = None


class Color(Received):
    label: str | None = None
    generic: str | None = None
    rgb: Rgb | None = None
    secondary_rgb: Rgb | None = None
    msrp: Money | None = None
    id: str | None = None


class Option(Received):
    """A package, an option or a dealer option."""

    name: Name
    msrp: Money | None = None
    residual: Money | None = None
    invoice_price: DealerOnly[Money] = None


class InventoryVehicle(Received):
    """One vehicle of the feed. `msrp`, `price` and `type` are not in the reference, but some dealers send them."""

    model_config = ConfigDict(serialize_by_alias=True)

    feed_vin: FeedVin = Field(alias="vin")
    """The VIN as the feed has it. The feed may be sorted by it."""
    make: str | None = None
    model: str | None = None
    year: WholeNumber | None = None
    trim: str | None = None
    body: str | None = None
    drivetrain: str | None = None
    stock_number: str | None = None
    in_stock: bool | None = None
    reserved: bool | None = None
    engine: Engine | None = None
    transmission: Transmission | None = None
    exterior_color: Color | None = None
    interior_color: Color | None = None
    packages: tuple[Option, ...] = ()
    options: tuple[Option, ...] = ()
    dealer_options: tuple[Option, ...] = ()
    type: str | None = None
    msrp: Price | None = None
    price: Price | None = None
    mileage: Number | None = None

    @property
    def vin(self) -> str:
        """The VIN in capitals, the form in which it is shown, compared and sent."""
        return self.feed_vin.upper()


class InventoryPage(Received):
    """GET /vehicles: one page, sorted by VIN. `total` counts the whole inventory."""

    vehicles: Annotated[tuple[InventoryVehicle, ...], SUBJECT] = ()
    total: Annotated[WholeNumber, Field(ge=0)] | None = None


@dataclass(frozen=True)
class InventoryRows:
    """A page of the feed, row by row. A row is None where it cannot be read. `count` is the number of the rows.

    A row is read when it is taken. What is left out of it counts only then. `vins` are those of the rows as the feed
    has them, which a next page may begin behind.
    """

    rows: Iterator[InventoryVehicle | None]
    vins: Sequence[str | None]
    count: int
    total: int | None


class VehicleInfo(Received):
    """The fields that GET /vehicles/{vin} adds to the feed: consumption and range, in miles."""

    make: str | None = None
    model: str | None = None
    year: WholeNumber | None = None
    trim: str | None = None
    city_mpg: Number | None = None
    highway_mpg: Number | None = None
    ev_range: Number | None = Field(default=None, description="miles")


class VehicleDetails(Received):
    vehicle_info: Annotated[VehicleInfo, SUBJECT] = Field(default_factory=VehicleInfo)

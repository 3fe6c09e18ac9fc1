"""A dealer's vehicles: search the feed, look at one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from roadster_client.models.vehicles import InventoryVehicle, Option
from roadster_tools.answers import MOST_CHARACTERS, ToolAnswer, cell, counted, money
from roadster_tools.catalogue import tool
from roadster_tools.cursors import Cursors
from roadster_tools.failures import InvalidArguments
from roadster_tools.gate.gate import Grant
from roadster_tools.parameters import Cursor, Detail, Limit, Vin, plausible

_PAGE = 100
_MOST_PAGES = 10
_MOST_NAMES = 30
_MOST_PAGES_TO_COMPLETE = 3

Year = Annotated[int, plausible(1980, 2100)]
Price = Annotated[float, Field(ge=0)]


class EquipmentRow(ToolAnswer):
    name: str
    msrp: float | None = None

    def text(self) -> str:
        return cell(self.name) if self.msrp is None else f"{cell(self.name)} {money(self.msrp)}"


class VehicleRow(ToolAnswer):
    """One vehicle of the feed; a price is there only where the dealer's feed has one."""

    vin: str
    year: int | None = None
    make: str | None = None
    model: str | None = None
    trim: str | None = None
    body: str | None = None
    color: str | None = None
    msrp: float | None = None
    price: float | None = None
    in_stock: bool | None = None
    reserved: bool | None = None
    stock_number: str | None = None
    engine: str | None = None
    transmission: str | None = None
    drivetrain: str | None = None
    interior_color: str | None = None
    equipment: list[EquipmentRow] | None = None

    def text(self) -> str:
        """One line: what is said aloud first."""
        name = " ".join(str(part) for part in (self.year, self.make, self.model, self.trim) if part is not None)
        prices = [
            f"{label} {money(value)}"
            for label, value in (("price", self.price), ("MSRP", self.msrp))
            if value is not None
        ]
        stock = {True: "in stock", False: "not in stock", None: None}[self.in_stock]
        reserved = "reserved" if self.reserved else None
        more = [self.stock_number, self.engine, self.transmission, self.drivetrain, self.interior_color]
        kit = ", ".join(part.text() for part in self.equipment or ())
        looks, others = ([cell(part) for part in parts if part] for parts in ([self.body, self.color], more))
        said = [f"{cell(self.vin)} {cell(name)}", *looks, *prices, stock, reserved, *others, kit]
        return "; ".join(filter(None, said))


class InventoryAnswer(ToolAnswer):
    vehicles: list[VehicleRow]
    searched: int
    truncated: bool
    next_cursor: str | None = None
    models: list[str] | None = Field(default=None, description="of the feed, where nothing matches")
    bodies: list[str] | None = None
    hint: str | None = None

    def text(self) -> str:
        lines = [
            f"{counted(len(self.vehicles), 'vehicle')} of {self.searched} searched",
            *(row.text() for row in self.vehicles),
        ]
        if self.next_cursor is not None:
            lines.append(f"truncated; next_cursor: {self.next_cursor}")
        lines += [
            f"{name}: {', '.join(map(cell, known))}"
            for name, known in (("models", self.models), ("bodies", self.bodies))
            if known
        ]
        return "\n".join([*lines, self.hint] if self.hint else lines)


@tool("Search a dealer's inventory")
async def list_inventory(
    grant: Grant,
    make: str | None = None,
    model: str | None = None,
    year_min: Year | None = None,
    year_max: Year | None = None,
    price_min: Price | None = None,
    price_max: Price | None = None,
    body: str | None = None,
    color: str | None = None,
    in_stock: Annotated[bool, Field(description="false adds sold and incoming")] = True,
    detail: Detail = "brief",
    limit: Limit = 20,
    cursor: Cursor | None = None,
) -> InventoryAnswer:
    """Search a dealer's new vehicles for a VIN, price or colour. For payments use quote_payments, for consumption
    get_vehicle."""
    filters = _Filters(make, model, year_min, year_max, price_min, price_max, body, color, in_stock)
    cursors = Cursors.of(grant.cursors, "list_inventory", *filters.wanted)
    position, seen_before = _position(cursors, cursor) if cursor is not None else (None, 0)
    found: list[VehicleRow] = []
    room = MOST_CHARACTERS
    models: set[str] = set()
    bodies: set[str] = set()
    other_prices: list[float] = []
    searched = unpriced = 0
    more = True
    for _ in range(_MOST_PAGES):
        page = await grant.roadster.list_inventory(size=_PAGE, from_vin=position, in_stock_only=in_stock)
        if not page.vehicles or page.vehicles[-1].vin == position:
            more = False
            break
        for vehicle in page.vehicles:
            searched += 1
            position = vehicle.vin
            unpriced += filters.lacks_price(vehicle)
            models.add(vehicle.model or "")
            bodies.add(vehicle.body or "")
            price = _price(vehicle)
            if filters.match(vehicle) and filters.affords(price):
                found.append(_row(vehicle, detail))
                room -= len(found[-1].text())
            elif filters.match(vehicle) and price is not None:
                other_prices.append(price)
            if len(found) == limit or room <= 0:
                break
        if seen_before + searched == page.total:
            more = False
        if not more or len(found) == limit or room <= 0:
            break
    return InventoryAnswer(
        vehicles=found,
        searched=searched,
        truncated=more,
        next_cursor=cursors.seal(f"{seen_before + searched} {position}") if more else None,
        models=_some(models) if not found else None,
        bodies=_some(bodies) if not found else None,
        hint=_hint(
            len(found), unpriced, other_prices, more, first=cursor is None, cut=room <= 0 and len(found) < limit
        ),
    )


async def vins_in_stock(grant: Grant, prefix: str, most: int) -> list[str]:
    """The first VINs in stock that start with `prefix`, sorted, for completion: of the feed's first 300 vehicles."""
    found: list[str] = []
    last: str | None = None
    for _ in range(_MOST_PAGES_TO_COMPLETE):
        page = await grant.roadster.list_inventory(size=_PAGE, from_vin=last)
        found += [vehicle.vin for vehicle in page.vehicles if vehicle.vin.startswith(prefix)]
        if len(found) >= most or len(page.vehicles) < _PAGE or page.vehicles[-1].vin[: len(prefix)] > prefix:
            break
        last = page.vehicles[-1].vin
    return found[:most]


def _position(cursors: Cursors, cursor: str) -> tuple[str, int]:
    """The last VIN that was looked at, and how many were until then."""
    seen, vin = cursors.position(cursor).split(" ", 1)
    return vin, int(seen)


class _Filters:
    """What the caller wants of a vehicle; text is compared without case, and what was not given matches all."""

    def __init__(
        self,
        make: str | None,
        model: str | None,
        year_min: int | None,
        year_max: int | None,
        price_min: float | None,
        price_max: float | None,
        body: str | None,
        color: str | None,
        in_stock: bool,
    ) -> None:
        if year_min is not None and year_max is not None and year_min > year_max:
            raise InvalidArguments({"year_min": "is later than year_max"})
        if price_min is not None and price_max is not None and price_min > price_max:
            raise InvalidArguments({"price_min": "is above price_max"})
        self._same = [(make, "make"), (model, "model"), (body, "body")]
        self._years = (year_min, year_max)
        self._prices = (price_min, price_max)
        self._color = color
        self.wanted = (make, model, year_min, year_max, price_min, price_max, body, color, in_stock)

    def match(self, vehicle: InventoryVehicle) -> bool:
        """Whatever it costs."""
        return (
            all(wanted is None or _equal(wanted, getattr(vehicle, name)) for wanted, name in self._same)
            and (self._color is None or any(_contains(name, self._color) for name in _color_names(vehicle)))
            and _within(vehicle.year, *self._years)
        )

    def affords(self, price: float | None) -> bool:
        return _within(price, *self._prices)

    def lacks_price(self, vehicle: InventoryVehicle) -> bool:
        return self._prices != (None, None) and _price(vehicle) is None


def _price(vehicle: InventoryVehicle) -> float | None:
    return vehicle.price if vehicle.price is not None else vehicle.msrp


def _equal(wanted: str, value: str | None) -> bool:
    return value is not None and wanted.strip().casefold() == value.casefold()


def _contains(value: str | None, wanted: str) -> bool:
    return value is not None and wanted.strip().casefold() in value.casefold()


def _color_names(vehicle: InventoryVehicle) -> list[str | None]:
    color = vehicle.exterior_color
    return [color.label, color.generic] if color is not None else []


def _within(value: float | None, low: float | None, high: float | None) -> bool:
    if low is None and high is None:
        return True
    return value is not None and (low is None or value >= low) and (high is None or value <= high)


def _hint(found: int, unpriced: int, other_prices: list[float], more: bool, *, first: bool, cut: bool) -> str | None:
    if unpriced:
        return f"Left out for want of a price in the feed: {unpriced}; quote_payments knows their price."
    if cut and more:
        return "Fewer than the limit, to keep the answer short: detail brief shows more at once."
    if found:
        return None
    if more:
        return "Nothing yet: search on with next_cursor, or ask for less."
    if not first:
        return "No more vehicles match."
    if other_prices:
        low, high = money(min(other_prices)), money(max(other_prices))
        return f"No vehicle matches at this price: {len(other_prices)} match otherwise, from {low} to {high}."
    return "No vehicle matches. The feed lists new vehicles only; drop a filter, or try in_stock false."


def _row(vehicle: InventoryVehicle, detail: Detail) -> VehicleRow:
    brief = VehicleRow(
        vin=vehicle.vin,
        year=vehicle.year,
        make=vehicle.make,
        model=vehicle.model,
        trim=vehicle.trim,
        body=vehicle.body,
        color=vehicle.exterior_color.label if vehicle.exterior_color else None,
        msrp=vehicle.msrp,
        price=vehicle.price,
        in_stock=vehicle.in_stock,
        reserved=vehicle.reserved or None,
    )
    if detail == "brief":
        return brief
    return brief.model_copy(
        update={
            "stock_number": vehicle.stock_number,
            "engine": vehicle.engine.label if vehicle.engine else None,
            "transmission": vehicle.transmission.label if vehicle.transmission else None,
            "drivetrain": vehicle.drivetrain,
            "interior_color": vehicle.interior_color.label if vehicle.interior_color else None,
            "equipment": [*map(_equipment, (*vehicle.packages, *vehicle.options, *vehicle.dealer_options))] or None,
        }
    )


def _some(names: set[str]) -> list[str] | None:
    return sorted(names - {""})[:_MOST_NAMES] or None


def _equipment(option: Option) -> EquipmentRow:
    return EquipmentRow(name=option.name, msrp=option.msrp)


class VehicleAnswer(ToolAnswer):
    """Consumption in miles per gallon, range in miles; what does not apply to the engine is left out."""

    vin: str
    year: int | None = None
    make: str | None = None
    model: str | None = None
    trim: str | None = None
    city_mpg: float | None = None
    highway_mpg: float | None = None
    ev_range_miles: float | None = None


@tool("Details of one vehicle")
async def get_vehicle(grant: Grant, vin: Vin) -> VehicleAnswer:
    """A vehicle's make, model, year, trim, consumption and electric range. For a price or colour use list_inventory."""
    info = (await grant.roadster.get_vehicle(vin)).vehicle_info
    return VehicleAnswer(
        vin=vin,
        year=info.year,
        make=info.make,
        model=info.model,
        trim=info.trim,
        city_mpg=info.city_mpg,
        highway_mpg=info.highway_mpg,
        ev_range_miles=info.ev_range,
    )

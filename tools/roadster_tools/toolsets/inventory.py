"""A dealer's vehicles: a search of the inventory feed, and the details of one vehicle."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from roadster_client.models.values import Vin
from roadster_client.models.vehicles import InventoryVehicle, Option
from roadster_tools.answers import MOST_CHARACTERS, ToolAnswer, cell, list_text, money, quantity
from roadster_tools.catalogue import tool
from roadster_tools.cursors import Cursors
from roadster_tools.failures import InvalidArguments
from roadster_tools.gate.gate import Grant
from roadster_tools.parameters import Cursor, Detail, Limit, plausible
from roadster_tools.toolsets.vehicle_lookup import FEW, WantedVehicle, vin_before

_PAGE = 100
"""Vehicles that one request to Roadster returns at most."""
_MOST_PAGES = 10
"""Requests of one search."""
_MOST_NAMES = 30
"""Models or bodies that an answer without vehicles names."""
_MOST_PAGES_TO_COMPLETE = 3
"""Requests of one completion, while a person types."""

Year = Annotated[int, plausible(1980, 2100)]
Price = Annotated[float, Field(ge=0)]
HighestPrice = Annotated[float, Field(gt=0)]


class EquipmentRow(ToolAnswer):
    name: str
    msrp: float | None = None

    def text(self) -> str:
        return cell(self.name) if self.msrp is None else f"{cell(self.name)} {money(self.msrp)}"


class VehicleRow(ToolAnswer):
    """One vehicle of the feed. It has a price only where the dealer's feed has one."""

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
        """Returns one line that begins with what a salesperson says first."""
        name = " ".join(str(part) for part in (self.year, self.make, self.model, self.trim) if part is not None)
        prices = [
            f"{label} {money(value)}"
            for label, value in (("price", self.price), ("MSRP", self.msrp))
            if value is not None
        ]
        stock = {True: "in stock", False: "not in stock", None: None}[self.in_stock]
        reservation = "reserved" if self.reserved else None
        technical = [self.stock_number, self.engine, self.transmission, self.drivetrain, self.interior_color]
        looks, details = ([cell(part) for part in parts if part] for parts in ([self.body, self.color], technical))
        equipment = ", ".join(part.text() for part in self.equipment or ())
        line = [f"{cell(self.vin)} {cell(name)}", *looks, *prices, stock, reservation, *details, equipment]
        return "; ".join(filter(None, line))


class InventoryAnswer(ToolAnswer):
    vehicles: list[VehicleRow]
    searched: int
    truncated: bool
    next_cursor: str | None = None
    models: list[str] | None = Field(default=None, description="of the feed, where nothing matches")
    bodies: list[str] | None = None
    hint: str | None = None

    def text(self) -> str:
        rows = [
            f"{quantity(len(self.vehicles), 'vehicle')} of {self.searched} searched",
            *(row.text() for row in self.vehicles),
        ]
        choices = [
            f"{name}: {', '.join(map(cell, values))}"
            for name, values in (("models", self.models), ("bodies", self.bodies))
            if values
        ]
        return list_text(rows, next_cursor=self.next_cursor, notes=choices, hint=self.hint)


@tool("Search a dealer's inventory")
async def list_inventory(
    grant: Grant,
    make: str | None = None,
    model: str | None = None,
    year_min: Year | None = None,
    year_max: Year | None = None,
    price_min: Price | None = None,
    price_max: HighestPrice | None = None,
    body: str | None = None,
    color: str | None = None,
    vin: Vin | None = None,
    stock_number: str | None = None,
    in_stock: Annotated[bool, Field(description="false adds sold and incoming")] = True,
    detail: Detail = "brief",
    limit: Limit = 20,
    cursor: Cursor | None = None,
) -> InventoryAnswer:
    """Search a dealer's new vehicles, or see if one (vin, stock_number) is still here. For payments use quote_payments,
    for consumption get_vehicle."""
    filters = _Filters(make, model, year_min, year_max, price_min, price_max, body, color, in_stock)
    target = WantedVehicle(vin, stock_number)
    cursors = Cursors.for_search(grant.cursors, "list_inventory", *filters.values, vin, stock_number)
    position, earlier = _position(cursors, cursor) if cursor is not None else (target.start, 0)
    size = _PAGE if vin is None else FEW
    search = _Search(filters, target, detail, limit)
    more = True
    for _ in range(_MOST_PAGES):
        page = await grant.roadster.list_inventory(
            size=size, from_vin=position, in_stock_only=in_stock and not target.is_one
        )
        size = _PAGE
        if not page.vehicles or page.vehicles[-1].vin == position:
            more = False
            break
        for vehicle in page.vehicles:
            search.add(vehicle)
            position = vehicle.vin
            if search.is_full:
                break
        if earlier + search.count == page.total or target.is_behind(vehicle.vin):
            more = False
        if not more or search.is_full:
            break
    return InventoryAnswer(
        vehicles=search.rows,
        searched=search.count,
        truncated=more,
        next_cursor=cursors.seal(f"{earlier + search.count} {position}") if more else None,
        models=None if search.rows else _first_names(search.models),
        bodies=None if search.rows else _first_names(search.bodies),
        hint=_search_hint(search, more, is_first=cursor is None),
    )


async def vins_of_feed(grant: Grant, vin: str) -> list[str]:
    """Returns only `vin` where the feed has it, else the VINs of its first 1,000 vehicles, sold and incoming too."""
    page = await grant.roadster.list_inventory(size=FEW, from_vin=vin_before(vin), in_stock_only=False)
    if any(vehicle.vin.upper() == vin for vehicle in page.vehicles):
        return [vin]
    vins: list[str] = []
    for _ in range(_MOST_PAGES):
        last = vins[-1] if vins else None
        page = await grant.roadster.list_inventory(size=_PAGE, from_vin=last, in_stock_only=False)
        # A page may be short because rows were left out, so only an empty one is the end.
        if not page.vehicles:
            break
        vins += [vehicle.vin for vehicle in page.vehicles]
    return vins


async def vins_in_stock(grant: Grant, prefix: str, most: int) -> list[str]:
    """Returns the first VINs in stock that start with `prefix`, sorted, from the feed's first 300 vehicles."""
    vins: list[str] = []
    last: str | None = None
    for _ in range(_MOST_PAGES_TO_COMPLETE):
        page = await grant.roadster.list_inventory(size=_PAGE, from_vin=last)
        if not page.vehicles:
            break
        vins += [vehicle.vin for vehicle in page.vehicles if vehicle.vin.startswith(prefix)]
        if len(vins) >= most or page.vehicles[-1].vin[: len(prefix)] > prefix:
            break
        last = page.vehicles[-1].vin
    return vins[:most]


def _position(cursors: Cursors, cursor: str) -> tuple[str, int]:
    """Returns the last VIN that an earlier call searched, and the number of vehicles up to it."""
    count, vin = cursors.position(cursor).split(" ", 1)
    return vin, int(count)


class _Filters:
    """The filters of one search. Text is compared without case, and a filter that is None matches everything."""

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
        self._texts = [("make", make), ("model", model), ("body", body)]
        self._years = (year_min, year_max)
        self._prices = (price_min, price_max)
        self._color = color
        self.values = (make, model, year_min, year_max, price_min, price_max, body, color, in_stock)

    def match(self, vehicle: InventoryVehicle) -> bool:
        """Tells whether the vehicle matches all filters except the price."""
        return (
            all(text is None or _is_equal(getattr(vehicle, name), text) for name, text in self._texts)
            and (self._color is None or any(_contains(name, self._color) for name in _color_names(vehicle)))
            and _is_within(vehicle.year, *self._years)
        )

    def match_price(self, price: float | None) -> bool:
        return _is_within(price, *self._prices)

    def lack_price(self, vehicle: InventoryVehicle) -> bool:
        """Tells whether the price filter needs a price that the feed does not have."""
        return self._prices != (None, None) and _price(vehicle) is None


class _Search:
    """The result of one search, which grows vehicle by vehicle until the answer is full."""

    def __init__(self, filters: _Filters, target: WantedVehicle, detail: Detail, limit: int) -> None:
        self.target = target
        self.is_in_feed = False
        self._filters = filters
        self._detail = detail
        self._limit = limit
        self._room = MOST_CHARACTERS
        self.rows: list[VehicleRow] = []
        self.count = 0
        self.without_price = 0
        self.models: set[str] = set()
        self.bodies: set[str] = set()
        self.other_prices: list[float] = []
        """The prices of vehicles that match all other filters."""

    def add(self, vehicle: InventoryVehicle) -> None:
        self.count += 1
        if not self.target.match(vehicle):
            return
        self.is_in_feed = True
        self.without_price += self._filters.lack_price(vehicle)
        self.models.add(vehicle.model or "")
        self.bodies.add(vehicle.body or "")
        price = _price(vehicle)
        if not self._filters.match(vehicle):
            return
        if self._filters.match_price(price):
            row = _vehicle_row(vehicle, self._detail)
            number = vehicle.stock_number if self.target.is_one else row.stock_number
            self.rows.append(row.model_copy(update={"stock_number": number}))
            self._room -= len(self.rows[-1].text())
        elif price is not None:
            self.other_prices.append(price)

    @property
    def is_full(self) -> bool:
        return len(self.rows) == self._limit or self._room <= 0

    @property
    def is_cut(self) -> bool:
        """True where the answer is full before the caller's limit, because its rows are long."""
        return self._room <= 0 and len(self.rows) < self._limit


def _price(vehicle: InventoryVehicle) -> float | None:
    return vehicle.price if vehicle.price is not None else vehicle.msrp


def _is_equal(value: str | None, text: str) -> bool:
    return value is not None and text.strip().casefold() == value.casefold()


def _contains(value: str | None, text: str) -> bool:
    return value is not None and text.strip().casefold() in value.casefold()


def _color_names(vehicle: InventoryVehicle) -> list[str | None]:
    color = vehicle.exterior_color
    return [color.label, color.generic] if color is not None else []


def _is_within(value: float | None, low: float | None, high: float | None) -> bool:
    if low is None and high is None:
        return True
    return value is not None and (low is None or value >= low) and (high is None or value <= high)


def _search_hint(search: _Search, more: bool, *, is_first: bool) -> str | None:
    if search.without_price:
        return f"Left out for want of a price in the feed: {search.without_price}; quote_payments knows their price."
    if search.is_cut and more:
        return "Fewer than the limit, to keep the answer short: detail brief shows more at once."
    if search.target.is_one and is_first:
        stock = [row.in_stock for row in search.rows]
        return search.target.hint(stock=stock, is_in_feed=search.is_in_feed, more=more)
    if search.rows:
        return None
    if more:
        return "Nothing yet: search on with next_cursor, or ask for less."
    if not is_first:
        return "No more vehicles match."
    if search.other_prices:
        low, high = money(min(search.other_prices)), money(max(search.other_prices))
        return f"No vehicle matches at this price: {len(search.other_prices)} match otherwise, from {low} to {high}."
    return "No vehicle matches. The feed lists new vehicles only; drop a filter, or try in_stock false."


def _vehicle_row(vehicle: InventoryVehicle, detail: Detail) -> VehicleRow:
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
            "equipment": [*map(_equipment_row, (*vehicle.packages, *vehicle.options, *vehicle.dealer_options))] or None,
        }
    )


def _first_names(names: set[str]) -> list[str] | None:
    return sorted(names - {""})[:_MOST_NAMES] or None


def _equipment_row(option: Option) -> EquipmentRow:
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

"""A dealer's vehicles: a search of the inventory feed, and the details of one vehicle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from roadster_client.models.values import Vin
from roadster_client.models.vehicles import InventoryVehicle, Option
from roadster_tools.answers import AnswerRows, ToolAnswer, UnreadRows, cell, cut_hint, list_text, money, quantity
from roadster_tools.catalogue import tool
from roadster_tools.check_digit import doubt_of_known_vin, has_check_digit
from roadster_tools.cursors import Cursors
from roadster_tools.failures import InvalidArguments
from roadster_tools.gate.gate import Grant
from roadster_tools.parameters import Cursor, Detail, Limit, plausible
from roadster_tools.toolsets.feed import MOST_PAGES, PAGE, FeedWalk
from roadster_tools.toolsets.vehicle_lookup import FEW, WantedVehicle

_MOST_NAMES = 30
"""Models or bodies that an answer without vehicles names."""

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
    place = _Place.read(cursors.position(cursor)) if cursor is not None else _Place(target.start)
    walk = FeedWalk(grant, in_stock and not target.is_one, place.position, place.passed)
    search = _Search(filters, target, detail, limit)
    more = True
    for size in (PAGE if vin is None else FEW, *[PAGE] * (MOST_PAGES - 1)):
        for vehicle in await walk.next_rows(size):
            search.add(vehicle)
            if search.page.is_full or target.is_behind(walk.position):
                break
        if walk.is_over or target.is_behind(walk.position) or place.count + search.count == walk.total:
            more = False
        if not more or search.page.is_full:
            break
    if vin is not None and search.is_in_feed and not has_check_digit(vin):
        grant.notices[:] = [doubt_of_known_vin("vin")]
    place = place.moved(walk, search)
    unread = UnreadRows(place.unread, _unread_fields(grant, search), may_be_behind=walk.passed > 0)
    return InventoryAnswer(
        vehicles=search.rows,
        searched=search.count,
        truncated=more,
        next_cursor=cursors.seal(place.text()) if more else None,
        models=None if search.rows else _first_names(search.models),
        bodies=None if search.rows else _first_names(search.bodies),
        hint=_search_hint(search, more, unread, is_first=cursor is None),
    )


@dataclass(frozen=True)
class _Place:
    """The place that a search has come to, which a cursor holds: the last VIN, and the rows up to it.

    `passed` are the rows behind that VIN that could not be read, as in `FeedWalk`. `unread` counts all such rows.
    """

    position: str | None
    passed: int = 0
    count: int = 0
    unread: int = 0

    @classmethod
    def read(cls, text: str) -> _Place:
        passed, count, unread, position = text.split(" ", 3)
        return cls(position or None, int(passed), int(count), int(unread))

    def text(self) -> str:
        return f"{self.passed} {self.count} {self.unread} {self.position or ''}"

    def moved(self, walk: FeedWalk, search: _Search) -> _Place:
        return _Place(walk.position, walk.passed, self.count + search.count, self.unread + search.unread)


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

    @property
    def fields(self) -> set[str]:
        """The fields of a vehicle that the filters need, except the price."""
        fields = {name for name, text in self._texts if text is not None}
        if self._years != (None, None):
            fields.add("year")
        if self._color is not None:
            fields |= {"exterior_color", "exterior_color.label", "exterior_color.generic"}
        return fields

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
        self.filters = filters
        self.detail = detail
        self.is_in_feed = False
        self.page = AnswerRows[VehicleRow](limit)
        self.count = 0
        self.unread = 0
        """The rows that could not be read."""
        self.without_price = 0
        self.models: set[str] = set()
        self.bodies: set[str] = set()
        self.other_prices: list[float] = []
        """The prices of vehicles that match all other filters."""

    def add(self, vehicle: InventoryVehicle | None) -> None:
        if vehicle is None:
            self.unread += 1
            return
        self.count += 1
        if not self.target.match(vehicle):
            return
        self.is_in_feed = True
        self.without_price += self.filters.lack_price(vehicle)
        self.models.add(vehicle.model or "")
        self.bodies.add(vehicle.body or "")
        price = _price(vehicle)
        if not self.filters.match(vehicle):
            return
        if self.filters.match_price(price):
            row = _vehicle_row(vehicle, self.detail)
            number = vehicle.stock_number if self.target.is_one else row.stock_number
            self.page.add(row.model_copy(update={"stock_number": number}))
        elif price is not None:
            self.other_prices.append(price)

    @property
    def rows(self) -> list[VehicleRow]:
        return self.page.rows


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


def _unread_fields(grant: Grant, search: _Search) -> int:
    """Returns how many values that the search compares could not be read."""
    names = search.filters.fields | ({"stock_number"} if search.target.stock_number is not None else set())
    paths = ("vehicles", *(f"vehicles.*.{name}" for name in names))
    return sum(count for kind, count in grant.left_out.items() if kind.path in paths)


def _search_hint(search: _Search, more: bool, unread: UnreadRows, *, is_first: bool) -> str | None:
    hint = _full_hint(search, more) if search.rows else _empty_hint(search, more, unread, is_first=is_first)
    if search.without_price:
        price = f"Left out for want of a price in the feed: {search.without_price}; quote_payments knows their price."
        return f"{price} {unread.hint('the vehicle')}" if unread and not search.rows and not more else price
    return hint


def _full_hint(search: _Search, more: bool) -> str | None:
    if search.page.is_cut and more:
        return cut_hint(search.detail)
    return search.target.hint_of_rows([row.in_stock for row in search.rows]) if search.target.is_one else None


def _empty_hint(search: _Search, more: bool, unread: UnreadRows, *, is_first: bool) -> str:
    if search.is_in_feed and search.target.is_one:
        return "This vehicle is in the feed, but other filters leave it out."
    if more:
        return "Nothing yet: search on with next_cursor, or ask for less."
    prices = search.other_prices
    others = f"{len(prices)} match otherwise, from {money(min(prices))} to {money(max(prices))}." if prices else ""
    if unread:
        return " ".join(filter(None, [unread.hint("the vehicle"), others]))
    if not is_first:
        return "No more vehicles match."
    if search.target.is_one:
        return search.target.hint_of_absence()
    if others:
        return f"No vehicle matches at this price: {others}"
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

"""A dealer's vehicles: a search of the inventory, and the details of one vehicle."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from roadster_client import LeftOut
from roadster_client.models.values import Amount, PositiveAmount, Vin, plausible
from roadster_tools.answers import AnswerRows, ToolAnswer, UnreadRows, cut_hint
from roadster_tools.arguments.parameters import Cursor, Detail, Limit
from roadster_tools.catalogue import tool
from roadster_tools.cursors import Cursors
from roadster_tools.failures import InvalidArguments
from roadster_tools.gate.gate import Grant
from roadster_tools.gate.vehicles import (
    LastSeen,
    MirroredVehicle,
    Sort,
    StockPage,
    StockPlace,
    StockQuery,
    price_of,
    searched_words,
)

from .feed_search import FeedSearch
from .stock_hints import count_names, empty_hint, late_hint, time_text
from .vehicle_lookup import WantedVehicle
from .vehicle_rows import InventoryAnswer, VehicleRow, vehicle_row

Year = Annotated[int, plausible(1980, 2100)]


@tool("Search a dealer's inventory")
async def list_inventory(
    grant: Grant,
    make: str | None = None,
    model: str | None = None,
    year_min: Year | None = None,
    year_max: Year | None = None,
    price_min: Amount | None = None,
    price_max: PositiveAmount | None = None,
    body: str | None = None,
    color: str | None = None,
    query: Annotated[str, Field(description="words of trim, options, colours")] | None = None,
    vin: Vin | None = None,
    stock_number: str | None = None,
    in_stock: Annotated[bool, Field(description="false adds sold and incoming")] = True,
    sort: Sort | None = None,
    detail: Detail = "brief",
    limit: Limit = 20,
    cursor: Cursor | None = None,
) -> InventoryAnswer:
    """Search a dealer's new vehicles, or see if one (vin, stock_number) is still here. For payments: quote_payments;
    for consumption: get_vehicle."""
    if year_min is not None and year_max is not None and year_min > year_max:
        raise InvalidArguments({"year_min": "is later than year_max"})
    if price_min is not None and price_max is not None and price_min > price_max:
        raise InvalidArguments({"price_min": "is above price_max"})
    words = searched_words(query or "")
    filters = StockQuery(
        make, model, year_min, year_max, price_min, price_max, body, color, words, stock_number, in_stock
    )
    target = WantedVehicle(vin, stock_number)
    cursors = Cursors.for_search(grant.cursors, "list_inventory", filters, vin, sort)
    kind, _, position = ("", "", None) if cursor is None else cursors.position(cursor).partition(" ")
    if vin is None and kind != "feed":
        page = await _search_mirror(grant, filters, target, sort, position, limit)
        if page is None and kind:
            raise InvalidArguments({"cursor": "is of vehicles that are not kept any more; start again without it"})
        if page is not None and not (target.is_one and len(page.vehicles) == 1):
            return await _mirror_answer(grant, cursors, filters, target, detail, limit, page, is_first=cursor is None)
        if page is not None:
            # Found by its stock number. The feed says whether it is still here.
            target = WantedVehicle(page.vehicles[0].vehicle.vin, stock_number)
    if target.vin is not None:
        target = replace(target, feed_vin=await grant.vehicles.feed_vin(target.vin))
    search = FeedSearch(grant, cursors, filters, target, None if target.is_one else sort, detail, limit, position)
    if target.vin is None:
        return await search.answer()
    result = await grant.vehicles.look_up(target.vin, search.answer)
    return _last_answer(result, filters, target, detail) if isinstance(result, LastSeen) else result


async def _search_mirror(
    grant: Grant, filters: StockQuery, target: WantedVehicle, sort: Sort | None, position: str | None, limit: int
) -> StockPage | None:
    """Returns the matching vehicles, one more than `limit` where there are more. Returns None where none are kept."""
    if target.is_one:
        return await grant.vehicles.search(
            StockQuery(stock_number=target.stock_number, in_stock=False), None, after=None, most=limit
        )
    after = None
    if position:
        value, vin = position.split(" ", 1)
        after = StockPlace(float(value), vin)
    return await grant.vehicles.search(filters, sort, after=after, most=limit + 1)


async def _mirror_answer(
    grant: Grant,
    cursors: Cursors,
    filters: StockQuery,
    target: WantedVehicle,
    detail: Detail,
    limit: int,
    page: StockPage,
    *,
    is_first: bool,
) -> InventoryAnswer:
    vehicles = [each for each in page.vehicles if not target.is_one or _is_match(filters, each)]
    rows = await AnswerRows[VehicleRow](limit).fill(
        vehicle_row(each.vehicle, detail, with_stock_number=target.is_one) for each in vehicles
    )
    shown_vehicles, more = vehicles[: len(rows)], len(rows) < len(vehicles)
    shown_paths = Counter(path for each in shown_vehicles for path in each.unread if path not in page.unread)
    grant.left_out.update({LeftOut("list_inventory", path): n for path, n in (shown_paths + page.unread).items()})
    others = page.others if is_first else None
    place = shown_vehicles[-1].place if more else None
    return InventoryAnswer(
        vehicles=rows,
        searched=page.stock,
        truncated=more,
        next_cursor=cursors.seal(f"mirror {place.value!r} {place.vin}") if place else None,
        as_of=time_text(page.as_of),
        counts=count_names(page.counts) if more and is_first else None,
        models=(others.models or None) if others else None,
        bodies=(others.bodies or None) if others else None,
        hint=_hint(filters, target, detail, page, rows, is_cut=more and len(rows) < limit, is_first=is_first),
    )


def _is_match(filters: StockQuery, each: MirroredVehicle) -> bool:
    return filters.match(each.vehicle) and filters.match_price(price_of(each.vehicle))


def _hint(
    filters: StockQuery,
    target: WantedVehicle,
    detail: Detail,
    page: StockPage,
    rows: list[VehicleRow],
    *,
    is_cut: bool,
    is_first: bool,
) -> str | None:
    hints = [late_hint(page.late, page.as_of)]
    if page.without_price and is_first:
        hints.append(
            f"Left out for want of a price in the feed: {page.without_price}; quote_payments knows their price."
        )
    if page.is_unordered and is_first and len(page.vehicles) > 1:
        hints.append("None is known to be newer than another: all were there when the server first read the feed.")
    if is_cut:
        hints.append(cut_hint(detail))
    unread = UnreadRows(page.unread_rows, page.unread.total())
    if rows and target.is_one:
        hints.append(target.hint_of_rows([row.in_stock for row in rows]) or "")
    elif rows:
        hints.append(unread.hint_beside_rows())
    elif page.vehicles:
        hints.append("This vehicle is in the feed, but other filters leave it out.")
    else:
        hints.append(_empty_hint(filters, target, page, unread, is_first=is_first))
    return " ".join(filter(None, hints)) or None


def _empty_hint(
    filters: StockQuery, target: WantedVehicle, page: StockPage, unread: UnreadRows, *, is_first: bool
) -> str:
    others = page.others
    if others is None:
        return empty_hint(target, 0, None, None, UnreadRows(0), is_first=is_first)
    count = others.count if filters.limits_price else 0
    return empty_hint(target, count, others.lowest, others.highest, unread, is_first=is_first)


def _last_answer(last: LastSeen, filters: StockQuery, target: WantedVehicle, detail: Detail) -> InventoryAnswer:
    """Returns the answer about one vehicle while the feed does not answer."""
    vehicle = last.vehicle if last.vehicle and target.match(last.vehicle) and filters.match(last.vehicle) else None
    late = late_hint("unanswered", last.as_of)
    presence = "" if vehicle else "It did not have this vehicle."
    return InventoryAnswer(
        vehicles=[vehicle_row(vehicle, detail, with_stock_number=True)] if vehicle else [],
        searched=1 if last.vehicle else 0,
        truncated=False,
        as_of=time_text(last.as_of),
        hint=" ".join(filter(None, [late, presence])),
    )


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

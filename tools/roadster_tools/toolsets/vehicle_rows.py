"""The rows of an inventory, and the answer that they stand in."""

from __future__ import annotations

from pydantic import Field

from roadster_client.models.vehicles import InventoryVehicle, Option
from roadster_tools.answers import ToolAnswer, cell, list_text, money, quantity
from roadster_tools.arguments.parameters import Detail

MOST_NAMES = 30
"""Models or bodies that an answer without vehicles names."""


class EquipmentRow(ToolAnswer):
    name: str
    msrp: float | None = None
    invoice_price: float | None = Field(default=None, description="not for customers")

    def text(self) -> str:
        cost = None if self.invoice_price is None else f"(dealer's cost {money(self.invoice_price)})"
        parts = [cell(self.name), None if self.msrp is None else money(self.msrp), cost]
        return " ".join(filter(None, parts))


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
    as_of: str | None = None
    counts: dict[str, dict[str, int]] | None = Field(default=None, description="of all that match")
    models: list[str] | None = Field(default=None, description="of the feed, where nothing matches")
    bodies: list[str] | None = None
    hint: str | None = None

    def text(self) -> str:
        time = f", as of {self.as_of}" if self.as_of else ""
        rows = [
            f"{quantity(len(self.vehicles), 'vehicle')} of {self.searched} searched{time}",
            *(row.text() for row in self.vehicles),
        ]
        counts = [
            f"matches by {name}: {', '.join(f'{cell(value)} {number}' for value, number in numbers.items())}"
            for name, numbers in (self.counts or {}).items()
        ]
        choices = [
            f"{name}: {', '.join(map(cell, values))}"
            for name, values in (("models", self.models), ("bodies", self.bodies))
            if values
        ]
        return list_text(rows, next_cursor=self.next_cursor, notes=[*counts, *choices], hint=self.hint)


def vehicle_row(vehicle: InventoryVehicle, detail: Detail, *, with_stock_number: bool = False) -> VehicleRow:
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
        stock_number=vehicle.stock_number if with_stock_number else None,
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


def first_names(names: set[str]) -> list[str] | None:
    return sorted(names - {""})[:MOST_NAMES] or None


def _equipment_row(option: Option) -> EquipmentRow:
    return EquipmentRow(name=option.name, msrp=option.msrp, invoice_price=option.invoice_price)

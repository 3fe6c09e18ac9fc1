"""Customers' records of the dealer's service department, from myKaarma."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from roadster_client.models.customer_records import CustomerRecord, DealerOrder, OwnedVehicle
from roadster_client.models.values import UUID_PATTERN
from roadster_tools.answers import ToolAnswer
from roadster_tools.arguments.parameters import Detail
from roadster_tools.catalogue import tool
from roadster_tools.gate.gate import Grant

_BRIEF_ORDERS = 5
_MOST_ROWS = 100
"""Rows of each list in a full answer."""
_MOST_PAYMENTS = 20
"""Payments of one order."""


def _uuid(value: str) -> str:
    if re.fullmatch(UUID_PATTERN, value) is None:
        raise ValueError("expected a UUID of myKaarma: 32 to 64 letters, digits, - or _")
    return value


CustomerUuid = Annotated[
    str,
    AfterValidator(_uuid),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^{UUID_PATTERN}$",
            "description": "myKaarma's id of the customer, not Roadster's",
        }
    ),
]


class OwnedVehicleRow(ToolAnswer):
    year: str | None = None
    make: str | None = None
    model: str | None = None
    trim: str | None = None
    vin: str | None = None


class OrderCountRow(ToolAnswer):
    order_type: str | None = None
    orders: int


class PaymentRow(ToolAnswer):
    amount: float | None = None
    type_id: int | None = None
    card_number: str | None = Field(default=None, description="always masked")


class OrderRow(ToolAnswer):
    """Dates are as myKaarma writes them. The fields after the VIN are set only in a full answer."""

    order_number: str | None = None
    order_type: str | None = None
    status: str | None = None
    date: str | None = None
    amount: float | None = None
    vin: str | None = None
    closed: str | None = None
    tag: str | None = None
    description: str | None = None
    transactions: list[PaymentRow] | None = None


class CommunicationRow(ToolAnswer):
    type: str | None = None
    label: str | None = None
    value: str | None = None
    preferred: bool | None = None


class AddressRow(ToolAnswer):
    type: str | None = None
    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None
    country: str | None = None
    phone: str | None = None
    preferred: bool | None = None


class OtherCustomerRow(ToolAnswer):
    first_name: str | None = None
    last_name: str | None = None


class CrmCustomerAnswer(ToolAnswer):
    """Amounts as myKaarma gives them. What stands after `orders` is said with detail full."""

    customer_uuid: str
    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    vehicles: list[OwnedVehicleRow]
    order_counts: list[OrderCountRow]
    orders: list[OrderRow] = Field(description=f"newest first; brief: {_BRIEF_ORDERS}, full: {_MOST_ROWS} at most")
    customer_key: str | None = Field(default=None, description="of the dealer's own management system")
    communications: list[CommunicationRow] | None = None
    addresses: list[AddressRow] | None = None
    other_customers: list[OtherCustomerRow] | None = Field(default=None, description="of the same household or company")
    truncated: bool | None = Field(default=None, description="said where a list is cut")
    warnings: int | None = Field(default=None, description="said where myKaarma warned of something in the record")


@tool("A customer's record in the CRM")
async def get_crm_customer(grant: Grant, customer_uuid: CustomerUuid, detail: Detail = "brief") -> CrmCustomerAnswer:
    """A customer's service record from myKaarma: name, vehicles, newest orders; full detail adds payments, addresses,
    phones. Takes myKaarma's customer UUID from the person: it is no customer_id, and nothing here finds one."""
    record = await grant.customer_records.get_customer_record(customer_uuid)
    customer = record.customer_info
    full = detail == "full"
    most_orders = _MOST_ROWS if full else _BRIEF_ORDERS
    orders = sorted(record.dealer_order_info_list, key=_day, reverse=True)
    answer = CrmCustomerAnswer(
        customer_uuid=customer_uuid,
        first_name=customer.fname,
        last_name=customer.lname,
        company=customer.company,
        vehicles=[_vehicle_row(vehicle) for vehicle in customer.vehicles[:_MOST_ROWS]],
        order_counts=[
            OrderCountRow(order_type=order_type, orders=count)
            for order_type, count in islice(Counter(order.order_type for order in orders).items(), _MOST_ROWS)
        ],
        orders=[_order_row(order, customer.vehicles, full) for order in orders[:most_orders]],
        truncated=_is_cut(record, full) or None,
        warnings=len(record.warnings) or None,
    )
    return answer.model_copy(update=_full_fields(record)) if full else answer


def _is_cut(record: CustomerRecord, full: bool) -> bool:
    """Tells whether the answer leaves rows out. A brief answer's orders do not count: `order_counts` has them all."""
    customer = record.customer_info
    lists: list[Sequence[object]] = [customer.vehicles, record.dealer_order_info_list]
    if full:
        lists += [customer.communications, customer.secondary_customer_data]
        lists += [record.address_list_v2 or record.address_list]
    payments = [order.transactions for order in record.dealer_order_info_list] if full else []
    return any(len(rows) > _MOST_ROWS for rows in lists) or any(len(rows) > _MOST_PAYMENTS for rows in payments)


def _day(order: DealerOrder) -> str:
    """Returns the date to sort an order by, and no date where it is not ISO 8601."""
    date = order.order_date or ""
    return date if re.match(r"\d{4}-\d{2}-\d{2}", date) else ""


def _vehicle_row(vehicle: OwnedVehicle) -> OwnedVehicleRow:
    return OwnedVehicleRow(
        year=vehicle.year, make=vehicle.make, model=vehicle.model, trim=vehicle.trim, vin=vehicle.vin
    )


def _order_row(order: DealerOrder, vehicles: tuple[OwnedVehicle, ...], full: bool) -> OrderRow:
    vins = (each.vin for each in vehicles if each.uuid is not None and each.uuid == order.vehicle_uuid)
    row = OrderRow(
        order_number=order.order_number,
        order_type=order.order_type,
        status=order.order_status,
        date=order.order_date,
        amount=order.order_amount,
        vin=next(vins, None),
    )
    if not full:
        return row
    return row.model_copy(
        update={
            "closed": order.close_date,
            "tag": order.tag_or_hat,
            "description": order.description,
            "transactions": [
                PaymentRow(
                    amount=payment.transaction_amount,
                    type_id=payment.transaction_type_id,
                    card_number=payment.cc_number,
                )
                for payment in order.transactions[:_MOST_PAYMENTS]
            ],
        }
    )


def _full_fields(record: CustomerRecord) -> dict[str, object]:
    customer = record.customer_info
    return {
        "customer_key": customer.customer_key,
        "communications": [
            CommunicationRow(
                type=channel.comm_type, label=channel.comm_label, value=channel.comm_value, preferred=channel.preferred
            )
            for channel in customer.communications[:_MOST_ROWS]
        ],
        "addresses": _addresses(record),
        "other_customers": [
            OtherCustomerRow(first_name=other.fname, last_name=other.lname)
            for other in customer.secondary_customer_data[:_MOST_ROWS]
        ],
    }


def _addresses(record: CustomerRecord) -> list[AddressRow]:
    """Returns the addresses of the newer list, and those of the older one only where the newer is empty."""
    newer = [
        AddressRow(
            type=address.address_type or address.type,
            line1=address.line1,
            line2=address.line2,
            city=address.city,
            state=address.state,
            zip=address.zip,
            country=address.country,
            preferred=address.is_preferred,
        )
        for address in record.address_list_v2[:_MOST_ROWS]
    ]
    return newer or [
        AddressRow(
            type=address.address_type,
            line1=address.line1,
            line2=address.line2,
            city=address.city,
            state=address.state_code,
            zip=address.zip,
            country=address.country,
            phone=address.phone,
        )
        for address in record.address_list[:_MOST_ROWS]
    ]

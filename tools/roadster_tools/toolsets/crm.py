"""What the dealer's service department knows of a customer, from myKaarma."""

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
from roadster_tools.catalogue import tool
from roadster_tools.gate.gate import Grant
from roadster_tools.parameters import Detail

_NEWEST = 5
_MOST = 100
_MOST_PAYMENTS = 20
"""Of one order."""


def _uuid(given: str) -> str:
    if re.fullmatch(UUID_PATTERN, given) is None:
        raise ValueError("expected a UUID of myKaarma: 32 to 64 letters, digits, - or _")
    return given


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
    """Dates as myKaarma writes them. What stands after the VIN is said with detail full."""

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
    orders: list[OrderRow] = Field(description=f"newest first; brief: {_NEWEST}, full: {_MOST} at most")
    customer_key: str | None = Field(default=None, description="of the dealer's own management system")
    communications: list[CommunicationRow] | None = None
    addresses: list[AddressRow] | None = None
    other_customers: list[OtherCustomerRow] | None = Field(default=None, description="of the same household or company")
    truncated: bool | None = Field(default=None, description="said where a list is cut")
    warnings: int | None = Field(default=None, description="said where myKaarma warned of something in the record")


@tool("A customer's record in the CRM")
async def get_crm_customer(grant: Grant, customer_uuid: CustomerUuid, detail: Detail = "brief") -> CrmCustomerAnswer:
    """A customer's service record at the dealer, from myKaarma: name, vehicles, newest orders; full detail adds
    payments, addresses, phones. Takes myKaarma's customer UUID from the person: it is no customer_id, and nothing here
    finds one."""
    record = await grant.customer_records.get_customer_record(customer_uuid)
    customer = record.customer_info
    full = detail == "full"
    orders = sorted(record.dealer_order_info_list, key=_day, reverse=True)
    answer = CrmCustomerAnswer(
        customer_uuid=customer_uuid,
        first_name=customer.fname,
        last_name=customer.lname,
        company=customer.company,
        vehicles=[
            OwnedVehicleRow(year=owned.year, make=owned.make, model=owned.model, trim=owned.trim, vin=owned.vin)
            for owned in customer.vehicles[:_MOST]
        ],
        order_counts=[
            OrderCountRow(order_type=order_type, orders=count)
            for order_type, count in islice(Counter(order.order_type for order in orders).items(), _MOST)
        ],
        orders=[_order_row(order, customer.vehicles, full) for order in orders[: _MOST if full else _NEWEST]],
        truncated=_is_cut(record, full) or None,
        warnings=len(record.warnings) or None,
    )
    return answer.model_copy(update=_details(record)) if full else answer


def _is_cut(record: CustomerRecord, full: bool) -> bool:
    """Whether more is known than is shown, but for the orders of a brief answer, which `order_counts` counts."""
    customer = record.customer_info
    lists: list[Sequence[object]] = [customer.vehicles, record.dealer_order_info_list]
    if full:
        lists += [customer.communications, customer.secondary_customer_data]
        lists += [record.address_list_v2 or record.address_list]
    paid = [order.transactions for order in record.dealer_order_info_list] if full else []
    return any(len(rows) > _MOST for rows in lists) or any(len(rows) > _MOST_PAYMENTS for rows in paid)


def _day(order: DealerOrder) -> str:
    """What orders are sorted by: other dates than ISO 8601 sort as none, in the order in which they came."""
    date = order.order_date or ""
    return date if re.match(r"\d{4}-\d{2}-\d{2}", date) else ""


def _order_row(order: DealerOrder, vehicles: tuple[OwnedVehicle, ...], full: bool) -> OrderRow:
    of_order = (owned.vin for owned in vehicles if owned.uuid is not None and owned.uuid == order.vehicle_uuid)
    row = OrderRow(
        order_number=order.order_number,
        order_type=order.order_type,
        status=order.order_status,
        date=order.order_date,
        amount=order.order_amount,
        vin=next(of_order, None),
    )
    if not full:
        return row
    return row.model_copy(
        update={
            "closed": order.close_date,
            "tag": order.tag_or_hat,
            "description": order.description,
            "transactions": [
                PaymentRow(amount=paid.transaction_amount, type_id=paid.transaction_type_id, card_number=paid.cc_number)
                for paid in order.transactions[:_MOST_PAYMENTS]
            ],
        }
    )


def _details(record: CustomerRecord) -> dict[str, object]:
    customer = record.customer_info
    return {
        "customer_key": customer.customer_key,
        "communications": [
            CommunicationRow(type=way.comm_type, label=way.comm_label, value=way.comm_value, preferred=way.preferred)
            for way in customer.communications[:_MOST]
        ],
        "addresses": _addresses(record),
        "other_customers": [
            OtherCustomerRow(first_name=other.fname, last_name=other.lname)
            for other in customer.secondary_customer_data[:_MOST]
        ],
    }


def _addresses(record: CustomerRecord) -> list[AddressRow]:
    """Those of the newer list; the older one only where there is no newer."""
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
        for address in record.address_list_v2[:_MOST]
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
        for address in record.address_list[:_MOST]
    ]

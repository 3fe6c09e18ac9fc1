"""Customer records of myKaarma: POST /customer/{customerUUID}.

The document shows one sample without an explanation: times are texts, and amounts have no unit. It also does not say
which words a type or a status may be. A reader who may not see contact data therefore sees only the words that we know,
and texts that read as a date, a short number or a vehicle.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel

from roadster_client.leniency import SUBJECT

from .parts import Received, Sent
from .personal_data import MASK, ContactData, IdentityData
from .personal_text import mask_and_shorten
from .reader import reader_of
from .values import VIN_CHARACTER, Money, WebUrl, WholeNumber, plain_vin


def _mask_unless(is_harmless: Callable[[str], object]) -> BeforeValidator:
    """Returns a validator that masks a text for a reader without contact data, unless `is_harmless` says yes."""

    def mask(value: Any, info: ValidationInfo) -> Any:
        is_visible = reader_of(info).sees_contact_data or value in (None, "") or is_harmless(str(value))
        return value if is_visible else MASK

    return BeforeValidator(mask)


def _mask_unless_matching(pattern: str) -> BeforeValidator:
    return _mask_unless(re.compile(pattern).fullmatch)


def _is_date(text: str) -> bool:
    """Returns whether `text` is ISO 8601 or month/day/year, with signs between its parts.

    Without the signs, a telephone number would be a date too.
    """
    if re.search(r"\d{7}", text):
        return False
    try:
        if "/" in text:
            datetime.strptime(text, "%m/%d/%Y")  # noqa: DTZ007 - only tested for its form
        else:
            datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


_CODES = {
    # Types and statuses of orders, then of addresses, then of communications. The document names only COMMON.
    *("RO", "APPOINTMENT", "OPEN", "CLOSED", "CANCELED", "CANCELLED"),
    *("COMMON", "HOME", "WORK", "BUSINESS", "MAILING", "BILLING"),
    *("PHONE", "CELL", "MOBILE", "TEXT", "EMAIL"),
}


_LONGEST_VEHICLE_NAME = 60
"""Characters."""

_MOST_DIGITS = 4
"""Digits in a vehicle's name. A number that leads to a person has more."""


def _is_vehicle_name(text: str) -> bool:
    digits = sum(map(str.isdigit, text))
    return len(text) <= _LONGEST_VEHICLE_NAME and digits <= _MOST_DIGITS and "@" not in text


Code = Annotated[str, "contact", _mask_unless(_CODES.__contains__)]
"""A type or a status that we know."""

Region = Annotated[str, "contact", _mask_unless_matching("[A-Z]{2}")]
"""A state or a country in two capitals."""

OrderNumber = Annotated[str, "contact", _mask_unless_matching("(RO-?)?[0-9]{1,6}")]
"""Shorter than a telephone number."""

Date = Annotated[str, "contact", _mask_unless(_is_date)]
"""A date as myKaarma wrote it."""

Vin = Annotated[
    str, "contact", _mask_unless_matching(f"(?i:{VIN_CHARACTER}{{13}})[0-9]{{4}}"), AfterValidator(plain_vin)
]
Year = Annotated[str, "contact", _mask_unless_matching("[0-9]{4}")]

VehicleName = Annotated[str, "contact", _mask_unless(_is_vehicle_name)]
"""A make, a model, a trim or the like."""


class CustomerRecordQuery(Sent):
    """The user who sends the query. The client adds the dealer that it is bound to."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    requester_user_uuid: str = Field(alias="requesterUserUUID")


class _Record(Received):
    """A part of a record. Its texts are cut, and hold no card or social security number for any reader."""

    @field_validator("*")
    @classmethod
    def _clean(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str) or (info.field_name or "").endswith("uuid"):
            return value
        return mask_and_shorten(value)


class _CamelCase(_Record):
    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True)


class RecordWarning(_CamelCase):
    """A warning. Anybody may have written its texts, so they are contact data."""

    warning_code: WholeNumber | None = None
    warning_title: ContactData | None = None
    warning_message: ContactData | None = None


class Communication(_CamelCase):
    """One way to reach the customer. `comm_value` is the number or the address."""

    id: WholeNumber | None = None
    comm_type: Code | None = None
    comm_label: ContactData | None = None
    comm_value: ContactData | None = None
    preferred: bool | None = None


class OwnedVehicle(_CamelCase):
    id: WholeNumber | None = None
    uuid: str | None = None
    vehicle_key: str | None = None
    vin: Vin | None = None
    year: Year | None = None
    make: VehicleName | None = None
    model: VehicleName | None = None
    trim: VehicleName | None = None
    engine: VehicleName | None = None
    body_style: VehicleName | None = None
    is_valid: bool | None = None
    image_url: WebUrl = None


class SecondaryCustomer(_CamelCase):
    """Somebody else of the same household or company."""

    customer_id: WholeNumber | None = None
    guid: ContactData | None = None
    customer_key: ContactData | None = None
    fname: ContactData | None = None
    lname: ContactData | None = None


class CustomerInfo(_CamelCase):
    """The customer. `customer_key` is the customer's id in the dealer's own management system."""

    id: WholeNumber | None = None
    uuid: str | None = None
    customer_key: ContactData | None = None
    dealer_id: WholeNumber | None = None
    fname: ContactData | None = None
    lname: ContactData | None = None
    company: ContactData | None = None
    communications: Annotated[tuple[Communication, ...], SUBJECT] = ()
    vehicles: Annotated[tuple[OwnedVehicle, ...], SUBJECT] = ()
    secondary_customer_data: Annotated[tuple[SecondaryCustomer, ...], SUBJECT] = ()


class Transaction(_CamelCase):
    """A payment for an order."""

    transaction_id: WholeNumber | None = None
    dealer_order_id: WholeNumber | None = None
    customer_id: WholeNumber | None = None
    tender_data_id: WholeNumber | None = None
    device_id: WholeNumber | None = None
    transaction_type_id: WholeNumber | None = None
    transaction_amount: Money | None = None
    cc_number: IdentityData | None = None


class DealerOrder(_Record):
    """A service order. `description` is free text. `tag_or_hat` is the label on the car."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: WholeNumber | None = Field(default=None, alias="dealerOrder_id")
    uuid: str | None = Field(default=None, alias="dealerOrder_uuid")
    dealer_id: WholeNumber | None = None
    customer_id: WholeNumber | None = None
    customer_uuid: str | None = None
    vehicle_id: WholeNumber | None = None
    vehicle_uuid: str | None = None
    associate_id: WholeNumber | None = Field(default=None, alias="dealerassociate_id")
    associate_uuid: str | None = Field(default=None, alias="dealerAssociate_uuid")
    order_number: OrderNumber | None = None
    order_type: Code | None = None
    order_date: Date | None = None
    order_amount: Money | None = None
    order_status: Code | None = None
    status_filter: tuple[Code, ...] = Field(default=(), alias="dealerOrderStatusFilter")
    description: ContactData | None = None
    tag_or_hat: ContactData | None = None
    created_date: Date | None = None
    updated_date: Date | None = None
    close_date: Date | None = None
    transactions: tuple[Transaction, ...] = ()


class RecordAddress(_CamelCase):
    """An address of `addressListV2`."""

    uuid: str | None = None
    line1: ContactData | None = None
    line2: ContactData | None = None
    city: ContactData | None = None
    state: Region | None = None
    zip: ContactData | None = None
    country: Region | None = None
    address_type: Code | None = None
    type: Code | None = None
    is_preferred: bool | None = None
    is_valid: bool | None = None
    updated: Date | None = Field(default=None, alias="updateTS")


class OlderRecordAddress(_CamelCase):
    """An address of `addressList`, which lists fewer of the addresses."""

    id: WholeNumber | None = None
    dealer_id: WholeNumber | None = Field(default=None, alias="dealerID")
    line1: ContactData | None = None
    line2: ContactData | None = None
    city: ContactData | None = None
    state_code: Region | None = None
    state_description: ContactData | None = None
    zip: ContactData | None = None
    zip_ext: ContactData | None = None
    country: Region | None = None
    country_code: Region | None = None
    phone: ContactData | None = None
    address_type: Code | None = None


class CustomerRecord(_CamelCase):
    """The whole answer, without `errors`: an answer with any raises an error before it is read."""

    customer_info: CustomerInfo
    dealer_order_info_list: Annotated[tuple[DealerOrder, ...], SUBJECT] = ()
    address_list_v2: Annotated[tuple[RecordAddress, ...], SUBJECT] = Field(default=(), alias="addressListV2")
    address_list: Annotated[tuple[OlderRecordAddress, ...], SUBJECT] = ()
    warnings: tuple[RecordWarning, ...] = ()

"""Customer records of myKaarma: POST /customer/{customerUUID}.

The document shows one sample and no word of explanation: times are given as texts, amounts without a unit. Nor does it
say which words a type or a status may be: who may not see contact data is shown those that we know, and of the rest
what reads as a date, a short number, a vehicle.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel

from .parts import Received, Sent
from .personal_data import MASK, ContactData, IdentityData
from .personal_text import mask_and_shorten, mask_card_numbers, mask_social_security
from .values import VIN_CHARACTER, Money, WebUrl


def _masked_unless(is_known: Callable[[str], object]) -> BeforeValidator:
    def masked(value: Any, info: ValidationInfo) -> Any:
        shown = info.context == "contact" or value in (None, "") or is_known(str(value))
        return value if shown else MASK

    return BeforeValidator(masked)


def _of_form(form: str) -> BeforeValidator:
    return _masked_unless(re.compile(form).fullmatch)


def _is_date(text: str) -> bool:
    """ISO 8601 or month/day/year, with the signs between its parts: without, a telephone number would be one too."""
    if re.search(r"\d{7}", text):
        return False
    try:
        if "/" in text:
            datetime.strptime(text, "%m/%d/%Y")  # noqa: DTZ007 - only whether it is one is asked
        else:
            datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


_CODES = {
    *("RO", "APPOINTMENT", "OPEN", "CLOSED", "CANCELED", "CANCELLED"),
    *("COMMON", "HOME", "WORK", "BUSINESS", "MAILING", "BILLING"),
    *("PHONE", "CELL", "MOBILE", "TEXT", "EMAIL"),
}


def _is_vehicle_name(text: str) -> bool:
    digits = sum(map(str.isdigit, text))
    return len(text) <= _LONGEST_VEHICLE_NAME and digits <= _MOST_DIGITS and "@" not in text


_LONGEST_VEHICLE_NAME = 60
_MOST_DIGITS = 4
"""Fewer than any number that leads to a person has."""

Code = Annotated[str, "contact", _masked_unless(_CODES.__contains__)]
"""A type or a status: a word that we know to be one. The document names COMMON alone."""

Region = Annotated[str, "contact", _of_form("[A-Z]{2}")]
"""A state or a country: two capitals."""

OrderNumber = Annotated[str, "contact", _of_form("(RO-?)?[0-9]{1,6}")]
"""Shorter than a telephone number."""

Date = Annotated[str, "contact", _masked_unless(_is_date)]
"""As it was written."""

Vin = Annotated[str, "contact", _of_form(f"{VIN_CHARACTER}{{13}}[0-9]{{4}}")]
Year = Annotated[str, "contact", _of_form("[0-9]{4}")]

VehicleName = Annotated[str, "contact", _masked_unless(_is_vehicle_name)]
"""A make, a model, a trim."""


class CustomerRecordQuery(Sent):
    """Who asks; the dealers, of whom it is always the bound one alone, are added by the client."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    requester_user_uuid: str = Field(alias="requesterUserUUID")


class _Record(Received):
    """Each text is bounded, and no card or social security number stands in one, whoever reads it."""

    @field_validator("*")
    @classmethod
    def _safe(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str) or (info.field_name or "").endswith("uuid"):
            return value
        return mask_and_shorten(value, mask_card_numbers, mask_social_security)


class _CamelCase(_Record):
    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True)


class RecordWarning(_CamelCase):
    """Its texts are anybody's, and are not handed on."""

    warning_code: int | None = None
    warning_title: ContactData | None = None
    warning_message: ContactData | None = None


class Communication(_CamelCase):
    """One way to reach the customer: `comm_value` is the number or the address."""

    id: int | None = None
    comm_type: Code | None = None
    comm_label: ContactData | None = None
    comm_value: ContactData | None = None
    preferred: bool | None = None


class OwnedVehicle(_CamelCase):
    id: int | None = None
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

    customer_id: int | None = None
    guid: ContactData | None = None
    customer_key: ContactData | None = None
    fname: ContactData | None = None
    lname: ContactData | None = None


class CustomerInfo(_CamelCase):
    """`customer_key` is what the dealer's own management system calls the customer."""

    id: int | None = None
    uuid: str | None = None
    customer_key: ContactData | None = None
    dealer_id: int | None = None
    fname: ContactData | None = None
    lname: ContactData | None = None
    company: ContactData | None = None
    communications: tuple[Communication, ...] = ()
    vehicles: tuple[OwnedVehicle, ...] = ()
    secondary_customer_data: tuple[SecondaryCustomer, ...] = ()


class Transaction(_CamelCase):
    """A payment for an order."""

    transaction_id: int | None = None
    dealer_order_id: int | None = None
    customer_id: int | None = None
    tender_data_id: int | None = None
    device_id: int | None = None
    transaction_type_id: int | None = None
    transaction_amount: Money | None = None
    cc_number: IdentityData | None = None


class DealerOrder(_Record):
    """An order for service. `description` is what somebody wrote down; `tag_or_hat` is what stands on the car."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: int | None = Field(default=None, alias="dealerOrder_id")
    uuid: str | None = Field(default=None, alias="dealerOrder_uuid")
    dealer_id: int | None = None
    customer_id: int | None = None
    customer_uuid: str | None = None
    vehicle_id: int | None = None
    vehicle_uuid: str | None = None
    associate_id: int | None = Field(default=None, alias="dealerassociate_id")
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


class Address(_CamelCase):
    """Of `addressListV2`."""

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


class OlderAddress(_CamelCase):
    """Of `addressList`, which says the same of fewer addresses."""

    id: int | None = None
    dealer_id: int | None = Field(default=None, alias="dealerID")
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
    """`errors` are no part of it: an answer with any is refused before it is read."""

    customer_info: CustomerInfo
    dealer_order_info_list: tuple[DealerOrder, ...] = ()
    address_list_v2: tuple[Address, ...] = Field(default=(), alias="addressListV2")
    address_list: tuple[OlderAddress, ...] = ()
    warnings: tuple[RecordWarning, ...] = ()

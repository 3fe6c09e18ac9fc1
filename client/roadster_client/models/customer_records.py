"""Customer records of myKaarma: POST /customer/{customerUUID}.

The document shows one sample and no word of explanation: times are given as texts, amounts without a unit.
"""

from __future__ import annotations

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from .scalars import ContactData, IdentityData, Money, Received, Sent, WebUrl


class CustomerRecordQuery(Sent):
    """Who asks; the dealers, of whom it is always the bound one alone, are added by the client."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    requester_user_uuid: str = Field(alias="requesterUserUUID")


class _CamelCase(Received):
    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True)


class RecordWarning(_CamelCase):
    """Its texts are anybody's, and are not handed on."""

    warning_code: int | None = None
    warning_title: ContactData | None = None
    warning_message: ContactData | None = None


class Communication(_CamelCase):
    """One way to reach the customer: `comm_value` is the number or the address."""

    id: int | None = None
    comm_type: str | None = None
    comm_label: str | None = None
    comm_value: ContactData | None = None
    preferred: bool | None = None


class OwnedVehicle(_CamelCase):
    id: int | None = None
    uuid: str | None = None
    vehicle_key: str | None = None
    vin: str | None = None
    year: str | None = None
    make: str | None = None
    model: str | None = None
    trim: str | None = None
    engine: str | None = None
    body_style: str | None = None
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


class DealerOrder(Received):
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
    order_number: str | None = None
    order_type: str | None = None
    order_date: str | None = None
    order_amount: Money | None = None
    order_status: str | None = None
    status_filter: tuple[str, ...] = Field(default=(), alias="dealerOrderStatusFilter")
    description: ContactData | None = None
    tag_or_hat: str | None = None
    created_date: str | None = None
    updated_date: str | None = None
    close_date: str | None = None
    transactions: tuple[Transaction, ...] = ()


class Address(_CamelCase):
    """Of `addressListV2`."""

    uuid: str | None = None
    line1: ContactData | None = None
    line2: ContactData | None = None
    city: ContactData | None = None
    state: str | None = None
    zip: ContactData | None = None
    country: str | None = None
    address_type: str | None = None
    type: str | None = None
    is_preferred: bool | None = None
    is_valid: bool | None = None
    updated: str | None = Field(default=None, alias="updateTS")


class OlderAddress(_CamelCase):
    """Of `addressList`, which says the same of fewer addresses."""

    id: int | None = None
    dealer_id: int | None = Field(default=None, alias="dealerID")
    line1: ContactData | None = None
    line2: ContactData | None = None
    city: ContactData | None = None
    state_code: str | None = None
    state_description: str | None = None
    zip: ContactData | None = None
    zip_ext: ContactData | None = None
    country: str | None = None
    country_code: str | None = None
    phone: ContactData | None = None
    address_type: str | None = None


class CustomerRecord(_CamelCase):
    """`errors` are no part of it: an answer with any is refused before it is read."""

    customer_info: CustomerInfo
    dealer_order_info_list: tuple[DealerOrder, ...] = ()
    address_list_v2: tuple[Address, ...] = Field(default=(), alias="addressListV2")
    address_list: tuple[OlderAddress, ...] = ()
    warnings: tuple[RecordWarning, ...] = ()

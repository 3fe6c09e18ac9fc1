"""Roadster's customer events, as a tool reads them from the store."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import Field, TypeAdapter

from roadster_client.leniency import OnLeftOut, read_leniently

from .dealer_figures import DealerOnly
from .parts import Received
from .personal_data import MASK, ContactData, ContactZip, FinancialData, IdentityData
from .personal_text import mask_contact
from .reader import Reader
from .values import AnswerVin, InterestPercent, Money, MoneyFactor, Number, Payment, WholeNumber, Zip
from .webhooks import Acknowledgement


class CustomerAddress(Received):
    address1: ContactData | None = None
    address2: ContactData | None = None
    city: ContactData | None = None
    state: ContactData | None = None
    zip: ContactZip | None = None
    country: str | None = None


class EventCustomer(Received):
    id: str
    first_name: ContactData | None = None
    middle_name: ContactData | None = None
    last_name: ContactData | None = None
    email: ContactData | None = None
    phone: ContactData | None = None
    mobile: ContactData | None = None
    address: CustomerAddress | None = None
    communication_preference: str | None = None
    in_showroom: bool | None = None
    referral_type: str | None = None
    gov_id: IdentityData | None = None
    gov_id_type: str | None = None


class DealerAddress(Received):
    street: str | None = None
    city: str | None = None
    state: str | None = None
    zip: Zip | None = None


class EventDealer(Received):
    dpid: str
    name: str | None = None
    partner_id: str | None = None
    address: DealerAddress | None = None


class EventMessage(Received):
    """A message. Later events do not repeat it, as they do the other sections."""

    subject: str | None = None
    body: str | None = None
    channels: tuple[str, ...] = ()
    sender: ContactData | None = Field(default=None, alias="from")
    from_email: ContactData | None = None
    to: ContactData | None = None
    to_email: ContactData | None = None


class EventVehicle(Received):
    vin: AnswerVin | None = None
    year: WholeNumber | None = None
    make: str | None = None
    model: str | None = None
    trim: str | None = None
    trim_code: str | None = None
    exterior_color_code: str | None = None
    interior_color_code: str | None = None
    option_codes: tuple[str, ...] | None = None
    stock_number: str | None = None
    type: str | None = None


class Financing(Received):
    """The financing of an order. `term` is in months."""

    type: str | None = None
    msrp: Money | None = None
    purchase_price: Money | None = None
    down_payment: Money | None = None
    rebate: Money | None = None
    monthly_payment: Payment | None = None
    term: WholeNumber | None = None
    doc_fee: Money | None = None
    license_fee: Money | None = None


class OrderedPlan(Received):
    title: str | None = None
    price: Money | None = None
    retail_add_on_id: WholeNumber | None = None
    tier_code: str | None = None
    tier_title: str | None = None
    tier_term: WholeNumber | None = None
    tier_mileage: Number | None = None
    backend_profit: DealerOnly[bool] = None
    residualize: bool | None = None
    taxable: bool | None = None


class OrderedAccessory(Received):
    title: str | None = None
    installed_price: Money | None = None
    retail_accessory_id: WholeNumber | None = None
    residual_amount: Money | None = None
    labor_calc: str | None = None
    backend_profit: DealerOnly[bool] = None
    residualize: bool | None = None
    taxable: bool | None = None


class EventOrder(Received):
    id: str
    financing: Financing | None = None
    plans: tuple[OrderedPlan, ...] = ()
    accessories: tuple[OrderedAccessory, ...] = ()


class ApplicantAddress(Received):
    address: ContactData | None = None
    city: ContactData | None = None
    state: ContactData | None = None
    zip: ContactZip | None = None
    county: ContactData | None = None
    country: str | None = None
    years: WholeNumber | None = None
    months: WholeNumber | None = None
    own_rent: FinancialData | None = None
    housing_cost: FinancialData | None = None


class Job(Received):
    employer: ContactData | None = None
    job_title: ContactData | None = None
    phone: ContactData | None = None
    address: ApplicantAddress | None = None
    income: FinancialData | None = None
    other_income: FinancialData | None = None
    other_sources: FinancialData | None = None
    years: WholeNumber | None = None
    months: WholeNumber | None = None


class RelatedPerson(Received):
    first_name: ContactData | None = None
    last_name: ContactData | None = None
    relationship: str | None = None
    phone: ContactData | None = None
    address: ApplicantAddress | None = None


class CreditApplicant(Received):
    first_name: ContactData | None = None
    last_name: ContactData | None = None
    email: ContactData | None = None
    home_phone: ContactData | None = None
    work_phone: ContactData | None = None
    license_number: IdentityData | None = None
    license_state: ContactData | None = None
    birth_date: IdentityData | None = None
    ssn: IdentityData | None = None
    addresses: tuple[ApplicantAddress, ...] = ()
    jobs: tuple[Job, ...] = ()
    relative: RelatedPerson | None = None
    references: tuple[RelatedPerson, ...] = ()
    which_form: str | None = None
    terms_and_conditions_accepted_at: str | None = None
    ip_address: ContactData | None = None


class CreditDecision(Received):
    """A lender's terms. `rate` is in percent, `term` in months. A money factor is the small number, such as 0.003.

    The dealer earns the difference of the two money factors. In the reference, `comments` are for the dealer.
    """

    status: str | None = None
    finance_company: str | None = None
    application_number: str | None = None
    term: WholeNumber | None = None
    rate: InterestPercent | None = None
    customer_money_factor: MoneyFactor | None = None
    lender_money_factor: DealerOnly[Number] = None
    payment: Payment | None = None
    residual: Money | None = None
    approved_amount: Money | None = None
    min_down_payment: Money | None = None
    max_loan: Money | None = None
    min_loan: Money | None = None
    stipulations: str | None = None
    comments: DealerOnly[str] = None
    received_at: str | None = None
    expires_at: str | None = None


class EventAgent(Received):
    id: str | None = None
    full_name: ContactData | None = None
    email: ContactData | None = None


class OurIdentifiers(Acknowledgement):
    """The section `api_partner`: our name, and the identifiers of an earlier acknowledgement."""

    name: str | None = None


class CustomerEvent(Received):
    """A stored event, which `read_event` reads. A section is None where the event lacks it."""

    event_id: str | None = None
    event_type: str | None = None
    event_time: str | None = None
    customer: EventCustomer | None = None
    dealer: EventDealer | None = None
    message: EventMessage | None = None
    vehicle: EventVehicle | None = None
    order: EventOrder | None = None
    credit_applicant: CreditApplicant | None = None
    credit_decision: CreditDecision | None = None
    agent: EventAgent | None = None
    api_partner: OurIdentifiers | None = None


def read_event(json: Any, reader: Reader, on_left_out: OnLeftOut) -> CustomerEvent:
    """Returns a stored event without the values that cannot be read, masked for the reader."""
    short_json = _shorten_texts(json)
    # Masked first, because what is left out may hold the names that the free text must not show.
    masked_json = short_json if reader.sees_contact_data else _mask_free_text(short_json)
    return read_leniently(_ADAPTER, masked_json, reader, EVENTS, on_left_out)


EVENTS = "customer_events"
"""Stands for an operation where values of an event are left out."""

_ADAPTER = TypeAdapter(CustomerEvent)


_LONGEST_TEXT = 4_000
"""Characters of a text of an event. Longer ones would fill an answer, and the store has them whole."""


def _shorten_texts(json: Any) -> Any:
    if isinstance(json, str):
        return json if len(json) <= _LONGEST_TEXT else f"{json[: _LONGEST_TEXT - 1]}…"
    if isinstance(json, list):
        return [_shorten_texts(item) for item in json]
    if isinstance(json, dict):
        return {name: _shorten_texts(value) for name, value in json.items()}
    return json


def _mask_free_text(json: Mapping[str, Any]) -> dict[str, Any]:
    values = {value for section in _PEOPLE for value in _contact_values(json.get(section))}
    return {
        section: {
            name: _mask_text(text, values) if name in _FREE_TEXT[section] else text for name, text in value.items()
        }
        if section in _FREE_TEXT and isinstance(value, dict)
        else value
        for section, value in json.items()
    }


def _mask_text(text: Any, values: Collection[str]) -> Any:
    # A number in the place of a text may be a telephone number or an account's.
    return mask_contact(text, values) if isinstance(text, str) else text and MASK


_FREE_TEXT = {"message": ("subject", "body"), "credit_decision": ("stipulations", "comments")}
"""Fields of free text by section."""

_PEOPLE = ("customer", "message", "credit_applicant", "agent")
"""Sections that hold contact data."""

_NAMES = ("first_name", "middle_name", "last_name", "full_name", "from", "to")
"""Fields whose words are masked one by one, because people are called by either name."""

_OTHER_CONTACT_DATA = ("address", "address1", "address2", "employer", "mobile", "phone", "home_phone", "work_phone")


def _contact_values(section: Any) -> Iterator[str]:
    """Yields the contact data at any depth of the section, names word by word."""
    if isinstance(section, list):
        for item in section:
            yield from _contact_values(item)
    if not isinstance(section, dict):
        return
    for name, value in section.items():
        if name in _NAMES:
            yield from (word for text in _texts_in(value) for word in text.split())
        elif name in _OTHER_CONTACT_DATA:
            yield from _texts_in(value)
        else:
            yield from _contact_values(value)


def _texts_in(value: Any) -> Iterator[str]:
    """Yields the texts and numbers at any depth, because an odd event may have a list or an object for a name."""
    match value:
        case list():
            for item in value:
                yield from _texts_in(item)
        case dict():
            yield from _texts_in(list(value.values()))
        case str():
            yield value
        case int() | float():
            yield str(value)

"""Trade-in valuations: POST /create_tradein_offer."""

from __future__ import annotations

from pydantic import Field

from .parts import Received, Sent
from .personal_data import Email
from .values import WebUrl


class TradeValuation(Sent):
    """What the dealer offers for a customer's car; `value` in whole units of the currency, `mileage` in miles.

    Email, dealer and VIN say which offer it is: one that is there already is updated.
    """

    email: Email
    vin: str
    value: int = Field(ge=0)
    year: int | None = None
    make: str | None = None
    model: str | None = None
    trim: str | None = None
    mileage: int | None = Field(default=None, ge=0)


class ValuedCustomer(Received):
    id: int
    redirect_url: WebUrl = None


class TradeValued(Received):
    status: str
    customer: ValuedCustomer

"""Trade-in valuations: POST /create_tradein_offer."""

from __future__ import annotations

from typing import Annotated

from .parts import Received, Sent
from .personal_data import Email
from .values import MOST_AMOUNT, Id, Miles, WebUrl, Year, plausible


class TradeValuation(Sent):
    """A dealer's offer for a customer's car. `value` is in whole units of the currency, `mileage` in miles.

    Email, dealer and VIN identify the offer. If there is one already, it is updated.
    """

    email: Email
    vin: str
    value: Annotated[int, plausible(0, MOST_AMOUNT)]
    year: Year | None = None
    make: str | None = None
    model: str | None = None
    trim: str | None = None
    mileage: Miles | None = None


class ValuedCustomer(Received):
    id: Id
    redirect_url: WebUrl = None


class TradeValued(Received):
    status: str | None = None
    customer: ValuedCustomer

"""Dealers: GET /dealers, and GET /dealers/{dpid} with the configuration of one."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from roadster_client.leniency import SUBJECT

from .dealer_figures import DealerOnly
from .parts import Received
from .values import Money, Name, Number, Zip


class Dealer(Received):
    """One dealership. `status` is text. The documents show "live" and "Demo"."""

    dpid: Name
    name: str | None = None
    partner_id: str | None = None
    address: str | None = None
    city: str | None = None
    state: str | None = None
    zip_code: Zip | None = None
    phone: str | None = None
    status: str | None = None


class DealerFees(Received):
    doc_fee: Money | None = None
    filing_fee: Money | None = None
    handling_fee: Money | None = None
    lease_acquisition_fee: Money | None = None


class RateMarkup(Received):
    """The dealer's markup on a lender's standard or special rate. The reference states no unit."""

    standard: DealerOnly[Number] = None
    special: DealerOnly[Number] = None


class MarkupScope(Received):
    """Markups of one kind of vehicle, an empty object where the dealer has set none."""

    model_config = ConfigDict(serialize_by_alias=True)

    global_: RateMarkup | None = Field(default=None, alias="global")


class FinanceMarkup(Received):
    new: MarkupScope | None = None
    used: MarkupScope | None = None


class Markup(Received):
    """Markups for one make, or for every make where `make` is "All"."""

    make: str | None = None
    finance: FinanceMarkup | None = None


class DealerConfiguration(Received):
    price_unlock_mode: str | None = None
    fees: DealerFees | None = None
    markups: Annotated[tuple[Markup, ...], SUBJECT] = ()


class DealerDetails(Dealer):
    configuration: Annotated[DealerConfiguration | None, SUBJECT] = None

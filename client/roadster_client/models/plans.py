"""Protection plans (F&I products): GET /plans."""

from __future__ import annotations

from typing import Annotated

from roadster_client.leniency import SUBJECT

from .dealer_figures import DealerOnly
from .parts import Received
from .values import Id, Money, WholeNumber


class PlanTier(Received):
    """A tier of a plan. `term` is in months, `mileage` in miles. It can be 0 although the title states a mileage."""

    code: str | None = None
    title: str | None = None
    msrp: Money | None = None
    invoice_price: DealerOnly[Money] = None
    offer: Money | None = None
    state: str | None = None
    term: WholeNumber | None = None
    mileage: WholeNumber | None = None


class Plan(Received):
    """A plan. If it has tiers, these have the prices. The reference shows `code` only in its requests."""

    id: Id
    code: str | None = None
    dpid: str | None = None
    title: str | None = None
    subtitle: str | None = None
    category: str | None = None
    description: str | None = None
    vendor: str | None = None
    grades: tuple[str, ...] = ()
    deal_types: tuple[str, ...] = ()
    taxable: bool | None = None
    residualize: bool | None = None
    msrp: Money | None = None
    invoice_price: DealerOnly[Money] = None
    offer: Money | None = None
    cash_feature_rank: WholeNumber | None = None
    tiers: tuple[PlanTier, ...] = ()
    default_tier_index: WholeNumber | None = None
    tier_is_selectable: bool | None = None
    price_is_offline: bool | None = None
    backend_profit: DealerOnly[bool] = None


class PlanCatalogue(Received):
    plans: Annotated[tuple[Plan, ...], SUBJECT] = ()

"""Dealers, as GET /dealers lists them."""

from __future__ import annotations

from .scalars import Received, Zip


class Dealer(Received):
    """One dealership. `status` is free text: the documents show "live" and "Demo"."""

    dpid: str
    name: str
    partner_id: str | None = None
    address: str | None = None
    city: str | None = None
    state: str | None = None
    zip_code: Zip | None = None
    phone: str | None = None
    status: str | None = None

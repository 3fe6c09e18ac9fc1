"""Deep links: POST /links."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from roadster_client.leniency import SUBJECT

from .customers import Analytics
from .parts import Received, Sent
from .values import WebUrl
from .vehicles import VehicleRequest


class LinkRequest(Sent):
    vehicle: VehicleRequest | None = None
    analytics: Analytics | None = None


class LinkedVehicle(Received):
    """The vehicle of a link. `grade` is new, used or certified.

    Where `price_locked` is true, the page asks for contact data first.
    """

    price_locked: bool | None = None
    in_stock: bool | None = None
    grade: str | None = None


class Link(Received):
    dpid: str | None = None
    redirect_url: Annotated[WebUrl, SUBJECT] = None


class LinkCreated(Received):
    status: str | None = None
    link: Annotated[Link, SUBJECT] = Field(default_factory=Link)
    vehicle: LinkedVehicle | None = None

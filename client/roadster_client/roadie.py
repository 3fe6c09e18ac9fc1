"""Roadie's deliveries, bound to one dealer."""

from __future__ import annotations

from dataclasses import dataclass

from .belongings import Belongings
from .channel import Api, Channel, Oversight


@dataclass(frozen=True)
class RoadieApi(Api):
    """The Roadie API, which knows no dealers: whose a delivery is stands in `belongings`."""

    def for_dealer(self, belongings: Belongings, oversight: Oversight) -> DeliveriesApi:
        return DeliveriesApi(Channel(self, oversight), belongings)


class DeliveriesApi:
    """One dealer's deliveries: those that were made through it, and no other."""

    def __init__(self, channel: Channel, belongings: Belongings) -> None:
        self._channel = channel
        self._belongings = belongings

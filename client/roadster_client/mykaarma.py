"""myKaarma's customer records, bound to one dealer."""

from __future__ import annotations

from dataclasses import dataclass

from .channel import Api, Channel, Oversight
from .dealer import DealerRef


@dataclass(frozen=True)
class MyKaarmaApi(Api):
    """The myKaarma API; `requester_user_uuid` is who asks, as myKaarma knows us."""

    requester_user_uuid: str

    def for_dealer(self, dealer: DealerRef, oversight: Oversight) -> CustomerRecordsApi:
        return CustomerRecordsApi(Channel(self, oversight), dealer, self.requester_user_uuid)


class CustomerRecordsApi:
    """One dealer's customer records: the dealer's UUID comes from the configuration, never from a caller."""

    def __init__(self, channel: Channel, dealer: DealerRef, requester_user_uuid: str) -> None:
        self._channel = channel
        self._dealer = dealer
        self._requester_user_uuid = requester_user_uuid

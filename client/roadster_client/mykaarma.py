"""myKaarma's customer records, bound to one dealer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import errors
from .channel import Api, Channel, Oversight
from .dealer import DealerRef
from .models.customer_records import CustomerRecord, CustomerRecordQuery


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

    async def get_customer_record(self, customer_uuid: str) -> CustomerRecord:
        """POST /customer/{customerUUID}: the customer, their vehicles, orders and addresses at this dealer alone.

        Raises NotFound also where the answer holds no customer.
        """
        operation = "get_customer_record"
        uuid = self._dealer.mykaarma_dealer_uuid
        if not uuid:
            raise errors.NotConfigured(f"dealers.{self._dealer.dpid}.mykaarma_dealer_uuid", operation=operation)
        answer = await self._channel.send(
            operation,
            path={"customer_uuid": customer_uuid},
            content=CustomerRecordQuery(requester_user_uuid=self._requester_user_uuid),
            dealer={"dealerUUIDList": [uuid]},
        )
        if not _names_only(self._dealer, answer.json):
            raise answer.foreign()
        if answer.json is None or (isinstance(answer.json, dict) and answer.json.get("customerInfo") is None):
            raise errors.NotFound(f"{operation}: no such customer", operation=operation, request_id=answer.request_id)
        record = self._channel.read(CustomerRecord, answer)
        if record.customer_info.uuid not in (None, customer_uuid):
            raise answer.malformed("is another customer's record and was withheld")
        return record


def _names_only(dealer: DealerRef, json: Any) -> bool:
    """Whether every dealer that `json` names, at any depth and also in fields no model reads, is `dealer`.

    The request takes a UUID and the documented answer gives numbers. A UUID, in whatever field, must be the dealer's.
    Numbers are compared with the configured one; where none is, two different ones cannot both be the dealer's.
    """
    named = list(_named_dealers(json))
    uuids = {value for name, value in named if name.startswith("dealeruuid")}
    numbers = {value for name, value in named if name.startswith("dealerid")} - {"0"}  # what is not set
    own_number = dealer.mykaarma_dealer_id
    return uuids <= {dealer.mykaarma_dealer_uuid} and (
        len(numbers) <= 1 if own_number is None else numbers <= {str(own_number)}
    )


_DEALER_FIELDS = re.compile("dealer(uuid|id)s?(list)?")
_DEALER_OBJECTS = re.compile("dealer(ship)?s?(info|data|details?)?(list)?")
_OTHER_UUID = re.compile("[A-Za-z0-9_-]{32,64}")


def _named_dealers(json: Any) -> Iterator[tuple[str, str]]:
    """Field and value of all that `json` names dealers with: dealerId, dealer_id, dealerID, dealerUUIDList and such.

    And what stands in an object such as `dealer` or `dealerInfo`, or in its place.
    """
    unseen = [json]
    while unseen:
        node = unseen.pop()
        if isinstance(node, list):
            unseen += node
        elif isinstance(node, dict):
            for name, value in node.items():
                plain = re.sub("[^a-z]", "", name.lower())
                values = value if isinstance(value, list) else [value]
                if _DEALER_FIELDS.fullmatch(plain):
                    yield from ((plain, str(each)) for each in values if each is not None)
                elif _DEALER_OBJECTS.fullmatch(plain):
                    for each in values:
                        yield from _named_by(each)
            unseen += node.values()


def _named_by(dealer: Any) -> Iterator[tuple[str, str]]:
    """What an object names itself with, or what stands for one: a number or a UUID, but not the dealer's name."""
    if isinstance(dealer, dict):
        found = {name.lower(): str(value) for name, value in dealer.items() if value is not None}
        if "uuid" in found:
            yield "dealeruuid", found["uuid"]
        if "id" in found:
            yield "dealerid" if found["id"].isdecimal() else "dealeruuid", found["id"]
    elif isinstance(dealer, int) or (isinstance(dealer, str) and dealer.isdecimal()):
        yield "dealerid", str(dealer)
    elif isinstance(dealer, str) and _OTHER_UUID.fullmatch(dealer):
        yield "dealeruuid", dealer

"""myKaarma's customer records, bound to one dealer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import errors
from .channel import Api, Channel, ChannelPolicy
from .models.customer_records import CustomerRecord, CustomerRecordQuery
from .models.values import UUID_PATTERN
from .roadster import DealerRef


@dataclass(frozen=True)
class MyKaarmaApi(Api):
    """The myKaarma API. `requester_user_uuid` is our own user there, which every request names."""

    requester_user_uuid: str

    def for_dealer(self, dealer: DealerRef, policy: ChannelPolicy) -> CustomerRecordsApi:
        return CustomerRecordsApi(Channel(self, policy), dealer, self.requester_user_uuid)


class CustomerRecordsApi:
    """One dealer's customer records. The dealer's UUID comes from the configuration, never from a caller."""

    def __init__(self, channel: Channel, dealer: DealerRef, requester_user_uuid: str) -> None:
        self._channel = channel
        self._dealer = dealer
        self._requester_user_uuid = requester_user_uuid

    async def get_customer_record(self, customer_uuid: str) -> CustomerRecord:
        """POST /customer/{customerUUID}: the customer with their vehicles, orders and addresses at this dealer.

        Raises NotFound where the answer holds no customer, and ForeignDealer where it names another dealer.
        """
        operation = "get_customer_record"
        uuid = self._dealer.mykaarma_dealer_uuid
        if not uuid:
            raise errors.NotConfigured(operation, f"dealers.{self._dealer.dpid}.mykaarma_dealer_uuid")
        answer = await self._channel.send(
            operation,
            path={"customer_uuid": customer_uuid},
            content=CustomerRecordQuery(requester_user_uuid=self._requester_user_uuid),
            dealer={"dealerUUIDList": [uuid]},
        )
        if not _names_only(self._dealer, answer.json):
            raise answer.foreign_error()
        if answer.json is None or (isinstance(answer.json, dict) and answer.json.get("customerInfo") is None):
            raise errors.NotFound(operation, "no such customer", request_id=answer.request_id)
        record: CustomerRecord = self._channel.read(answer)
        if record.customer_info.uuid != customer_uuid or not _customer_uuids(answer.json) <= {customer_uuid}:
            raise answer.malformed_error("is another customer's record and was withheld")
        return record


_Leaf = tuple[tuple[str, ...], Any]
"""A value that is no object and no list, after the names of the fields that it stands in, as small letters only."""


def _leaves(json: Any) -> Iterator[_Leaf]:
    """Yields all values at any depth, also of fields that no model reads."""
    unseen: list[_Leaf] = [((), json)]
    while unseen:
        fields, node = unseen.pop()
        if isinstance(node, list):
            unseen += ((fields, each) for each in node)
        elif isinstance(node, dict):
            unseen += (((*fields, re.sub("[^a-z]", "", name.lower())), value) for name, value in node.items())
        elif fields:
            yield fields, node


def _customer_uuids(json: Any) -> set[Any]:
    """Returns the UUIDs of customers, except secondary ones: others of the same household or company."""
    return {value for fields, value in _leaves(json) if value not in (None, "") and _is_customer_uuid(fields)}


def _is_customer_uuid(fields: tuple[str, ...]) -> bool:
    *above, field = fields
    owners = above[-1:] if field == "uuid" else [field] if "uuid" in field else []
    return any("customer" in name for name in owners) and not any(name.startswith("secondary") for name in fields)


def _names_only(dealer: DealerRef, json: Any) -> bool:
    """Returns whether every dealer that `json` names is `dealer`.

    The request takes a UUID, and the documented answer gives numbers. A UUID, in whatever field, must be the dealer's.
    A number must be the configured one. If no number is configured, two different ones cannot both be the dealer's.
    """
    ids = {_comparable(value) for fields, value in _leaves(json) if _is_dealer_id(fields, value)}
    own = {_comparable(dealer.mykaarma_dealer_uuid), _comparable(dealer.mykaarma_dealer_id)}
    others = ids - own - _UNSET
    if dealer.mykaarma_dealer_id is not None:
        return not others
    return len(others) <= 1 and all(isinstance(other, int) for other in others)


_UNSET = {0, "", "none"}
"""Ids that name nobody."""

_DEALER_FIELD = re.compile("dealer(?!order|associate)|rooftop")
"""In the document, `dealerOrder` and `dealerAssociate` are an order and an employee with ids of their own."""

_ID_FIELD = re.compile("(id|uuid)s?(list)?$")
_INSTEAD_OF_ID_FIELD = re.compile(
    "(dealer|ship|rooftop|info|data|details?|(?<!phone)(?<!fax)number|(?<!zip)(?<!postal)code)s?(list)?$"
)


def _is_dealer_id(fields: tuple[str, ...], value: Any) -> bool:
    """Returns whether the value identifies a dealer.

    It does so in an id field of a dealer or below one. A number or a UUID does so too, in a field that can stand
    instead of an id. A dealer's name, telephone number and zip code do not.
    """
    if isinstance(value, bool) or not any(map(_DEALER_FIELD.search, fields)):
        return False
    if _ID_FIELD.search(fields[-1]):
        return True
    is_id = isinstance(_comparable(value), int) or re.fullmatch(UUID_PATTERN, str(value))
    return bool(is_id and _INSTEAD_OF_ID_FIELD.search(fields[-1]))


def _comparable(value: Any) -> int | str:
    """Returns a number for any spelling of one, and any other text in small letters."""
    text = str(value).lower()
    number = re.fullmatch(r"([0-9]{1,18})(\.0+)?", text)
    return int(number[1]) if number else text

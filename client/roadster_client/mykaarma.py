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
    """The myKaarma API; `requester_user_uuid` is who asks, as myKaarma knows us."""

    requester_user_uuid: str

    def for_dealer(self, dealer: DealerRef, policy: ChannelPolicy) -> CustomerRecordsApi:
        return CustomerRecordsApi(Channel(self, policy), dealer, self.requester_user_uuid)


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
        if record.customer_info.uuid != customer_uuid or not _customers(answer.json) <= {customer_uuid}:
            raise answer.malformed_error("is another customer's record and was withheld")
        return record


_Named = tuple[tuple[str, ...], Any]
"""A value that is no object and no list, behind the fields that it stands in, in small letters alone."""


def _named(json: Any) -> Iterator[_Named]:
    """All values at any depth as they came, also in fields that no model reads."""
    unseen: list[_Named] = [((), json)]
    while unseen:
        fields, node = unseen.pop()
        if isinstance(node, list):
            unseen += ((fields, each) for each in node)
        elif isinstance(node, dict):
            unseen += (((*fields, re.sub("[^a-z]", "", name.lower())), value) for name, value in node.items())
        elif fields:
            yield fields, node


def _customers(json: Any) -> set[Any]:
    """The customers that `json` names by UUID, but for those of the same household or company, who are others."""
    return {value for fields, value in _named(json) if value not in (None, "") and _names_customer(fields)}


def _names_customer(fields: tuple[str, ...]) -> bool:
    *above, field = fields
    whose = above[-1:] if field == "uuid" else [field] if "uuid" in field else []
    return any("customer" in name for name in whose) and not any(name.startswith("secondary") for name in fields)


def _names_only(dealer: DealerRef, json: Any) -> bool:
    """Whether every dealer that `json` names is `dealer`.

    The request takes a UUID and the documented answer gives numbers. A UUID, in whatever field, must be the dealer's.
    Numbers are compared with the configured one; where none is, two different ones cannot both be the dealer's.
    """
    named = {_comparable(value) for fields, value in _named(json) if _names_dealer(fields, value)}
    own = {_comparable(dealer.mykaarma_dealer_uuid), _comparable(dealer.mykaarma_dealer_id)}
    others = named - own - _NOT_SET
    if dealer.mykaarma_dealer_id is not None:
        return not others
    return len(others) <= 1 and all(isinstance(other, int) for other in others)


_NOT_SET = {0, "", "none"}
_OF_A_DEALER = re.compile("dealer(?!order|associate)|rooftop")
"""Documented, `dealerOrder` and `dealerAssociate` are an order and an employee, which have ids of their own."""
_ID = re.compile("(id|uuid)s?(list)?$")
_STANDS_FOR_ONE = re.compile(
    "(dealer|ship|rooftop|info|data|details?|(?<!phone)(?<!fax)number|(?<!zip)(?<!postal)code)s?(list)?$"
)


def _names_dealer(fields: tuple[str, ...], value: Any) -> bool:
    """Whether an id stands there, in a field of a dealer or below one, or a number or a UUID in place of an id.

    Not the dealer's name, its telephone number, its zip code.
    """
    if isinstance(value, bool) or not any(map(_OF_A_DEALER.search, fields)):
        return False
    if _ID.search(fields[-1]):
        return True
    is_id = isinstance(_comparable(value), int) or re.fullmatch(UUID_PATTERN, str(value))
    return bool(is_id and _STANDS_FOR_ONE.search(fields[-1]))


def _comparable(value: Any) -> int | str:
    """A number however it is written, any other text in small letters."""
    text = str(value).lower()
    number = re.fullmatch(r"([0-9]{1,18})(\.0+)?", text)
    return int(number[1]) if number else text

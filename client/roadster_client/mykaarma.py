"""myKaarma's customer records, bound to one dealer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import errors
from .channel import Api, Channel, ChannelPolicy
from .dealer_ref import DealerRef
from .identity import comparable_id, is_dealer_id, is_number_id, leaves
from .models.customer_records import CustomerRecord, CustomerRecordQuery


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
        has_null = isinstance(answer.json, dict) and answer.json.get("customerInfo", answer) is None
        if not answer.size or has_null:
            raise errors.NotFound(operation, "no such customer", request_id=answer.request_id)
        record: CustomerRecord = await self._channel.read(answer)
        if record.customer_info.uuid != customer_uuid or not _customer_uuids(answer.json) <= {customer_uuid}:
            raise answer.malformed_error("is another customer's record and was withheld")
        return record


def _customer_uuids(json: Any) -> set[Any]:
    """Returns the UUIDs of customers, except secondary ones: others of the same household or company."""
    return {value for fields, value in leaves(json) if value not in (None, "") and _is_customer_uuid(fields)}


def _is_customer_uuid(fields: tuple[str, ...]) -> bool:
    *above, field = fields
    owners = above[-1:] if field == "uuid" else [field] if "uuid" in field else []
    return any("customer" in name for name in owners) and not any(name.startswith("secondary") for name in fields)


def _names_only(dealer: DealerRef, json: Any) -> bool:
    """Returns whether every dealer that `json` names is `dealer`.

    The request takes a UUID, and the documented answer gives numbers. A UUID, in whatever field, must be the dealer's.
    A number must be the configured one. If no number is configured, two different ones cannot both be the dealer's.
    """
    ids = {comparable_id(value) for fields, value in leaves(json) if is_dealer_id(fields, value)}
    own = {comparable_id(dealer.mykaarma_dealer_uuid), comparable_id(dealer.mykaarma_dealer_id)}
    others = ids - own - _UNSET
    if dealer.mykaarma_dealer_id is not None:
        return not others
    return len(others) <= 1 and all(map(is_number_id, others))


_UNSET = {"0", "", "none"}
"""Ids that name nobody."""

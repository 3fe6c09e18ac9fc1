"""Roadie's deliveries, bound to one dealer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import errors
from .channel import Api, Channel, ChannelPolicy
from .models.deliveries import NewShipment, Shipment, ShipmentUpdate
from .models.parts import Sent
from .models.values import ID_PATTERN
from .ownership import NotStored, OwnedByAnother, Ownership
from .upstream.exchange import About, Answer, about_nothing


@dataclass(frozen=True)
class RoadieApi(Api):
    """The Roadie API, which knows no dealers: whose a delivery is stands in `ownership`."""

    def for_dealer(self, ownership: Ownership, policy: ChannelPolicy) -> DeliveriesApi:
        return DeliveriesApi(Channel(self, policy), ownership)


class DeliveriesApi:
    """One dealer's deliveries: those that were made through it, and no other.

    Each method raises the errors of `roadster_client.errors`, and whatever `ownership` raises before anything is
    sent. A delivery of another dealer is not found, as one that does not exist.
    """

    def __init__(self, channel: Channel, ownership: Ownership) -> None:
        self._channel = channel
        self._ownership = ownership

    async def create_shipment(self, shipment: NewShipment) -> Shipment:
        """POST /shipments: the delivery is the dealer's from when this returns, or says that it cannot be read."""
        answer = await self._channel.send("create_shipment", content=shipment)
        if _written(answer, "reference_id") not in (None, shipment.reference_id):
            raise answer.malformed_error(_ANOTHER)
        made = _written(answer, "id")
        if not isinstance(made, str) or re.fullmatch(ID_PATTERN, made) is None:
            raise answer.malformed_error("does not say which delivery was made")
        try:
            await self._ownership.add("delivery", made)
        except OwnedByAnother:
            raise answer.malformed_error(_ANOTHER) from None
        except NotStored:
            lost = f"delivery {made} was made, but it could not be recorded as this dealer's, so that no tool finds it"
            raise _unknown(answer, lost) from None
        # Only now, so that one odd field cannot cost the dealer a delivery that is on its way.
        try:
            return self._read(answer)
        except errors.OutcomeUnknown:
            unread = f"delivery {made} was made for this dealer, but the answer does not have the documented fields"
            raise _unknown(answer, unread) from None

    async def get_shipment(self, shipment_id: int) -> Shipment:
        """GET /shipments/{id}"""
        return self._read(await self._send("get_shipment", shipment_id))

    async def update_shipment(self, shipment_id: int, update: ShipmentUpdate) -> Shipment:
        """PATCH /shipments/{id}: the delivery as it is afterwards."""

        async def about() -> Mapping[str, Any]:
            return {"now": await self._in_short(shipment_id)}

        return self._read(await self._send("update_shipment", shipment_id, update, about))

    async def cancel_shipment(self, shipment_id: int) -> None:
        """DELETE /shipments/{id}: possible until the driver has confirmed the pickup."""

        async def about() -> Mapping[str, Any]:
            return await self._in_short(shipment_id)

        await self._send("cancel_shipment", shipment_id, about=about)

    def _read(self, answer: Answer) -> Shipment:
        shipment: Shipment = self._channel.read(answer)
        return shipment

    async def _in_short(self, shipment_id: int) -> dict[str, Any]:
        """What the person who is asked knows the delivery by, unmasked."""
        shipment = await DeliveriesApi(self._channel.for_person(), self._ownership).get_shipment(shipment_id)
        return shipment.summary()

    async def _send(
        self, operation: str, shipment_id: int, content: Sent | None = None, about: About = about_nothing
    ) -> Answer:
        """The answer about one of the dealer's own deliveries; nothing is sent about any other."""
        if not await self._ownership.has("delivery", str(shipment_id)):
            raise errors.NotFound(operation, "not found")
        answer = await self._channel.send(
            operation, path={"shipment_id": str(shipment_id)}, content=content, about=about
        )
        if _written(answer, "id") not in (None, str(shipment_id)):
            raise answer.malformed_error(_ANOTHER)
        return answer


_ANOTHER = "is about another delivery and was withheld"


def _unknown(answer: Answer, reason: str) -> errors.OutcomeUnknown:
    name = answer.request.operation.name
    return errors.OutcomeUnknown(name, reason, request_id=answer.request_id)


def _written(answer: Answer, name: str) -> Any:
    """The field as text where it is a number: ids come as either."""
    found = _field(answer, name)
    return str(found) if type(found) is int else found


def _field(answer: Answer, name: str) -> Any:
    return answer.json.get(name) if isinstance(answer.json, dict) else None

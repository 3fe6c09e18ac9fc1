"""Roadie's deliveries, bound to one dealer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import errors
from .channel import Api, Channel, ChannelPolicy
from .identity import read_id, read_number_id
from .models.deliveries import NewShipment, Shipment, ShipmentUpdate
from .models.parts import Sent
from .models.values import ID_PATTERN
from .ownership import NotStored, OwnedByAnother, Ownership
from .upstream.exchange import About, Answer, about_nothing

_CANCELED = ("canceled", "cancelled")
_ANOTHER_DELIVERY = "is about another delivery and was withheld"


@dataclass(frozen=True)
class RoadieApi(Api):
    """The Roadie API. It knows no dealers, so `ownership` says which deliveries are a dealer's."""

    def for_dealer(self, ownership: Ownership, policy: ChannelPolicy) -> DeliveriesApi:
        return DeliveriesApi(Channel(self, policy), ownership)


class DeliveriesApi:
    """One dealer's deliveries: only those that were created through it.

    Each method raises the errors of `roadster_client.errors`. Before it sends anything, it also lets those of
    `ownership.has` pass. Another dealer's delivery raises NotFound, like one that does not exist.
    """

    def __init__(self, channel: Channel, ownership: Ownership) -> None:
        self._channel = channel
        self._ownership = ownership

    async def create_shipment(self, shipment: NewShipment) -> Shipment:
        """POST /shipments: creates a delivery and records it as the dealer's.

        Raises OutcomeUnknown also where the delivery was created, and it could not be recorded or read.
        """
        answer = await self._channel.send("create_shipment", content=shipment)
        reference_id = _field(answer, "reference_id")
        if reference_id is not None and read_id(reference_id) != read_id(shipment.reference_id):
            raise answer.malformed_error(_ANOTHER_DELIVERY)
        shipment_id = read_number_id(_field(answer, "id"))
        if shipment_id is None or re.fullmatch(ID_PATTERN, shipment_id) is None:
            raise answer.malformed_error("does not say which delivery was made")
        try:
            await self._ownership.add("delivery", shipment_id)
        except OwnedByAnother:
            raise answer.malformed_error(_ANOTHER_DELIVERY) from None
        except NotStored:
            reason = "was made, but it could not be recorded as this dealer's, so that no tool finds it"
            raise _unknown(answer, f"delivery {shipment_id} {reason}") from None
        # Read after recording, so that one odd field cannot cost the dealer a delivery that is on its way.
        try:
            return await self._shipment(answer)
        except errors.OutcomeUnknown:
            reason = "was made for this dealer, but the answer does not have the documented fields"
            raise _unknown(answer, f"delivery {shipment_id} {reason}") from None

    async def get_shipment(self, shipment_id: int) -> Shipment:
        """GET /shipments/{id}"""
        return await self._shipment(await self._send("get_shipment", shipment_id))

    async def update_shipment(self, shipment_id: int, update: ShipmentUpdate) -> Shipment:
        """PATCH /shipments/{id}: returns the delivery as it is afterwards."""

        async def about() -> Mapping[str, Any]:
            return {"now": await self._summary(shipment_id)}

        return await self._shipment(await self._send("update_shipment", shipment_id, update, about))

    async def cancel_shipment(self, shipment_id: int) -> None:
        """DELETE /shipments/{id}: possible until the driver has confirmed the pickup.

        An answer without a body says that it is canceled, any other one must have that state.
        """

        async def about() -> Mapping[str, Any]:
            return await self._summary(shipment_id)

        answer = await self._send("cancel_shipment", shipment_id, about=about)
        if answer.size and str(_field(answer, "state")).strip().lower() not in _CANCELED:
            raise answer.malformed_error("does not say that the delivery is canceled")

    async def _summary(self, shipment_id: int) -> dict[str, Any]:
        """Returns the delivery as the person who confirms a write sees it, unmasked."""
        shipment = await DeliveriesApi(self._channel.for_person(), self._ownership).get_shipment(shipment_id)
        return shipment.summary()

    async def _send(
        self, operation: str, shipment_id: int, content: Sent | None = None, about: About = about_nothing
    ) -> Answer:
        """Sends a request about one of the dealer's own deliveries. Raises NotFound for any other, unsent."""
        if not await self._ownership.has("delivery", str(shipment_id)):
            raise errors.NotFound(operation, "not found")
        answer = await self._channel.send(
            operation, path={"shipment_id": str(shipment_id)}, content=content, about=about
        )
        if _is_other(_field(answer, "id"), shipment_id):
            raise answer.malformed_error(_ANOTHER_DELIVERY)
        return answer

    async def _shipment(self, answer: Answer) -> Shipment:
        shipment: Shipment = await self._channel.read(answer)
        return shipment


def _unknown(answer: Answer, reason: str) -> errors.OutcomeUnknown:
    name = answer.request.operation.name
    return errors.OutcomeUnknown(name, reason, request_id=answer.request_id)


def _field(answer: Answer, name: str) -> Any:
    return answer.json.get(name) if isinstance(answer.json, dict) else None


def _is_other(value: Any, shipment_id: int) -> bool:
    return value is not None and read_number_id(value) != str(shipment_id)

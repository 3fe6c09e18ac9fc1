"""Roadie's deliveries, bound to one dealer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import errors
from .belongings import Belongings, NotKept
from .channel import Api, Channel, Oversight
from .models.deliveries import NewShipment, Shipment, ShipmentUpdate
from .models.scalars import Sent
from .upstream import About, Answer, about_nothing


@dataclass(frozen=True)
class RoadieApi(Api):
    """The Roadie API, which knows no dealers: whose a delivery is stands in `belongings`."""

    def for_dealer(self, belongings: Belongings, oversight: Oversight) -> DeliveriesApi:
        return DeliveriesApi(Channel(self, oversight), belongings)


class DeliveriesApi:
    """One dealer's deliveries: those that were made through it, and no other.

    Each method raises the errors of `roadster_client.errors`, and whatever `belongings` raises before anything is
    sent. A delivery of another dealer is not found, as one that does not exist.
    """

    def __init__(self, channel: Channel, belongings: Belongings) -> None:
        self._channel = channel
        self._belongings = belongings

    async def create_shipment(self, shipment: NewShipment) -> Shipment:
        """POST /shipments: the delivery is the dealer's from when this returns."""
        operation = "create_shipment"
        answer = await self._channel.send(operation, content=shipment)
        if _field(answer, "reference_id") not in (None, shipment.reference_id):
            raise answer.malformed(_ANOTHER)
        made = self._channel.read(Shipment, answer)
        try:
            await self._belongings.add("delivery", str(made.id))
        except NotKept:
            raise errors.OutcomeUnknown(
                f"{operation}: delivery {made.id} was made, but it could not be recorded as this dealer's, "
                "so that no tool here finds it",
                operation=operation,
                request_id=answer.request_id,
            ) from None
        return made

    async def get_shipment(self, shipment_id: int) -> Shipment:
        """GET /shipments/{id}"""
        return self._channel.read(Shipment, await self._send("get_shipment", shipment_id))

    async def update_shipment(self, shipment_id: int, update: ShipmentUpdate) -> Shipment:
        """PATCH /shipments/{id}: the delivery as it is afterwards."""
        return self._channel.read(Shipment, await self._send("update_shipment", shipment_id, update))

    async def cancel_shipment(self, shipment_id: int) -> None:
        """DELETE /shipments/{id}: possible until the driver has confirmed the pickup."""

        async def about() -> Mapping[str, Any]:
            shipment = await DeliveriesApi(self._channel.for_person(), self._belongings).get_shipment(shipment_id)
            return shipment.in_short()

        await self._send("cancel_shipment", shipment_id, about=about)

    async def _send(
        self, operation: str, shipment_id: int, content: Sent | None = None, about: About = about_nothing
    ) -> Answer:
        """The answer about one of the dealer's own deliveries; nothing is sent about any other."""
        if not await self._belongings.has("delivery", str(shipment_id)):
            raise errors.NotFound(f"{operation}: not found", operation=operation)
        answer = await self._channel.send(
            operation, path={"shipment_id": str(shipment_id)}, content=content, about=about
        )
        if _field(answer, "id") not in (None, shipment_id, str(shipment_id)):
            raise answer.malformed(_ANOTHER)
        return answer


_ANOTHER = "is about another delivery and was withheld"


def _field(answer: Answer, name: str) -> Any:
    return answer.json.get(name) if isinstance(answer.json, dict) else None

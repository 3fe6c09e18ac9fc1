"""The port to the record of customers, deliveries and orders that belong to a dealer.

The upstreams do not tell which dealer a delivery or an order belongs to. The client asks this port, and the server
implements it.
"""

from __future__ import annotations

from typing import Literal, Protocol

OwnedKind = Literal["customer", "delivery", "order"]


class NotStored(Exception):
    """The id could not be recorded, so nobody will know later which dealer it belongs to."""


class OwnedByAnother(Exception):
    """The delivery is recorded as another dealer's, and stays there."""


class Ownership(Protocol):
    """The ids that are recorded as one dealer's."""

    async def has(self, kind: OwnedKind, id_: str) -> bool:
        """Returns whether the id is recorded at this dealer. An id that is not recorded belongs to nobody."""

    async def add(self, kind: OwnedKind, id_: str) -> None:
        """Records the id, durably when this returns.

        Raises NotStored, and OwnedByAnother for a delivery that is recorded as another dealer's.
        """

    async def ids(self, kind: OwnedKind, prefix: str, most: int) -> list[str]:
        """Returns the newest `most` ids that start with `prefix`, for completion."""

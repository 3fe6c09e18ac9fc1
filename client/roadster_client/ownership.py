"""What belongs to a dealer where the upstream itself knows no dealers: deliveries, orders."""

from __future__ import annotations

from typing import Literal, Protocol

OwnedKind = Literal["customer", "delivery", "order"]


class NotStored(Exception):
    """What was to be kept could not be: nobody will know later whose it is."""


class OwnedByAnother(Exception):
    """It is another dealer's, and stays so."""


class Ownership(Protocol):
    """What is known to belong to one dealer."""

    async def has(self, kind: OwnedKind, id_: str) -> bool:
        """Whether it was seen at this dealer before; what was not is nobody's."""

    async def add(self, kind: OwnedKind, id_: str) -> None:
        """Durable when it returns. Raises NotStored, and OwnedByAnother for a delivery that another dealer has."""

    async def note(self, kind: OwnedKind, id_: str) -> None:
        """The same where nothing depends on it: what cannot be kept is not, and the call goes on."""

    async def ids(self, kind: OwnedKind, prefix: str, most: int) -> list[str]:
        """The newest ids that start with `prefix`, for completion."""

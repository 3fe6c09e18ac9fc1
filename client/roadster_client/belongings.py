"""What belongs to a dealer where the upstream itself knows no dealers: deliveries, orders."""

from __future__ import annotations

from typing import Literal, Protocol

BelongingKind = Literal["customer", "delivery", "order"]


class NotKept(Exception):
    """What was to be kept could not be: nobody will know later whose it is."""


class OfAnother(Exception):
    """It is another dealer's, and stays so."""


class Belongings(Protocol):
    """What is known to belong to one dealer."""

    async def has(self, kind: BelongingKind, id_: str) -> bool:
        """Whether it was seen at this dealer before; what was not is nobody's."""

    async def add(self, kind: BelongingKind, id_: str) -> None:
        """Durable when it returns. Raises NotKept, and OfAnother for a delivery that another dealer has."""

    async def note(self, kind: BelongingKind, id_: str) -> None:
        """The same where nothing depends on it: what cannot be kept is not, and the call goes on."""

    async def known(self, kind: BelongingKind, prefix: str, most: int) -> list[str]:
        """The newest ids that start with `prefix`, for completion."""

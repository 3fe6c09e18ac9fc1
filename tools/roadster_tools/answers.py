"""What every tool's result has in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True)
class Link:
    """A file that belongs to an answer and is read by its URI; `size` is in bytes."""

    uri: str
    name: str
    mime_type: str
    size: int


class ToolAnswer(BaseModel):
    """A tool's result: structured content for programs, one compact text for a model that is shown only text."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def structured(self) -> dict[str, Any]:
        """The structured content: what is not known is left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def text(self) -> str:
        """The same for reading: complete, on one line. Tables say it shorter, in the classes that have rows."""
        return self.model_dump_json(exclude_none=True)

    def links(self) -> tuple[Link, ...]:
        """What a client may read besides. Of reads alone: an answer that is kept for a replay keeps none."""
        return ()


WRITE_PROPERTIES: Mapping[str, Any] = {
    "preview": {"type": "object", "description": "in place of the rest: what would be sent; nothing was"},
    "replayed": {"type": "boolean", "description": "true where an earlier call with this key did it"},
}
"""What the answer of a write may hold besides its own fields."""


def money(amount: float) -> str:
    """An amount in the currency's units, the cents only where there are any."""
    return f"{amount:,.2f}".removesuffix(".00")

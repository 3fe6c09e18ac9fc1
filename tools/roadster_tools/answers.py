"""What every tool's result has in common."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True)
class FileLink:
    """A file that belongs to an answer and is read by its URI; `size` is in bytes."""

    uri: str
    name: str
    mime_type: str
    size: int


class ToolAnswer(BaseModel):
    """A tool's result: structured content for programs, one compact text for a model that is shown only text."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def structured_content(self) -> dict[str, Any]:
        """The structured content: what is not known is left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def text(self) -> str:
        """The same for reading: complete, on one line. Tables say it shorter, in the classes that have rows."""
        return self.model_dump_json(exclude_none=True)

    def links(self) -> tuple[FileLink, ...]:
        """What a client may read besides. Of reads alone: an answer that is kept for a replay keeps none."""
        return ()


WRITE_PROPERTIES: Mapping[str, Any] = {
    "preview": {"type": "object", "description": "in place of the rest: what would be sent"},
    "replayed": {"type": "boolean"},
}
"""What the answer of a write may hold besides its own fields."""


def cell(text: str) -> str:
    """`text` as one part of a line: in quotes where it holds what such a line is parted with."""
    return json.dumps(text, ensure_ascii=False) if re.search('[;,:|"]', text) else text


MOST_CHARACTERS = 16_000
"""What the rows of one answer take at most, about 4,000 tokens; a row is shown whole, so the last may go beyond."""


def table(title: str, rows: Sequence[ToolAnswer]) -> list[str]:
    """`rows` below a line with the names of their columns. What all of them share is said there, once."""
    if not rows:
        return [f"{title}: none"]
    cells = [row.structured_content() for row in rows]
    names = list(dict.fromkeys(name for row in cells for name in row))
    shared = [name for name in names if len(rows) > 1 and all(row.get(name) == cells[0].get(name) for row in cells)]
    columns = [name for name in names if name not in shared]
    alike = "".join(f"; {name} {plain(cells[0][name])}" for name in shared)
    lines = [" | ".join(plain(row.get(name)) for name in columns) for row in cells]
    return [f"{title} ({' | '.join(columns)}{alike}):", *lines]


def plain(value: Any) -> str:
    """A value as JSON has it, but plain text unquoted, a whole number without decimals, and a dash for nothing."""
    match value:
        case None:
            return "-"
        case bool():
            return str(value).lower()
        case float():
            return repr(value).removesuffix(".0")
        case str():
            return cell(value)
        case _:
            return str(value)


def counted(number: int, noun: str) -> str:
    """`number` with its noun, in the plural but for one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def money(amount: float) -> str:
    """An amount in the currency's units, the cents only where there are any."""
    return f"{amount:,.2f}".removesuffix(".00")

"""The parts that results of tools share: the base class, tables, and the way amounts and lists are written."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from roadster_client import LeftOut

from .arguments.parameters import Detail
from .turns import InTurns


@dataclass(frozen=True)
class FileLink:
    """A file that belongs to an answer and is read by its URI. `size` is in bytes."""

    uri: str
    name: str
    mime_type: str
    size: int


class ToolAnswer(BaseModel):
    """A tool's result: structured content for programs, and one compact text for a model that sees only text."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def structured_content(self) -> dict[str, Any]:
        """Returns the fields as JSON data. Fields without a value are left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def text(self) -> str:
        """Returns the same content for reading. Classes with rows override it, because a table is shorter than JSON."""
        return self.model_dump_json(exclude_none=True)

    def size(self) -> int:
        """Returns the characters of the longer of the two. Half of the hosts show a model the one, half the other."""
        return max(len(self.text()), len(self.model_dump_json(exclude_none=True)))

    def links(self) -> tuple[FileLink, ...]:
        """Returns the files that a client may read next. Writes have none, because a stored answer keeps no links."""
        return ()


WRITE_PROPERTIES: Mapping[str, Any] = {
    "preview": {"type": "object", "description": "in place of the rest: what would be sent"},
    "replayed": {"type": "boolean"},
}
"""The output properties that each write has in addition to its answer's own fields."""

NOTICE_PROPERTIES: Mapping[str, Any] = {"notices": {"type": "array", "items": {"type": "string"}}}
"""The output property of each tool whose arguments can be doubtful, such as a file."""

ANSWER_PROPERTIES: Mapping[str, Any] = {"left_out": {"type": "object"}}
"""The output property that each answer may have in addition to its own fields."""

_MOST_PATHS = 5


def left_out_of(left_out: Counter[LeftOut]) -> dict[str, Any]:
    """Returns the property `left_out` of an answer, empty where nothing was left out.

    It has the numbers of rows and fields that an upstream sent in a form that cannot be read, and where they were.
    """
    if not left_out:
        return {}
    rows = sum(count for kind, count in left_out.items() if kind.is_row)
    paths = list(dict.fromkeys(kind.path for kind in left_out))
    return {"left_out": {"rows": rows, "fields": left_out.total() - rows, "paths": paths[:_MOST_PATHS]}}


def left_out_text(left_out: Counter[LeftOut]) -> str:
    """Returns the line of a text that says the same, empty where nothing was left out."""
    if not left_out:
        return ""
    summary = left_out_of(left_out)["left_out"]
    numbers = ", ".join(quantity(summary[f"{noun}s"], noun) for noun in ("row", "field") if summary[f"{noun}s"])
    absence = "; what is not here may be among them" if summary["rows"] else ""
    paths = ", ".join(summary["paths"])
    return f"Left out, because the upstream sent it in an unknown form: {numbers} ({paths}){absence}"


@dataclass(frozen=True)
class UnreadRows:
    """The rows of a list, and the fields in them, that could not be read. It is false where there are none.

    What a search does not find may be among them, so an empty answer must not call it absent.
    """

    rows: int
    fields: int = 0
    may_be_behind: bool = False
    """Says that the list may go on behind them, where nothing could be read."""

    @classmethod
    def of_list(cls, left_out: Counter[LeftOut], path: str) -> UnreadRows:
        """Returns those of the list at `path` of an answer, which is empty where the answer is the list."""
        place = f"{path}.*" if path else "*"
        rows = sum(count for kind, count in left_out.items() if kind.path == place)
        # A list that cannot be read itself is a field. Its rows are not counted.
        return cls(rows, sum(count for kind, count in left_out.items() if kind.path == path))

    def __bool__(self) -> bool:
        return self.rows + self.fields > 0

    def hint_beside_rows(self) -> str:
        """Returns the sentence of an answer that has rows, empty where no field that it was searched by is unread.

        Rows that could not be read are told with every answer.
        """
        return self.hint("more that match") if self.fields else ""

    def hint(self, name: str) -> str:
        """Returns the sentence of an empty answer. `name` is what it may lack, such as "the vehicle"."""
        numbers = " and ".join(quantity(n, noun) for n, noun in ((self.rows, "row"), (self.fields, "field")) if n)
        place = "among or behind them" if self.may_be_behind else "among them"
        return f"{numbers} of Roadster's answer could not be read, so {name} may be {place}."


MOST_CHARACTERS = 16_000
"""Characters of the rows of one answer, as text and as JSON, about 4,000 tokens.

A row is never cut, so the last one may exceed it."""

_RowT = TypeVar("_RowT", bound=ToolAnswer)


class AnswerRows(Generic[_RowT]):
    """The rows of one answer. It is full at `limit` rows, or before that where they are long.

    `room` is the number of characters. The first row is taken even where it is longer.
    """

    def __init__(self, limit: int | None, room: int = MOST_CHARACTERS) -> None:
        self.rows: list[_RowT] = []
        self._limit = limit
        self._room = room

    def add(self, row: _RowT) -> None:
        self.rows.append(row)
        self._room -= row.size()

    async def fill(self, rows: Iterable[_RowT]) -> list[_RowT]:
        """Takes rows until the answer is full, and returns those that it has."""
        async for row in InTurns(rows):
            self.add(row)
            if self.is_full:
                break
        return self.rows

    @property
    def is_full(self) -> bool:
        return len(self.rows) == self._limit or self._room <= 0

    @property
    def is_cut(self) -> bool:
        """True where the answer is full before its limit, because its rows are long."""
        return self._room <= 0 and len(self.rows) != self._limit


def cut_hint(detail: Detail) -> str:
    """Returns the hint of an answer that is full before its limit."""
    reason = "Fewer than the limit, to keep the answer short"
    return f"{reason}: detail brief shows more at once." if detail == "full" else f"{reason}."


def list_text(
    rows: Iterable[str], *, next_cursor: str | None = None, notes: Iterable[str] = (), hint: str | None = None
) -> str:
    """Returns the text of a list: its rows, the cursor of the next part, then notes and a hint, each on its line."""
    cursor = [] if next_cursor is None else [f"truncated; next_cursor: {next_cursor}"]
    return "\n".join([*rows, *cursor, *notes, *([hint] if hint else [])])


def table(title: str, rows: Sequence[ToolAnswer]) -> list[str]:
    """Returns `rows` as lines below a line with the names of their columns.

    A value that all rows share stands in that first line, and its column is left out.
    """
    if not rows:
        return [f"{title}: none"]
    cells = [row.structured_content() for row in rows]
    names = list(dict.fromkeys(name for row in cells for name in row))
    common = [name for name in names if len(rows) > 1 and all(row.get(name) == cells[0].get(name) for row in cells)]
    columns = [name for name in names if name not in common]
    common_values = "".join(f"; {name} {plain(cells[0][name])}" for name in common)
    lines = [" | ".join(plain(row.get(name)) for name in columns) for row in cells]
    return [f"{title} ({' | '.join(columns)}{common_values}):", *lines]


def plain(value: Any) -> str:
    """Returns a value as in JSON, but a dash for None, and without quotes, brackets and decimals of whole numbers."""
    match value:
        case None:
            return "-"
        case bool():
            return str(value).lower()
        case float():
            return repr(value).removesuffix(".0")
        case str():
            return cell(value)
        case list():
            return ", ".join(map(plain, value))
        case _:
            return str(value)


def cell(text: str) -> str:
    """Returns `text` as one part of a line, in quotes where it holds a character that separates parts."""
    return json.dumps(text, ensure_ascii=False) if re.search('[;,:|"]', text) else text


def quantity(number: int, noun: str) -> str:
    """Returns `number` with its noun, which is in the plural unless the number is 1."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def money(amount: float) -> str:
    """Returns an amount in the currency's units, with cents only where there are any."""
    return f"{amount:,.2f}".removesuffix(".00")


def number_text(number: float) -> str:
    """Returns a number with a comma at its thousands, and with as many decimals as it has."""
    return f"{number:,}".removesuffix(".0")


def shorten(text: str | None, longest: int) -> str | None:
    """Returns `text` with at most `longest` characters, the last of them an ellipsis where something is cut off."""
    return text if text is None or len(text) <= longest else f"{text[: longest - 1]}…"

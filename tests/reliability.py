"""docs/reference/faults.md: each test marked `reliability(fault, what_happens)` is a row of its table.

As a plugin, `pytest -p tests.reliability --collect-only` writes the table anew (`make generate`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parent.parent / "docs" / "reference" / "faults.md"
COLLECTED = pytest.StashKey[list[pytest.Item]]()
"""In the session's stash: all collected tests, also those that `-m` or `-k` leaves out."""
_TABLE = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- /table -->)", re.DOTALL)
_FILE = re.compile(r"^### `(.+)`$")
_ROW = re.compile(r"^\| (?P<fault>[^|]+) \| (?P<happens>[^|]+) \| `(?P<name>[^|]+)` \|$")


@dataclass(frozen=True)
class Row:
    fault: str
    happens: str
    test: str
    """`tests/FILE::NAME`, without parameters."""

    @property
    def file(self) -> str:
        return self.test.partition("::")[0]


def rows_of(items: Iterable[pytest.Item]) -> list[Row]:
    """Returns the rows of the collected tests, in their order. Parameters of one test may share a row."""
    rows = [
        Row(*mark.args, test=item.nodeid.partition("[")[0])
        for item in items
        for mark in reversed(list(item.iter_markers("reliability")))
    ]
    return sorted(dict.fromkeys(rows), key=lambda row: row.file)


def documented_rows() -> list[Row]:
    rows, file = [], ""
    for line in _TABLE.search(DOCUMENT.read_text())[0].splitlines():  # type: ignore[index]
        if heading := _FILE.match(line):
            file = heading[1]
        elif row := _ROW.match(line):
            rows.append(Row(row["fault"], row["happens"], f"{file}::{row['name']}"))
    return rows


def pytest_collection_finish(session: pytest.Session) -> None:
    lines: list[str] = []
    for file, rows in groupby(rows_of(session.items), key=lambda row: row.file):
        lines += [f"### `{file}`", "", "| fault | what happens | test |", "|---|---|---|"]
        lines += [f"| {row.fault} | {row.happens} | `{row.test.removeprefix(f'{file}::')}` |" for row in rows]
        lines.append("")
    table = "\n".join(lines)
    DOCUMENT.write_text(_TABLE.sub(lambda _: table, DOCUMENT.read_text()))

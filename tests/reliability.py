"""docs/reference/faults.md: each test marked `reliability(fault, what_happens)` is a row of its table.

As a plugin, `pytest -p tests.reliability --collect-only` writes the table anew (`make generate`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parent.parent / "docs" / "reference" / "faults.md"
COLLECTED = pytest.StashKey[list[pytest.Item]]()
"""In the session's stash: all collected tests, also those that `-m` or `-k` leaves out."""
_TABLE = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- /table -->)", re.DOTALL)
_ROW = re.compile(r"^\| (?P<fault>[^|]+) \| (?P<happens>[^|]+) \| `(?P<test>[^|]+)` \|$", re.MULTILINE)


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
    """Those of the collected tests, in their order; parameters of one test may share a row."""
    found = [
        Row(*mark.args, test=item.nodeid.partition("[")[0])
        for item in items
        for mark in reversed(list(item.iter_markers("reliability")))
    ]
    return sorted(dict.fromkeys(found), key=lambda row: row.file)


def documented() -> list[Row]:
    return [Row(**match.groupdict()) for match in _ROW.finditer(_TABLE.search(DOCUMENT.read_text())[0])]  # type: ignore[index]


def pytest_collection_finish(session: pytest.Session) -> None:
    rows = [f"| {row.fault} | {row.happens} | `{row.test}` |\n" for row in rows_of(session.items)]
    table = "".join(["| fault | what happens | test |\n", "|---|---|---|\n", *rows])
    DOCUMENT.write_text(_TABLE.sub(lambda _: table, DOCUMENT.read_text()))

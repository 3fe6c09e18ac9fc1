"""A quote for a terminal: its text, with the deals side by side as a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from roadster_tools.answers import money

_DEALS = ("cash", "finance", "lease")
_DEAL_LINE = re.compile(r"(Cash|Finance|Lease): ")
_IN_THEIR_UNITS = ("months", "percent", "factor", "miles")
"""Ends of the names of figures that are not amounts."""


def quote_table(answer: Mapping[str, Any], text: str) -> Group:
    """Returns what a terminal shows of an answer of `quote_payments`. `text` is the same answer to be read."""
    lines = text.split("\n")
    places = [place for place, line in enumerate(lines) if _DEAL_LINE.match(line)][: len(_DEALS)]
    start, end = (places[0], places[-1] + 1) if places else (len(lines), len(lines))
    # A name from the upstream may look like rich's markup, which a Text does not read.
    return Group(Text("\n".join(lines[:start])), _table(answer), Text("\n".join(lines[end:])))


def _table(answer: Mapping[str, Any]) -> Table:
    columns = [dict(_rows(answer.get(deal, {}))) for deal in _DEALS]
    table = Table("")
    for deal in _DEALS:
        table.add_column(deal, justify="right")
    for name in _names(columns):
        table.add_row(Text(name), *(Text(column.get(name, "")) for column in columns))
    return table


def _names(columns: Sequence[dict[str, str]]) -> list[str]:
    """Returns the names of all figures, each before the one that it precedes in its deal."""
    names: list[str] = []
    for column in reversed(columns):
        place = len(names)
        for name in reversed(column):
            if name in names:
                place = names.index(name)
            else:
                names.insert(place, name)
    return names


def _rows(figures: Mapping[str, Any], indent: str = "") -> Iterator[tuple[str, str]]:
    """Yields the figures of a deal as a table has them. The parts of one stand below it, further to the right."""
    for name, value in figures.items():
        title = f"{indent}{name.replace('_', ' ')}"
        if isinstance(value, dict):
            yield title, ""
            yield from _rows(value, f"{indent}  ")
        else:
            yield title, _cell(name, value)


def _cell(name: str, value: Any) -> str:
    is_amount = isinstance(value, int | float) and not name.endswith(_IN_THEIR_UNITS)
    return money(value) if is_amount else str(value)

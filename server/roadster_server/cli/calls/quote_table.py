"""A quote for a terminal: its text, with the deals side by side as a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from roadster_tools.answers import money, number_text

_DEALS = ("cash", "finance", "lease")
_DEAL_LINE = re.compile(r"(Cash|Finance|Lease): ")
_IN_THEIR_UNITS = ("months", "percent", "factor", "miles")
"""Ends of the names of figures that are not amounts."""
_INDENT = 2


class _Title(NamedTuple):
    """The name of a figure. The parts of one stand below it, further to the right."""

    name: str
    indent: int


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
    for title in _titles(columns):
        # Blanks at the beginning of a name would be lost where it takes two lines.
        name = Padding(Text(title.name), (0, 0, 0, title.indent))
        table.add_row(name, *(Text(column.get(title, "")) for column in columns))
    return table


def _titles(columns: Sequence[dict[_Title, str]]) -> list[_Title]:
    """Returns the titles of all figures, each before the one that it precedes in its deal."""
    titles: list[_Title] = []
    for column in reversed(columns):
        place = len(titles)
        for title in reversed(column):
            if title in titles:
                place = titles.index(title)
            else:
                titles.insert(place, title)
    return titles


def _rows(figures: Mapping[str, Any], indent: int = 0) -> Iterator[tuple[_Title, str]]:
    """Yields the figures of a deal as a table has them."""
    for name, value in figures.items():
        title = _Title(name.replace("_", " "), indent)
        if isinstance(value, dict):
            yield title, ""
            yield from _rows(value, indent + _INDENT)
        else:
            yield title, _cell(name, value)


def _cell(name: str, value: Any) -> str:
    if not isinstance(value, int | float):
        return str(value)
    return number_text(value) if name.endswith(_IN_THEIR_UNITS) else money(value)

"""The figures of the console: calls, refusals and failures of upstreams over the last hour, day and 30 days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from roadster_client import ApiName
from roadster_server.store import CallCount
from roadster_tools import TOOLS

from .plots import Plot, Series

UPSTREAM_OUTCOMES = frozenset({"upstream", "outcome_unknown"})
"""Outcomes of calls whose upstream failed, or may have."""
_MOST_SETTINGS = 4
"""Settings with a colour of their own. The others are one."""
_APIS: dict[str, ApiName] = {"deliveries": "roadie", "crm": "mykaarma"}
"""The upstreams of the toolsets that do not use Roadster."""


@dataclass(frozen=True)
class Span:
    """A time that plots show, in pieces. `width` is the number of characters of an ISO time that name a piece."""

    name: str
    length: timedelta
    piece: timedelta
    width: int
    label: Callable[[datetime], str]

    def begin(self, now: datetime) -> datetime:
        """Returns the beginning of the first piece."""
        start = now - self.length + self.piece
        return datetime.fromisoformat(_whole_time(start.astimezone(UTC).isoformat()[: self.width]))

    def pieces(self, now: datetime) -> list[datetime]:
        begin = self.begin(now)
        return [begin + number * self.piece for number in range(int(self.length / self.piece))]


def _whole_time(begin: str) -> str:
    """Returns the whole time that a cut off one begins with."""
    return f"{begin}{'0000-00-00T00:00:00'[len(begin) :]}+00:00"


SPANS = {
    "hour": Span("the last hour", timedelta(hours=1), timedelta(minutes=1), 16, lambda time: f"{time:%H:%M}"),
    "day": Span("the last day", timedelta(days=1), timedelta(hours=1), 13, lambda time: f"{time:%H:%M}"),
    "month": Span("the last 30 days", timedelta(days=30), timedelta(days=1), 10, lambda time: f"{time:%d %b}"),
}


def plots(counts: Sequence[CallCount], span: Span, now: datetime) -> list[Plot]:
    """Returns the plots of calls, refusals by setting, and failures by upstream."""

    def plot(title: str, name_of: Callable[[CallCount], str | None]) -> Plot:
        pieces = span.pieces(now)
        places = {f"{piece:%Y-%m-%dT%H:%M}"[: span.width]: place for place, piece in enumerate(pieces)}
        totals: Counter[str] = Counter()
        for each in counts:
            if (name := name_of(each)) is not None:
                totals[name] += each.count
        names = [name for name, _ in totals.most_common(_MOST_SETTINGS)]
        rows = {name: [0] * len(pieces) for name in [*names, *(["others"] if len(totals) > len(names) else [])]}
        for each in counts:
            name, piece = name_of(each), places.get(each.begin)
            if name is not None and piece is not None:
                rows[name if name in names else "others"][piece] += each.count
        series = [Series(name, values) for name, values in rows.items()] or [Series("none", [0] * len(pieces))]
        return Plot(title, [span.label(piece) for piece in pieces], series)

    return [
        plot("Calls", lambda each: "refused" if each.is_refused else "admitted"),
        plot("Refusals by setting", lambda each: each.setting if each.is_refused else None),
        plot("Failures of upstreams", lambda each: api_of(each.tool) if each.outcome in UPSTREAM_OUTCOMES else None),
    ]


def api_of(tool: str) -> ApiName:
    """Returns the upstream that a tool uses."""
    return _APIS.get(TOOLS[tool].toolset, "roadster") if tool in TOOLS else "roadster"

"""Plots of counts over time, as SVG that the server draws. A page needs no script for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from roadster_client import with_escapes

_WIDTH, _HEIGHT = 720, 180
_LEFT, _BOTTOM, _TOP = 44, 24, 8
_MOST_LABELS = 6


@dataclass(frozen=True)
class Series:
    """One kind of count, with a number for each piece of time."""

    name: str
    counts: Sequence[int]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True)
class Plot:
    """Counts over time, in bars that stand on each other. `labels` has one text for each piece of time."""

    title: str
    labels: Sequence[str]
    series: Sequence[Series]

    @property
    def total(self) -> int:
        return sum(each.total for each in self.series)

    @property
    def summary(self) -> str:
        """The plot in words, for somebody who does not see it."""
        parts = ", ".join(f"{with_escapes(each.name)}: {each.total:,}" for each in self.series if each.total)
        return f"{self.title}, {self.labels[0]} to {self.labels[-1]} UTC: {parts or 'none'}"

    def svg(self) -> Markup:
        """Returns the plot. Its colours are classes of people.css, because a style of its own is not allowed."""
        highest = _round_up(max(sum(column) for column in zip(*(each.counts for each in self.series), strict=True)))
        plot_height = _HEIGHT - _BOTTOM - _TOP
        step = (_WIDTH - _LEFT) / len(self.labels)
        parts = [_axis(highest, plot_height)]
        for place, label in enumerate(self.labels):
            y = float(_HEIGHT - _BOTTOM)
            for number, each in enumerate(self.series, 1):
                height = each.counts[place] / highest * plot_height
                if height:
                    y -= height
                    parts.append(_bar(number, _LEFT + place * step, y, max(step - 1, 1), height))
            if place % -(-len(self.labels) // _MOST_LABELS) == 0:
                parts.append(
                    Markup('<text x="{:.1f}" y="{}" class="label">{}</text>').format(
                        _LEFT + place * step, _HEIGHT - _BOTTOM / 3, label
                    )
                )
        return Markup('<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
            _WIDTH, _HEIGHT, self.summary, Markup("").join(parts)
        )


def _axis(highest: int, plot_height: float) -> Markup:
    lines = []
    for part in (0.0, 0.5, 1.0):
        y = _HEIGHT - _BOTTOM - part * plot_height
        lines.append(
            Markup(
                '<line x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/><text x="{}" y="{:.1f}" class="scale">{}</text>'
            ).format(_LEFT, _WIDTH, y, y, _LEFT - 6, y + 4, f"{highest * part:,g}")
        )
    return Markup("").join(lines)


def _bar(number: int, x: float, y: float, width: float, height: float) -> Markup:
    return Markup('<rect class="series{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
        number, x, y, width, height
    )


def _round_up(count: int) -> int:
    """Returns a round number that is not smaller: 1, 2 or 5 and zeros, and an even one for the line in the middle."""
    unit = 1
    while True:
        for factor in (2, 4, 10):
            if count <= factor * unit:
                return factor * unit
        unit *= 10

"""The figures of the console: counts of calls and events by pieces of time, and their plots."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from roadster_server.people.console.figures import SPANS, plots
from roadster_server.people.console.plots import Plot, Series
from roadster_server.settings.live import LiveSettings
from roadster_server.store import CallCount
from roadster_server.store.sql import SqlStore

from .browser import PageBrowser, page_browser
from .consoles import call

pytestmark = pytest.mark.anyio


async def test_calls_are_counted_by_piece_of_time(store: SqlStore) -> None:
    now = datetime(2026, 11, 28, 12, 0, 30, tzinfo=UTC)
    small = replace(store, page_rows=2)
    for minutes in (90, 59, 59, 1, 0):
        await store.append(call(time=now - timedelta(minutes=minutes), tool="get_vehicle"))
    limited = call(time=now, tool="get_vehicle", verdict="refused", setting="calls_per_minute")
    await store.append(replace(limited, arguments={"refusals": "40"}))
    await store.append(call(time=now, phase="sent"))
    await store.append(call(time=now, protocol="page"))
    await store.append(call(time=now, dealer="toyotademo", tool="get_vehicle"))
    span = SPANS["hour"]
    counts = await small.count_calls(span.begin(now), span.width, ["umazda"])
    assert [(each.begin, each.count, each.is_refused) for each in counts] == [
        ("2026-11-28T11:01", 2, False),
        ("2026-11-28T11:59", 1, False),
        ("2026-11-28T12:00", 1, False),
        ("2026-11-28T12:00", 40, True),
    ]
    assert sum(each.count for each in await small.count_calls(span.begin(now), span.width, None)) == 45


@pytest.mark.parametrize("name", SPANS)
def test_plots_have_a_place_for_each_piece_of_time(name: str) -> None:
    span, now = SPANS[name], datetime(2026, 11, 28, 12, 34, 56, tzinfo=UTC)
    pieces = span.pieces(now)
    assert len(pieces) == {"hour": 60, "day": 24, "month": 30}[name]
    assert pieces[-1] <= now < pieces[-1] + span.piece
    last = f"{now.isoformat()[: span.width]}"
    counts = [CallCount(last, "get_vehicle", "upstream", f"setting {n}", n > 0, n + 1) for n in range(7)]
    calls, refusals, failures = plots(counts, span, now)
    assert [(each.name, each.counts[-1], each.total) for each in calls.series] == [
        ("refused", 27, 27),
        ("admitted", 1, 1),
    ]
    assert [each.name for each in refusals.series][-1] == "others"
    assert refusals.total == 27
    assert failures.series[0].name == "roadster"


def test_a_plot_says_in_words_what_it_shows() -> None:
    plot = Plot("Calls", ["12:00", "12:01"], [Series("admitted", [1, 2]), Series("<refused>", [0, 1])])
    assert plot.summary == "Calls, 12:00 to 12:01 UTC: admitted: 3, <refused>: 1"
    svg = plot.svg()
    assert svg.count("<rect") == 3
    assert "&lt;refused&gt;" in svg
    assert "style" not in svg
    assert Plot("Calls", ["a"], [Series("none", [0])]).svg().count("<rect") == 0


async def test_an_unknown_span_is_the_hour(browser: PageBrowser, live: LiveSettings) -> None:
    await browser.sign_in(live.current)
    for span, words in (("day", "the last day"), ("month", "the last 30 days"), ("<x>", "the last hour")):
        answer: httpx2.Response = await browser.http.get(
            f"{browser.origin}/people/console/figures", params={"span": span}
        )
        assert f"Figures of {words}" in answer.text
    async with page_browser(browser.origin) as other:
        await other.open("/people/console/figures")
        assert other.page.url.path == "/people/sign-in"

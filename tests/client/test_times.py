"""Times of events: each way in which programs write them, and nothing that only looks like one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadster_client.models.times import read_time

NINE = datetime(2026, 3, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-01T09:00:00Z",
        "2026-03-01t09:00:00z",
        "2026-03-01T09:00:00.000Z",
        "2026-03-01T09:00:00,000000000+00:00",
        "2026-03-01T01:00:00-08:00",
        "2026-03-01T01:00:00-0800",
        "2026-03-01T01:00-08:00",
        "2026-03-01T01:00:00-08",
        "2026-03-01 01:00:00 -0800",
        "2026-03-01 09:00:00 UTC",
        "2026-03-01 09:00 GMT",
        "2026-03-01 09:00:00",
        " 2026-03-01T09:00 ",
        1772355600,
        1772355600.0,
        1772355600000,
        "1772355600",
        "1772355600000",
    ],
)
def test_reader_knows_each_way_to_write_a_time(value: Any) -> None:
    assert read_time(value) == NINE


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("2026-02-28T24:00:00Z", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-02-28T23:59:60Z", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2016-12-31 23:59:60 UTC", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T09:00:00.5Z", NINE + timedelta(milliseconds=500)),
        ("2026-03-01 01:00:00.123456789 -0800", NINE + timedelta(microseconds=123456)),
    ],
)
def test_reader_carries_over(value: str, time: datetime) -> None:
    """Hour 24 and second 60 belong to what comes next."""
    assert read_time(value) == time


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "",
        "yesterday",
        "2026-13-01",
        "2026-02-30T09:00:00Z",
        "2026-03-01T24:30:00Z",
        "2026-03-01T25:00:00Z",
        "2026-03-01T09:60:00Z",
        "2026-03-01T09:00:61Z",
        "2026-03-01T09:00:00+99:00",
        "2026-03-01T09:00:00 PST",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "9999-12-31T24:00:00Z",
        "٢٠٢٦-03-01",
        5,
        0,
        -1772355600,
        float("nan"),
        float("inf"),
        10**400,
        "9" * 5000,
        [2026, 3, 1],
        {"time": "2026-03-01"},
    ],
)
def test_reader_says_what_is_no_time(value: Any) -> None:
    assert read_time(value) is None


@given(
    st.timedeltas(min_value=timedelta(), max_value=timedelta(days=365 * 7000)),
    st.integers(min_value=-14 * 60, max_value=14 * 60),
)
def test_reader_reads_every_iso_time(since_1900: timedelta, offset: int) -> None:
    aware = (datetime(1900, 1, 2, tzinfo=UTC) + since_1900).astimezone(timezone(timedelta(minutes=offset)))
    assert read_time(aware.isoformat()) == aware
    assert read_time(aware.strftime("%Y-%m-%d %H:%M:%S.%f %z").strip()) == aware


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_reader_fails_on_nothing(value: Any) -> None:
    time = read_time(value)
    assert time is None or time.tzinfo is UTC

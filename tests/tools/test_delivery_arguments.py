"""The arguments of a delivery: its limits, its times, its phone numbers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from roadster_client.models import deliveries as models
from roadster_client.models.deliveries import parse_phone, parse_time
from roadster_client.models.personal_forms import plain_phone
from roadster_tools import InvalidArguments
from roadster_tools.toolsets.deliveries import check_times
from tests.conftest import Connect, World, answer_of, kind_of, own_delivery, text_of
from tests.tool_examples import DELIVERY
from tests.tools.deliveries import NEW_DELIVERY, OWN_DELIVERY, delivery_with
from tests.tools.umazda import operations

pytestmark = pytest.mark.anyio

LIMITS: list[tuple[str, Any, Any]] = [
    ("items.0.description", "x" * 201, "x" * 200),
    ("items.0.description", " ", "x"),
    ("items.0.reference_id", "x" * 101, "x" * 100),
    ("items.0.value", 0, 0.01),
    ("items.0.length", -1, 1),
    ("items.0.width", 0, 1),
    ("items.0.height", 0, 1),
    ("items.0.weight", 0, 0.5),
    ("items.0.quantity", 0, 1),
    ("items.0.quantity", 1.5, 2),
    ("items.0.value", ..., 1),
    ("reference_id", "x" * 101, "x" * 100),
    *(
        (f"{place}.address.{part}", "x" * 201, "x" * 200)
        for place in ("pickup_location", "delivery_location")
        for part in ("name", "street1", "street2", "city")
    ),
    ("delivery_location.address.street1", ..., "1 Main Street"),
    ("delivery_location.address.state", "Washington", "wa"),
    ("delivery_location.address.state", "1A", "OR"),
    ("delivery_location.address.zip", "98402-12345", "98402-1234"),
    ("delivery_location.contact.name", "x" * 201, "x" * 200),
    ("delivery_location.contact.phone", "415-555-012", "415-555-0123"),
    ("delivery_location.contact.phone", "+44 20 7946 0958", "+1 415 555 0123"),
    ("delivery_location.notes", "x" * 301, "x" * 300),
    ("pickup_after", "2099-01-31T09:00:00", "2099-01-31T09:00-08:00"),
    ("deliver_between.start", "2099-02-30T09:00:00Z", "2099-01-31T17:00Z"),
]


@pytest.mark.parametrize(
    ("path", "wrong", "right"), LIMITS, ids=[f"{path} {n}" for n, (path, _, _) in enumerate(LIMITS)]
)
async def test_create_delivery_checks_each_limit(
    path: str, wrong: Any, right: Any, connect: Connect, world: World
) -> None:
    async with connect() as client:
        result = await client.call_tool("create_delivery", delivery_with(path, wrong))
        assert kind_of(result) == "invalid_arguments"
        assert f" {path}: " in text_of(result)
        assert await operations(world) == []
        answer_of(await client.call_tool("create_delivery", delivery_with(path, right)))


async def test_create_delivery_refuses_undocumented_fields(connect: Connect, world: World) -> None:
    async with connect() as client:
        for path in ("items.0.color", "delivery_location.door", "delivery_location.address.country", "express"):
            result = await client.call_tool("create_delivery", delivery_with(path, "x"))
            assert f"{path.split('.')[-1]}: no such argument" in text_of(result)
    assert await operations(world) == []


@pytest.mark.parametrize(
    ("start", "end", "problem"),
    [
        ("2099-01-31T18:00:00Z", "2099-01-31T10:00:00Z", "deliver_between: end is not after start"),
        ("2099-01-31T18:00:00Z", "2099-01-31T10:00:00-08:00", "deliver_between: end is not after start"),
        ("2018-01-31T10:00:00Z", "2018-01-31T18:00:00Z", "deliver_between.end: is in the past"),
        ("2099-01-30T10:00:00Z", "2099-01-31T17:00:00Z", "deliver_between.end: is not after pickup_after"),
    ],
)
async def test_delivery_window_is_checked_before_sending(
    start: str, end: str, problem: str, connect: Connect, world: World, store_url: str
) -> None:
    await own_delivery(store_url)
    times = {"pickup_after": DELIVERY["pickup_after"], "deliver_between": {"start": start, "end": end}}
    async with connect() as client:
        for tool, arguments in (("create_delivery", NEW_DELIVERY), ("update_delivery", OWN_DELIVERY)):
            result = await client.call_tool(tool, {**arguments, **times})
            assert kind_of(result) == "invalid_arguments", problem
            assert problem in text_of(result)
    assert await operations(world) == []


async def test_update_delivery_needs_a_change(connect: Connect, world: World, store_url: str) -> None:
    await own_delivery(store_url)
    async with connect() as client:
        result = await client.call_tool("update_delivery", {**OWN_DELIVERY, "items": None})
    assert kind_of(result) == "invalid_arguments"
    assert "give what shall change" in text_of(result)
    assert await operations(world) == []


def window(start: datetime, end: datetime) -> models.TimeWindow:
    return models.TimeWindow(start=start, end=end)


times = st.datetimes(timezones=st.timezones() | st.just(UTC))


@given(pickup=times, start=times, end=times, now=times)
def test_check_times_takes_windows_after_now_and_pickup(
    pickup: datetime, start: datetime, end: datetime, now: datetime
) -> None:
    assume(start < end)
    try:
        check_times(pickup, window(start, end), now=now)
    except InvalidArguments:
        assert end <= max(now, pickup)
    else:
        assert end > max(now, pickup)


def test_check_times_takes_a_window_that_has_begun() -> None:
    now = datetime(2030, 1, 1, 12, tzinfo=UTC)
    hour = timedelta(hours=1)
    check_times(now - hour, window(now - hour, now + hour), now=now)
    with pytest.raises(InvalidArguments, match="in the past"):
        check_times(now - hour, window(now - hour, now), now=now)


digits = st.text("0123456789", min_size=10, max_size=10)


@given(
    digits, st.lists(st.sampled_from(" ().-/\xa0"), min_size=11, max_size=11), st.sampled_from(["", "1", "+1", "+1 "])
)
@example("1111111111", [""] * 11, "")
def test_parse_phone_ignores_punctuation(number: str, marks: list[str], prefix: str) -> None:
    phone = prefix + "".join(mark + digit for mark, digit in zip(marks, number, strict=False)) + marks[-1]
    assert parse_phone(phone) == number


@given(st.text())
@example("+4155556666")
@example("٤١٥٥٥٥٦٦٦٦")
@example("4155556666x3")
@example("14155556666\n")
@example("\u202a415\u2011555\u20136666\u202c")
def test_parse_phone_takes_ten_digits_or_raises(phone: str) -> None:
    try:
        number = parse_phone(phone)
    except ValueError:
        return
    assert re.fullmatch("[0-9]{10}", number)
    assert re.sub("[^0-9]", "", phone) in (number, f"1{number}")
    assert not re.search(r"[^0-9 ().\-/+]", plain_phone(phone))


def test_parse_phone_refuses_foreign_numbers() -> None:
    for phone in ("+4155556666", "x4155556666", "415555666", "24155556666", "4155556666 ext 1", ""):
        with pytest.raises(ValueError, match="ten digits"):
            parse_phone(phone)


offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=offsets))
def test_parse_time_takes_times_without_seconds(time: datetime) -> None:
    assert parse_time(time.isoformat()) == time
    if time.utcoffset() == timedelta(0):
        assert parse_time(time.isoformat().replace("+00:00", "z")) == time
    assert parse_time(time.isoformat(timespec="minutes")) == time.replace(second=0, microsecond=0)


@given(
    st.text() | st.from_regex(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?([+-]\d\d:\d\d|Z)?\Z") | st.none() | st.integers()
)
@example("2018-01-14")
@example("2018-01-14 19:20:00Z")
@example("2018-01-14T19:20:00")
@example("2018-01-14T24:00:00Z")
@example("2018-01-14T19:20:60Z")
@example("2018-01-14T19:20:00+24:00")
@example("0000-01-14T19:20:00Z")
@example("20180114T192000Z")
@example("2018-W02-7T19:20:00Z")
def test_parse_time_needs_an_offset(text: Any) -> None:
    try:
        time = parse_time(text)
    except ValueError:
        return
    assert time.tzinfo is not None
    assert text[10] in "Tt"


def test_parse_time_takes_roadies_own_form() -> None:
    assert parse_time("2018-01-14T19:20+01:00") == datetime(2018, 1, 14, 18, 20, tzinfo=UTC)

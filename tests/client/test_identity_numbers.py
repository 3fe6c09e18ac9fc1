"""Card and social security numbers in free text are masked, and other numbers of the trade are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadster_client.models.identity_numbers import mask_identity_numbers
from roadster_client.models.webhooks import mask_identity

DASHES = ["-", " - ", "\u2010", "\u2013", "\u2212", "\uff0d"]
SCRIPTS = ["0", "\uff10", "\u0660", "\u0966"]
WORDS = st.sampled_from(["", "card ", "Visa", "pay with: ", "n\u00ba ", "(", "my number is "])
GROUPS = [[16], [4, 4, 4, 4], [8, 8], [4, 4, 8], [4, 6, 5], [4, 6, 4], [4, 4, 4, 4, 3], [19], [13], [15], [1] * 16]


@st.composite
def card_numbers(draw: st.DrawFn) -> str:
    """Numbers whose last digit checks the others, in the groups in use, with any dash or blank, in any digits."""
    sizes = draw(st.sampled_from(GROUPS))
    start = draw(st.sampled_from(["4", "51", "2221", "34", "30", "6011", "65"]))
    body = start + draw(st.text("0123456789", min_size=sum(sizes) - 1, max_size=sum(sizes) - 1))
    body = body[: sum(sizes) - 1]
    doubled = [int(digit) * (2 - at % 2) for at, digit in enumerate(reversed(body))]
    number = body + str(-sum(value // 10 + value % 10 for value in doubled) % 10)
    between = draw(st.sampled_from([" ", "  ", ".", "/", *DASHES]))
    zero = draw(st.sampled_from(SCRIPTS))
    number = "".join(chr(ord(zero) + int(digit)) for digit in number)
    places = [sum(sizes[:at]) for at in range(len(sizes))]
    return between.join(number[place : place + size] for place, size in zip(places, sizes, strict=True))


@pytest.mark.reliability(
    "a payment card's number in free text of an event",
    "is masked before it is stored",
)
@given(card_numbers(), WORDS, st.sampled_from(["", " 05/27", " 123", ", thanks", "exp 05/27"]))
def test_card_number_is_masked(number: str, before: str, behind: str) -> None:
    masked = mask_identity_numbers(f"{before}{number}{behind}")
    assert masked.startswith(f"{before}***")
    assert not any(character.isdecimal() for character in masked.removesuffix("exp 05/27"))


PHONES = [
    "{}{}{}-{}{}{}-{}{}{}{}",
    "({}{}{}) {}{}{}-{}{}{}{}",
    "{}{}{}.{}{}{}.{}{}{}{}",
    "{}{}{}{}{}{}{}{}{}{}",
    "+1 {}{}{} {}{}{} {}{}{}{}",
    "1-{}{}{}-{}{}{}-{}{}{}{}",
    "+4915{}{}{}{}{}{}{}{}{}",
    "+44 20 {}{}{}{} {}{}{}{}",
    "{}{}{}-{}{}{}{}",
]
DIGITS = st.lists(st.integers(0, 9), min_size=10, max_size=10)
OTHER_NUMBERS = st.one_of(
    st.builds(lambda form, digits: form.format(*digits), st.sampled_from(PHONES), DIGITS),
    st.text("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", min_size=17, max_size=17).filter(lambda vin: not vin.isdecimal()),
    st.integers(10_000, 9_999_999).map(str),
    st.builds("{}{}".format, st.sampled_from(["P", "U", "T"]), st.integers(1, 999_999)),
    st.uuids().map(str),
    st.datetimes().map(str),
)


@given(st.lists(OTHER_NUMBERS, min_size=1, max_size=5), st.sampled_from([", ", " / ", " and ", "; "]))
def test_numbers_of_the_trade_stay(numbers: list[str], between: str) -> None:
    """Telephone numbers, VINs, orders, stock numbers, ids and times are no card, also beside each other."""
    text = between.join(numbers)
    assert mask_identity_numbers(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("ssn 123456789", "ssn ***"),
        ("SSN#123456789", "SSN#***"),
        ("s.s.n.: 123456789", "s.s.n.: ***"),
        ("my social security number is 123.45.6789", "my social security number is ***"),
        ("Social: 123456789", "Social: ***"),
        ("123456789 is my SSN", "*** is my SSN"),
        ("SSN: 123456789 and 987654321, call 6505551234", "SSN: *** and ***, call 6505551234"),
        ("123\u201345\u20136789", "***"),
        ("order 123456789, SSN follows", "order 123456789, SSN follows"),
        ("stock 123456789", "stock 123456789"),
        ("SSN on file, call 650-555-1234", "SSN on file, call 650-555-1234"),
    ],
)
def test_social_security_number_is_masked_where_words_say_so(text: str, masked: str) -> None:
    assert mask_identity_numbers(text) == masked


@given(st.text("0123456789 -snSN+./", max_size=200))
def test_masked_text_stays_as_it_is(text: str) -> None:
    masked = mask_identity_numbers(text)
    assert mask_identity_numbers(masked) == masked


@pytest.mark.reliability(
    "100 KB of text that almost holds numbers",
    "is read in linear time",
)
@pytest.mark.parametrize(
    "part", ["4 ", "4111 ", "4111", "ssn ", "123456789 ", "4111 411 ", "0123456789ABCDEF-", "s s "]
)
def test_long_text_takes_linear_time(part: str) -> None:
    """A quadratic search of a text of this length would take hours, and run into the suite's limit."""
    mask_identity_numbers(part * (1_000_000 // len(part)))


def test_event_keeps_its_ids_and_loses_its_numbers() -> None:
    event = {
        "order": {"id": 4111111111111111, "vin": "5YJ3E1EA7KF317000"},
        "customer": {"id": "4111111111111111", "phone": "4915123456789"},
        "message": {"body": "4111111111111111", "number": 4111111111111111, "parts": ["ssn 123456789"]},
    }
    assert mask_identity(event) == {
        **event,
        "message": {"body": "***", "number": "***", "parts": ["ssn ***"]},
    }

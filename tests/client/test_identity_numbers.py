"""Card and social security numbers in free text are masked, and other numbers of the trade are not."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from roadster_client.models.identity_numbers import mask_identity_numbers
from roadster_client.models.personal_text import mask_and_shorten
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
    between = draw(st.sampled_from([" ", "  ", ".", *DASHES]))
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
        ("it is 123.45.6789.", "it is ***."),
        ("ssn 123-456789", "ssn ***"),
        ("program 202-210803", "program 202-210803"),
        ("ssn: 1 2 3 4 5 6 7 8 9", "ssn: ***"),
        ("SSN on file, call 6 5 0 5 5 5 1 2 3 4", "SSN on file, call 6 5 0 5 5 5 1 2 3 4"),
        ("$1,123.45.6789 and 123.45.67890", "$1,123.45.6789 and 123.45.67890"),
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


@pytest.mark.parametrize(
    "text",
    [
        "411111 1111111111",
        "4111 111111 111111",
        "378-282-246-310-005",
        "4111+1111+1111+1111",
        "4111 (1111) (1111) 1111",
        "4111%201111%201111%201111",
        "4111&nbsp;1111&nbsp;1111&#160;1111",
        "4111<br>1111<br/>1111<br />1111",
        "4111 1111\n1111 1111",
    ],
)
def test_card_number_in_other_groups_is_masked(text: str) -> None:
    assert mask_identity_numbers(f"{text}, thanks") == "***, thanks"


def test_word_of_a_card_tells_a_number_from_a_list() -> None:
    assert mask_identity_numbers("4111, 1111, 1111, 1111") == "4111, 1111, 1111, 1111"
    assert mask_identity_numbers("her card: 4111, 1111, 1111, 1111") == "her card: ***"
    assert mask_identity_numbers("4111/1111/1111/1111") == "4111/1111/1111/1111"
    assert mask_identity_numbers("cc 4111/1111/1111/1111") == "cc ***"
    assert mask_identity_numbers("Visa 41 11 1111 1111 1111 11") == "Visa ***"


PRICES = st.lists(st.integers(1_000, 99_999), min_size=3, max_size=6)
PRICE_LISTS = [", ", "; ", " / ", "/", "\n", " $", ", $", " | "]


@given(PRICES, st.sampled_from(PRICE_LISTS))
def test_prices_in_a_list_stay(prices: list[int], between: str) -> None:
    text = between.join(map(str, prices))
    assert mask_identity_numbers(text) == text


@given(PRICES.filter(lambda prices: any(price > 9_999 for price in prices)))
def test_prices_of_five_digits_stay_without_any_sign(prices: list[int]) -> None:
    """Prices of four digits with only blanks between them are written as cards are."""
    text = " ".join(map(str, sorted(prices, reverse=True)[:3]))
    assert mask_identity_numbers(text) == text


PHONE_DIGITS = st.from_regex(r"[2-9][0-9]{2} [2-9][0-9]{2} [0-9]{4}", fullmatch=True)


@given(
    st.lists(PHONE_DIGITS, min_size=2, max_size=5),
    st.sampled_from([" ", "-", ".", ""]),
    st.sampled_from([" ", "\n", ", ", "  ", "-"]),
)
def test_telephone_numbers_in_a_row_stay(numbers: list[str], sign: str, between: str) -> None:
    text = between.join(number.replace(" ", sign) for number in numbers)
    assert mask_identity_numbers(text) == text


@pytest.mark.reliability(
    "a card number where a long text is cut",
    "no half of it is shown",
)
@given(card_numbers(), st.integers(0, 8_100), st.integers(0, 20))
@example("4111 1111 1111 1111", 65, 20)
@example("4111 1111 1111 1111", 490, 0)
@example("4111 1111 1111 1111", 7_990, 0)
def test_cut_leaves_no_half_of_a_number(number: str, letters: int, cards: int) -> None:
    """Wherever it stands, and however much the masked numbers in front of it have shortened the text."""
    text = f"{'4111 1111 1111 1111, and ' * cards}{'x' * letters} {number}, {'x' * 9_000}"
    assert not any(map(str.isdecimal, mask_and_shorten(text)))


# Digits that no search may read again and again: rows, almost rows, words, and signs of several characters.
PARTS = ["4 ", "4111 ", "4111-", "4111", "5 4-", "ssn ", "123456789 ", "4111 411 ", "0123456789ABCDEF-", "s s "]
PARTS += ["&nbsp;", "4<br>", "<4 ", "card 4 ", " \x7f", "4\x7f"]


def seconds_for(text: str) -> float:
    """Returns the processor's seconds, of the fastest of three times."""
    times = []
    for _ in range(3):
        start = time.process_time()
        mask_identity_numbers(text)
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.reliability(
    "100 KB of text that almost holds numbers",
    "is read in linear time",
)
@pytest.mark.parametrize("part", PARTS)
def test_long_text_takes_linear_time(part: str) -> None:
    """Sixteen times the text takes about sixteen times as long. With a quadratic search it would be 256."""
    small, large = (seconds_for(part * (characters // len(part))) for characters in (10_000, 160_000))
    assert large < 80 * small


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


@pytest.mark.parametrize(
    "name", ["amount_paid", "paid", "valid", "kids", "numberOfKids", "prepaid", "video", "note", "Bid"]
)
def test_field_with_a_name_that_ends_like_an_id_is_masked(name: str) -> None:
    assert mask_identity({name: "4111111111111111"}) == {name: "***"}


@pytest.mark.parametrize(
    "name",
    [
        "id",
        "customer_id",
        "customerId",
        "customerID",
        "orderid",
        "VIN",
        "tracking_number",
        "trackingNumber",
        "invoice_number",
        "invoice_no",
        "stock_no",
        "stockNumber",
        "stock number",
        "home-phone",
        "phone2",
    ],
)
def test_field_of_an_id_stays(name: str) -> None:
    assert mask_identity({name: "4111111111111111"}) == {name: "4111111111111111"}


@pytest.mark.parametrize(
    "name", ["ssn", "customer_ssn", "SSN", "social_security_no", "socialSecurityNo", "drivers_license_num", "dob2"]
)
def test_field_that_identifies_a_person_is_masked(name: str) -> None:
    assert mask_identity({name: "123"}) == {name: "***"}


@pytest.mark.parametrize(
    ("event", "masked"),
    [
        ({"number": 4111111111111111.0}, {"number": "***"}),
        ({"number": -4111111111111111}, {"number": "***"}),
        ({"number": 1e300, "price": 41111.5}, {"number": 1e300, "price": 41111.5}),
        ({"4111111111111111": 1, "5555 5555 5555 4444": 2}, {"***": 1, "*** 2": 2}),
        ({"name": "ssn", "value": "123456789"}, {"name": "ssn", "value": "***"}),
        ({"label": "Social Security No", "answer": 123456789}, {"label": "Social Security No", "answer": "***"}),
        ({"name": "color", "value": "123456789"}, {"name": "color", "value": "123456789"}),
        ({"body": "SSN 123 456 789"}, {"body": "SSN ***"}),
    ],
)
def test_numbers_in_other_places_are_masked(event: dict[str, Any], masked: dict[str, Any]) -> None:
    assert mask_identity(event) == masked

"""The forms in which contact data are compared: all spellings of one number, address or name are one."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadster_tools.gate.customers import name_words, normal_email, normal_phone

AMERICAN = st.from_regex(r"[2-9][0-9]{9}", fullmatch=True)
FORMS = (
    "{0}{1}{2}",
    "+1{0}{1}{2}",
    "1{0}{1}{2}",
    "({0}) {1}-{2}",
    "+1 ({0}) {1}-{2}",
    "+1-{0}-{1}-{2}",
    "1.{0}.{1}.{2}",
    "{0} {1} {2}",
    "{0}\u2011{1}\u2011{2}",
    "001 {0} {1} {2}",
    "(+1) {0} {1} {2}",
    " {0}-{1}-{2} x12",
    "{0}-{1}-{2}, ext. 12",
    "+1 {0} {1} {2};ext=12",
)


def spelled(number: str, form: str) -> str:
    return form.format(number[:3], number[3:6], number[6:])


@given(AMERICAN, AMERICAN, st.sampled_from(FORMS), st.sampled_from(FORMS))
def test_all_spellings_of_a_phone_are_one_and_no_other(number: str, other: str, form: str, other_form: str) -> None:
    assert normal_phone(spelled(number, form)) == normal_phone(spelled(number, other_form)) == f"1{number}"
    assert (normal_phone(spelled(other, other_form)) == normal_phone(spelled(number, form))) is (number == other)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("+44 20 7946 0958", "442079460958"),
        ("+44 (0)20 7946 0958", "442079460958"),
        ("0044 20 7946 0958", "442079460958"),
        ("011 44 20 7946 0958", "442079460958"),
        ("+65 6123 4567", "6561234567"),
        ("\uff0b\uff11 415 555 0123", "14155550123"),
        ("911", None),
        ("n/a", None),
        ("1" * 16, None),
        ("", None),
    ],
)
def test_phones_of_other_countries(text: str, digits: str | None) -> None:
    assert normal_phone(text) == digits
    assert digits is None or normal_phone(f"+{digits}") == digits


@pytest.mark.parametrize("pause", [",,5", " , 5", "p5", " w 5", ";5", " x5"])
def test_what_is_dialled_after_a_pause_is_no_part_of_a_phone(pause: str) -> None:
    assert normal_phone(f"(415) 555-0123{pause}") == "14155550123"


def test_foreign_number_of_ten_digits_is_no_american_one() -> None:
    assert normal_phone("+65 6123 4567") != normal_phone("656 123 4567")


@given(st.text())
def test_any_text_has_forms(text: str) -> None:
    """They raise no error, and are their own form."""
    address, digits, words = normal_email(text), normal_phone(text), name_words(text)
    assert address is None or normal_email(address) == address
    assert digits is None or re.fullmatch("[0-9]{7,15}", digits)
    assert name_words(" ".join(words)) == words
    assert all(word.isalnum() and word.encode() for word in words)


@given(st.from_regex(r"[a-z.+]{1,10}@[a-z]{1,10}\.com", fullmatch=True), st.sampled_from(["", " ", "\t\n"]))
def test_email_is_compared_without_case_and_blanks(address: str, blank: str) -> None:
    assert normal_email(f"{blank}{address.upper()}{blank}") == normal_email(address) == address


@pytest.mark.parametrize(
    "text", ["<a@example.com>", "Ann Lee <A@example.com>", "mailto:a@example.com", "mailto:a@example.com?subject=Car"]
)
def test_email_is_found_in_a_link_and_behind_a_name(text: str) -> None:
    assert normal_email(text) == "a@example.com"


@pytest.mark.parametrize(
    ("spelling", "words"),
    [
        ("JOSÉ Núñez", ("jose", "nunez")),
        (unicodedata.normalize("NFD", "José"), ("jose",)),
        ("O'Brien-Smith", ("obrien", "smith")),
        ("Jørgen Łukasz Groß", ("jorgen", "lukasz", "gross")),
        ("Anna Anna", ("anna",)),
        ("李小龙", ("李小龙",)),
        ("- ' .", ()),
    ],
)
def test_name_is_compared_by_plain_words(spelling: str, words: tuple[str, ...]) -> None:
    assert name_words(spelling) == words

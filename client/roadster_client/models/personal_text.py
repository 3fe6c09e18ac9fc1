"""Masks personal data inside free text, which people wrote, and where no field of its own holds it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import accumulate, takewhile

from .personal_data import MASK

# From the start of a word, and without a step back: a long text without any address must take linear time.
_EMAIL = re.compile(r"(?<![^\s@<>()\"',;:])[^\s@<>()\"',;:]++@[^\s@<>()\"',;:]+")
_PHONE = re.compile(r"(?<!\w)(\+\d{8,15}|(\+?1[\s.-]?)?\(?\d{3}\)?[\s.-]?\d{3}[\s.-]?\d{4})(?!\w)")
_GAP = "[-\u2010-\u2015\u2212 _/]{1,3}"  # every dash, and no point, which amounts have
_SOCIAL_SECURITY = re.compile(rf"(?<!\d)\d{{3}}{_GAP}\d{{2}}{_GAP}\d{{4}}(?!\d)")
_WORD = re.compile(r"\w+")
_SHORTEST_VALUE = 2
"""Characters. A shorter value, such as an initial, would mask too much of a text."""

_DIGITS = re.compile(r"\d(?:[\W_]{0,3}\d){12,}")
_CARD = re.compile("[3-6]|2[2-7]")
"""The first digits of payment cards, which are not those of years."""
_SHORTEST_CARD, _LONGEST_CARD = 13, 19
_LONGEST_TEXT = 500
_LONGEST_NUMBER = _LONGEST_CARD * 4
"""Characters of a card number, with up to three between two digits."""


def mask_and_shorten(text: str, *masks: Callable[[str], str]) -> str:
    """Returns `text` after each of `masks`, cut at 500 characters.

    The masks run before the cut and see a bit more, because they would not recognise half a number.
    """
    text = text[: _LONGEST_TEXT + _LONGEST_NUMBER]
    for mask in masks:
        text = mask(text)
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"


def mask_contact(text: str, values: Iterable[str]) -> str:
    """Masks `values`, and all that looks like an email address or a phone number.

    A name that is not among `values` stays, because no program can tell it from another word.
    """
    text = _PHONE.sub(MASK, _EMAIL.sub(MASK, text))
    long_enough = {value for value in values if len(value) >= _SHORTEST_VALUE}
    # Words are looked up in a set, because a name may have thousands of them.
    words = {value.casefold() for value in long_enough if _WORD.fullmatch(value)}
    text = _WORD.sub(lambda word: MASK if word[0].casefold() in words else word[0], text)
    for value in sorted((value for value in long_enough if not _WORD.fullmatch(value)), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", MASK, text, flags=re.IGNORECASE)
    return text


def mask_card_numbers(text: str) -> str:
    """Masks each sequence of digits that holds a card number: 13 to 19 digits whose last one checks the others."""
    return _DIGITS.sub(lambda match: MASK if _holds_card_number(match[0]) else match[0], text)


def _holds_card_number(text: str) -> bool:
    groups = re.findall(r"\d+", text)  # by groups, because an expiry date may follow the card's number
    return any(
        len(number) >= _SHORTEST_CARD and _CARD.match(str(int(number))) and _passes_luhn(number)
        for at in range(len(groups))
        for number in takewhile(lambda number: len(number) <= _LONGEST_CARD, accumulate(groups[at:]))
    )


def _passes_luhn(number: str) -> bool:
    weighted_digits = (int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(number)))
    return sum(value // 10 + value % 10 for value in weighted_digits) % 10 == 0


def mask_social_security(text: str) -> str:
    """Masks all that is written like a social security number."""
    return _SOCIAL_SECURITY.sub(MASK, text)

"""Text that people wrote: what it holds of a person's contact data stands in no field of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import accumulate, takewhile

from .personal_data import MASK

_EMAIL = re.compile(r"[^\s@<>()\"',;:]+@[^\s@<>()\"',;:]+")
_PHONE = re.compile(r"(?<!\w)(\+\d{8,15}|(\+?1[\s.-]?)?\(?\d{3}\)?[\s.-]?\d{3}[\s.-]?\d{4})(?!\w)")
_GAP = "[-\u2010-\u2015\u2212 _/]{1,3}"  # every dash, but no point: amounts have those
_SOCIAL_SECURITY = re.compile(rf"(?<!\d)\d{{3}}{_GAP}\d{{2}}{_GAP}\d{{4}}(?!\d)")
_SHORTEST = 2
_DIGITS = re.compile(r"\d(?:[\W_]{0,3}\d){12,}")
_CARD = re.compile("[3-6]|2[2-7]")
"""What payment cards begin with; years do not."""
_SHORTEST_CARD, _LONGEST_CARD = 13, 19
_LONGEST = 500
_LONGEST_NUMBER = _LONGEST_CARD * 4
"""With what parts its digits."""


def bounded(text: str, *masks: Callable[[str], str]) -> str:
    """`text` as each of `masks` leaves it, cut at 500 characters: a number that the cut would part is masked before."""
    text = text[: _LONGEST + _LONGEST_NUMBER]
    for mask in masks:
        text = mask(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def mask_contact(text: str, known: Iterable[str]) -> str:
    """`text` with the values of `known`, and whatever looks like an email address or a phone number, masked.

    A name that `known` does not hold stays: no program can tell it from another word.
    """
    text = _PHONE.sub(MASK, _EMAIL.sub(MASK, text))
    for value in sorted({value for value in known if len(value) >= _SHORTEST}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", MASK, text, flags=re.IGNORECASE)
    return text


def mask_card_numbers(text: str) -> str:
    """`text` without runs of digits that hold a card number: 13 to 19 of them, the last of which checks the others."""
    return _DIGITS.sub(lambda run: MASK if _holds_card_number(run[0]) else run[0], text)


def _holds_card_number(run: str) -> bool:
    groups = re.findall(r"\d+", run)  # what stands behind a card's number, such as its expiry, is a group of its own
    return any(
        len(number) >= _SHORTEST_CARD and _CARD.match(str(int(number))) and _checks(number)
        for at in range(len(groups))
        for number in takewhile(lambda number: len(number) <= _LONGEST_CARD, accumulate(groups[at:]))
    )


def _checks(number: str) -> bool:
    """Luhn's formula."""
    doubled = (int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(number)))
    return sum(value // 10 + value % 10 for value in doubled) % 10 == 0


def mask_social_security(text: str) -> str:
    """`text` with whatever is written like a social security number masked."""
    return _SOCIAL_SECURITY.sub(MASK, text)

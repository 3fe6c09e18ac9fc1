"""Text that people wrote: what it holds of a person's contact data stands in no field of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import accumulate, takewhile

from .scalars import MASK

_EMAIL = re.compile(r"[^\s@<>()\"',;:]+@[^\s@<>()\"',;:]+")
_PHONE = re.compile(r"(?<!\w)(\+\d{8,15}|(\+?1[\s.-]?)?\(?\d{3}\)?[\s.-]?\d{3}[\s.-]?\d{4})(?!\w)")
_SOCIAL_SECURITY = re.compile(r"(?<!\w)\d{3}[- ]\d{2}[- ]\d{4}(?!\w)")
_SHORTEST = 2
_DIGITS = re.compile(r"\d(?:[ .-]?\d){12,}")
_SHORTEST_CARD, _LONGEST_CARD = 13, 19


def without_contact(text: str, known: Iterable[str]) -> str:
    """`text` with the values of `known`, and whatever looks like an email address or a phone number, masked.

    A name that `known` does not hold stays: no program can tell it from another word.
    """
    text = _PHONE.sub(MASK, _EMAIL.sub(MASK, text))
    for value in sorted({value for value in known if len(value) >= _SHORTEST}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", MASK, text, flags=re.IGNORECASE)
    return text


def without_card_numbers(text: str) -> str:
    """`text` without runs of digits that hold a card number: 13 to 19 of them, the last of which checks the others."""
    return _DIGITS.sub(lambda run: MASK if _holds_card_number(run[0]) else run[0], text)


def _holds_card_number(run: str) -> bool:
    groups = re.findall(r"\d+", run)  # what stands behind a card's number, such as its expiry, is a group of its own
    return any(
        len(number) >= _SHORTEST_CARD and _checks(number)
        for at in range(len(groups))
        for number in takewhile(lambda number: len(number) <= _LONGEST_CARD, accumulate(groups[at:]))
    )


def _checks(number: str) -> bool:
    """Luhn's formula."""
    doubled = (int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(number)))
    return sum(value // 10 + value % 10 for value in doubled) % 10 == 0


def without_social_security(text: str) -> str:
    """`text` with whatever is written like a social security number masked."""
    return _SOCIAL_SECURITY.sub(MASK, text)

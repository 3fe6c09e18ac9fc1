"""Masks personal data inside free text, which people wrote, and where no field of its own holds it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .identity_numbers import cut_between_numbers, mask_identity_numbers
from .personal_data import MASK

# From the start of a word, and without a step back: a long text without any address must take linear time.
_EMAIL = re.compile(r"(?<![^\s@<>()\"',;:])[^\s@<>()\"',;:]++@[^\s@<>()\"',;:]+")
_PHONE = re.compile(r"(?<!\w)(\+\d{8,15}|(\+?1[\s.-]?)?\(?\d{3}\)?[\s.-]?\d{3}[\s.-]?\d{4})(?!\w)")
_WORD = re.compile(r"\w+")
_SHORTEST_VALUE = 2
"""Characters. A shorter value, such as an initial, would mask too much of a text."""

_LONGEST_TEXT = 500
_LONGEST_READ = 8_000
"""Characters of a text that are read. So many numbers may be masked in them that less is shown."""


def mask_and_shorten(text: str) -> str:
    """Returns `text` without card and social security numbers, cut at 500 characters.

    They are masked before the cut, and no cut leaves half of a number, which would not be recognised.
    """
    masked = mask_identity_numbers(cut_between_numbers(text, _LONGEST_READ))
    if len(text) <= _LONGEST_READ and len(masked) <= _LONGEST_TEXT:
        return masked
    return f"{cut_between_numbers(masked, _LONGEST_TEXT - 1)}…"


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

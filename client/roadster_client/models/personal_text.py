"""Masks personal data inside free text, which people wrote, and where no field of its own holds it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .identity_numbers import mask_identity_numbers
from .personal_data import MASK

# From the start of a word, and without a step back: a long text without any address must take linear time.
_EMAIL = re.compile(r"(?<![^\s@<>()\"',;:])[^\s@<>()\"',;:]++@[^\s@<>()\"',;:]+")
_PHONE = re.compile(r"(?<!\w)(\+\d{8,15}|(\+?1[\s.-]?)?\(?\d{3}\)?[\s.-]?\d{3}[\s.-]?\d{4})(?!\w)")
_WORD = re.compile(r"\w+")
_SHORTEST_VALUE = 2
"""Characters. A shorter value, such as an initial, would mask too much of a text."""

_LONGEST_TEXT = 500
_LONGEST_NUMBER = 19 * 4
"""Characters of a card number of 19 digits, with up to three between two of them."""


def mask_and_shorten(text: str) -> str:
    """Returns `text` without card and social security numbers, cut at 500 characters.

    They are masked before the cut, in a bit more of the text, because half a number would not be recognised.
    """
    text = mask_identity_numbers(text[: _LONGEST_TEXT + _LONGEST_NUMBER])
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

"""Text that people wrote: what it holds of a person's contact data stands in no field of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .scalars import MASK

_EMAIL = re.compile(r"[^\s@<>()\"',;:]+@[^\s@<>()\"',;:]+")
_PHONE = re.compile(r"(?<!\w)(\+\d{8,15}|(\+?1[\s.-]?)?\(?\d{3}\)?[\s.-]?\d{3}[\s.-]?\d{4})(?!\w)")
_SOCIAL_SECURITY = re.compile(r"(?<!\w)\d{3}[- ]\d{2}[- ]\d{4}(?!\w)")
_SHORTEST = 2


def without_contact(text: str, known: Iterable[str]) -> str:
    """`text` with the values of `known`, and whatever looks like an email address or a phone number, masked.

    A name that `known` does not hold stays: no program can tell it from another word.
    """
    text = _PHONE.sub(MASK, _EMAIL.sub(MASK, text))
    for value in sorted({value for value in known if len(value) >= _SHORTEST}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", MASK, text, flags=re.IGNORECASE)
    return text


def without_social_security(text: str) -> str:
    """`text` with whatever is written like a social security number masked."""
    return _SOCIAL_SECURITY.sub(MASK, text)

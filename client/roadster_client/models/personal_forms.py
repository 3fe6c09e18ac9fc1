"""The forms of names, email addresses and telephone numbers in a request, which people often paste.

Blanks and invisible characters at the ends of a text go. Within a name or an address nothing is repaired, because they
say who the person is. A telephone number is read as the plain number.
"""

from __future__ import annotations

import re

from roadster_client.visible_text import is_visible, strip_invisible, trim

_LABEL = r"[^\W_](?:[^\W_]|-)*(?<!-)"
_EMAIL = re.compile(rf"(?!\.)[^\s@\"(),:;<>\[\]\\]{{1,64}}@(?:{_LABEL}\.)+(?!.\Z)(?!\d+\Z){_LABEL}")
"""One @, at least two labels behind it, and a top-level domain that is no number. Letters of every script are valid."""

_LONGEST_EMAIL = 254

_FEWEST_DIGITS = 7
"""Digits of a telephone number. A host that fills in 0 has asked nobody for one."""

_DASHES = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")


def parse_name(text: str) -> str:
    """Returns a person's name without blanks at its ends. Raises ValueError where nothing is left."""
    name = trim(text)
    if not name:
        raise ValueError("must not be blank")
    return name


def parse_email(text: str) -> str:
    """Returns an email address without blanks at its ends. Raises ValueError for a text that is no address."""
    address = trim(text)
    if len(address) > _LONGEST_EMAIL or _EMAIL.fullmatch(address) is None or not _is_typed(address):
        raise ValueError("expected an email address")
    return address


def plain_phone(text: str) -> str:
    """Returns a telephone number with plain spaces and hyphens, without invisible characters and a link's `tel:`."""
    number: str = strip_invisible(text)
    return re.sub(r"^tel:\s*", "", _DASHES.sub("-", number).strip(), flags=re.IGNORECASE)


def parse_any_phone(text: str) -> str:
    """Returns a telephone number of any country as `plain_phone` does.

    Raises ValueError for a text with fewer than seven digits, and for digits other than 0 to 9.
    """
    number = plain_phone(text)
    digits = [character for character in number if character.isdigit()]
    if not digits or not all(digit.isascii() for digit in digits):
        raise ValueError("expected a telephone number in the digits 0 to 9")
    if len(digits) < _FEWEST_DIGITS:
        raise ValueError(f"expected a telephone number, which has at least {_FEWEST_DIGITS} digits")
    return number


def _is_typed(text: str) -> bool:
    """Tells whether a text has only visible characters, and no digits of other scripts."""
    return all(is_visible(character) and (character.isascii() or not character.isdigit()) for character in text)

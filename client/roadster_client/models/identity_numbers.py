"""Masks payment card and social security numbers inside free text, for every reader and before it is stored."""

from __future__ import annotations

import re
import unicodedata

from .personal_data import MASK
from .values import VIN_CHARACTER

_BETWEEN = r"(?:[^\w+()]|_){1,3}"
"""Between two groups of a card number there is no letter, and no sign of a telephone number."""

_START = rf"(?<![0-9+])(?=[3-6]|2(?:{_BETWEEN})?[2-7])"
"""The first digits of payment cards, which are not those of years."""

_FOURS = rf"[0-9]{{4}}(?:(?:{_BETWEEN})?[0-9]{{4}})"
_PRINTED_CARD = re.compile(
    _START
    + "".join(
        f"(?=({form}(?![0-9]))?)"
        for form in (
            "[0-9]{13,19}",
            rf"{_FOURS}{{2}}{_BETWEEN}[0-9]{{1,3}}",
            rf"{_FOURS}{{3}}",
            rf"{_FOURS}{{3}}{_BETWEEN}[0-9]{{1,3}}",
            rf"[0-9]{{4}}{_BETWEEN}[0-9]{{6}}{_BETWEEN}[0-9]{{4,5}}",
            rf"[0-9]{{4}}(?:{_BETWEEN}[0-9]{{3}}){{3}}",
        )
    )
)
"""13 to 19 digits in one, or in the groups that are printed on cards. Several telephone numbers or order ids in a row
have other groups. Each group of the match may be a card number."""

_ONE_BY_ONE = re.compile(
    _START
    + "".join(rf"(?=((?:[0-9]{_BETWEEN}){{{count}}}[0-9](?![0-9]))?)" for count in range(12, 19))
    + rf"[0-9](?:{_BETWEEN}[0-9](?![0-9])){{12,}}"
)
"""The same for digits that stand one by one. It takes all of them, so that a long row needs linear time."""

_DIGITS = re.compile(r"\d(?:[\W_]{0,3}\d){12,}")
"""Digits that may hold a card number, and behind it an expiry date and a code."""

_IDENTIFIER = re.compile(
    rf"""(?<![^\W_])(?:
        (?=[0-9]*[A-Z]){VIN_CHARACTER}{{17}}
        |[0-9A-F]{{8}}-(?:[0-9A-F]{{4}}-){{3}}[0-9A-F]{{12}}
        |(?=[0-9]*[A-F])[0-9A-F]{{24,}}
    )(?![^\W_])""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
"""A VIN, a UUID or a digest. The digits in it are no card's."""

_GAP = "[-\u2010-\u2015\u2212\ufe58\ufe63\uff0d _/]{1,3}"  # every dash, and no point, which amounts have
_SOCIAL_SECURITY = re.compile(rf"(?<!\d)\d{{3}}{_GAP}\d{{2}}{_GAP}\d{{4}}(?!\d)")

_NINE_DIGITS = r"(?<!\d)(?:\d{9}|\d{3}[\W_]\d{2}[\W_]\d{4})(?!\d)"
_WORDS = r"(?<![^\W_])(?:s\.?\s?s\.?\s?[n#:]|social|soc\.?\s?sec|itin|tax\s?id)"
_NAMED_SOCIAL_SECURITY = re.compile(
    rf"{_WORDS}\D{{0,40}}?(?:{_NINE_DIGITS}(?:[\W_]|and|y){{0,7}})+|{_NINE_DIGITS}[^\d,;.\n]{{1,20}}?{_WORDS}",
    re.IGNORECASE,
)
"""One or several numbers behind words that name them, or one in front of such words."""


def mask_identity_numbers(text: str) -> str:
    """Masks all that is written like a payment card number or a social security number.

    A card number has 13 to 19 digits of any script, and the last one checks the others. Nine digits without separators
    are a social security number only where words beside them say so.
    """
    text = _NAMED_SOCIAL_SECURITY.sub(lambda words: re.sub(_NINE_DIGITS, MASK, words[0]), text)
    for cards in (_PRINTED_CARD, _ONE_BY_ONE):
        text = _mask_cards(text, cards)
    return _SOCIAL_SECURITY.sub(MASK, text)


def _mask_cards(text: str, cards: re.Pattern[str]) -> str:
    if _DIGITS.search(text) is None:
        return text
    # Each character becomes one, so that a place is the same in both texts.
    digits = {ord(letter): str(unicodedata.decimal(letter)) for letter in set(text) if letter.isdecimal()}
    plain = _IDENTIFIER.sub(lambda identifier: "x" * len(identifier[0]), text.translate(digits))
    parts, end = [], 0
    for match in cards.finditer(plain):
        if match.start() >= end and any(map(_passes_luhn, filter(None, match.groups()))):
            parts += [text[end : match.start()], MASK]
            row = _DIGITS.match(plain, match.start())
            end = row.end() if row else match.end()
    return "".join([*parts, text[end:]])


def _passes_luhn(number: str) -> bool:
    digits = map(int, re.sub("[^0-9]", "", number)[::-1])
    weighted_digits = (digit * (1 + at % 2) for at, digit in enumerate(digits))
    return sum(value // 10 + value % 10 for value in weighted_digits) % 10 == 0

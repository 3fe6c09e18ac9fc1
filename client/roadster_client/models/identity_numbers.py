"""Masks payment card and social security numbers inside free text, for every reader and before it is stored.

Card numbers are searched in rows: groups of digits with a few signs between them. The layout of the groups, the signs
and the check digit decide together, because prices and telephone numbers stand in rows as well.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import NamedTuple

from .personal_data import MASK
from .values import VIN_CHARACTER

_FEWEST_DIGITS, _MOST_DIGITS = 13, 19
"""Digits of a card number."""

_FEWEST_IDENTITY_DIGITS = 9
"""Digits of a social security number, which has fewer than a card number."""
_HAS_IDENTITY_DIGITS = re.compile(rf"(?:\d\D*+){{{_FEWEST_IDENTITY_DIGITS}}}")

_FILLER = "\x7f"
"""Stands for the rest of a sign of several characters in a plain text, so that all places stay the same."""

_GAP = rf"(?:(?:[^\w{_FILLER}]|_){_FILLER}*+)"
_ROW = re.compile(rf"[0-9]++(?:{_GAP}{{1,3}}[0-9]++)*+")
_HAS_CARD_DIGITS = re.compile(rf"[0-9](?:{_GAP}{{0,3}}[0-9]){{{_FEWEST_DIGITS - 1}}}")
_GROUP = re.compile(r"[0-9]+")

_MARKUP = re.compile(r"<[^<>]{1,12}>|&#?\w{2,8};|%(?:20|2[BDEF]|0[9AD]|C2%A0)", re.ASCII | re.IGNORECASE)
"""A blank or a dash, as HTML and addresses of pages write it."""

_IDENTIFIER = re.compile(
    rf"""(?<![^\W_])(?:
        (?=[0-9]*[A-Z]){VIN_CHARACTER}{{17}}
        |[0-9A-F]{{8}}-(?:[0-9A-F]{{4}}-){{3}}[0-9A-F]{{12}}
        |(?=[0-9]*[A-F])[0-9A-F]{{24,}}
    )(?![^\W_])""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
"""A VIN, a UUID or a digest. The digits in it are no card's."""

_CARD_START = re.compile("[3-6]|2[2-7]")
"""The first digits of payment cards, which are not those of years."""

_FOURS = {(16,), (4, 12), (8, 8), (12, 4), (4, 4, 8), (4, 8, 4), (8, 4, 4), (4, 4, 4, 4)}
_LAYOUTS = {
    *((digits,) for digits in range(_FEWEST_DIGITS, _MOST_DIGITS + 1)),
    *((1,) * digits for digits in range(_FEWEST_DIGITS, _MOST_DIGITS + 1)),
    *_FOURS,
    *((4, 4, 4, rest) for rest in (1, 2, 3)),
    *((*groups, rest) for groups in _FOURS for rest in (1, 2, 3)),
    (4, 6, 4),
    (4, 6, 5),
    (4, 3, 3, 3),
}
"""The sizes of the groups in which card numbers are printed and typed."""

_NETWORKS = {
    13: re.compile("4"),
    14: re.compile("3[0689]"),
    15: re.compile("3[47]"),
    16: re.compile("4|5[1-5]|2[2-7]|6[0245]|35"),
    19: re.compile("4|6"),
}
"""The first digits of the networks' card numbers by length. Other layouts count only with these."""

_CARD_WORD = re.compile(r"\b(?:cards?|cc|visa|master\s?card|amex|american express|discover|diners)\b", re.IGNORECASE)
_NEAR = 40
"""Characters between a word and the number that it names."""

_LIST_SIGN = re.compile("[,;|/$€£]")
"""Between two groups it makes them members of a list, such as prices. Nobody types a card number with it."""
_MOST_PRICE_DIGITS = 5
_AREA_CODE = 3
"""Digits. Groups of a telephone number that begin with a country's code have fewer."""
_PHONE = re.compile(r"1?[2-9][0-9]{2}[2-9][0-9]{6}")

_SPACE = "[-\u2010-\u2015\u2212\ufe58\ufe63\uff0d _/]{1,3}"  # every dash, and no point, which amounts have
_SOCIAL_SECURITY = re.compile(
    rf"(?<!\d)\d{{3}}{_SPACE}\d{{2}}{_SPACE}\d{{4}}(?!\d)|(?<![\d.,])\d{{3}}\.\d{{2}}\.\d{{4}}(?![.,]?\d)"
)

_NINE_DIGITS = (
    r"(?<!\d)(?:\d{9}|\d{3}[\W_]\d{2}[\W_]\d{4}|\d{3}[\W_]\d{3}[\W_]\d{3}|\d{3}[\W_]\d{6}"
    r"|(?<!\d[\W_])\d(?:[\W_]\d){8}(?![\W_]\d))(?!\d)"
)
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
    if len(text) < _FEWEST_IDENTITY_DIGITS or _HAS_IDENTITY_DIGITS.search(text) is None:  # most texts
        return text
    text = _NAMED_SOCIAL_SECURITY.sub(lambda words: re.sub(_NINE_DIGITS, MASK, words[0]), text)
    return _SOCIAL_SECURITY.sub(MASK, _mask_cards(text))


def cut_between_numbers(text: str, length: int) -> str:
    """Returns the first `length` characters. A row of digits that goes on behind them is left out whole."""
    for row in _ROW.finditer(_plain(text[: length + _NEAR])):
        if row.start() < length < row.end():
            return text[: row.start()]
    return text[:length]


def _mask_cards(text: str) -> str:
    plain = _plain(text)
    if _HAS_CARD_DIGITS.search(plain) is None:
        return text
    parts, end = [], 0
    for row in _ROW.finditer(plain):
        start = _Row(plain, row).card_start()
        if start is not None:
            # An expiry date and a code may follow, so all of the row is masked.
            parts += [text[end:start], MASK]
            end = row.end()
    return "".join([*parts, text[end:]])


def _plain(text: str) -> str:
    """Returns the text with plain digits and signs. Each character stays in its place."""
    if not text.isascii():
        digits = {ord(letter): str(unicodedata.decimal(letter)) for letter in set(text) if letter.isdecimal()}
        text = text.translate(digits)
    text = _MARKUP.sub(lambda sign: " ".ljust(len(sign[0]), _FILLER), text.replace(_FILLER, " "))
    return _IDENTIFIER.sub(lambda identifier: "x" * len(identifier[0]), text)


class _Groups(NamedTuple):
    """Groups of digits that may be one card number, with the signs between them."""

    digits: str
    sizes: tuple[int, ...]
    gaps: list[str]

    def is_printed(self, *, is_named: bool) -> bool:
        """Returns whether cards are printed or typed like this, and no list is."""
        if any("+" in gap for gap in self.gaps) and set(self.gaps) != {"+"}:
            return False  # telephone numbers of several countries
        return self.sizes in _LAYOUTS and (is_named or not self.is_list)

    @property
    def is_list(self) -> bool:
        return any(map(_LIST_SIGN.search, self.gaps)) or set(self.gaps) == {"\n"}

    def is_unusual(self, *, is_named: bool) -> bool:
        """Returns whether it is a card number of a known network in other groups, and nothing else."""
        network = _NETWORKS.get(len(self.digits))
        if network is None or not network.match(self.digits) or self.has_phone(is_named=is_named):
            return False
        return is_named or (len(set(self.gaps)) == 1 and not self.is_list and not self.are_prices)

    @property
    def are_prices(self) -> bool:
        return " " in self.gaps[0] and all(
            size <= _MOST_PRICE_DIGITS and not group.startswith("0")
            for size, group in zip(self.sizes, self.texts, strict=True)
        )

    def has_phone(self, *, is_named: bool) -> bool:
        """Returns whether some of the groups are a telephone number. Behind a card's name it needs its three groups."""
        if "3,3,4" in ",".join(map(str, self.sizes)):
            return True
        return not is_named and (self.sizes[0] < _AREA_CODE or any(map(_PHONE.fullmatch, self.texts)))

    @property
    def texts(self) -> list[str]:
        ends = [*accumulate(self.sizes, initial=0)]
        return [self.digits[start:end] for start, end in pairwise(ends)]


class _Row:
    """One row of a plain text."""

    def __init__(self, plain: str, match: re.Match[str]) -> None:
        self._plain = plain
        self._places = [group.span() for group in _GROUP.finditer(plain, match.start(), match.end())]
        self._digits = "".join(plain[start:end] for start, end in self._places)
        self._offsets = [*accumulate((end - start for start, end in self._places), initial=0)]
        self._is_named = _CARD_WORD.search(plain, max(0, match.start() - _NEAR), match.start()) is not None

    def card_start(self) -> int | None:
        """Returns where the first card number begins in the text."""
        if len(self._digits) < _FEWEST_DIGITS:
            return None
        row_end = len(self._places)
        for first, (start, _) in enumerate(self._places):
            if any(self._is_card(first, behind, row_end) for behind in self._ends(first)):
                # The rest of the row is a row of its own, and may be a card number in other groups.
                is_card_before = first in self._ends(0) and self._is_card(0, first, first)
                return self._places[0][0] if is_card_before else start
        return None

    def _ends(self, first: int) -> Iterator[int]:
        """Yields the groups behind which a number may end that begins with the group `first`."""
        is_phone = self._plain[self._places[first][0] - 1 : self._places[first][0]] == "+"
        if is_phone or not _CARD_START.match(self._digits, self._offsets[first]):
            return
        for behind in range(first + 1, len(self._offsets)):
            if self._offsets[behind] - self._offsets[first] > _MOST_DIGITS:
                return
            if self._offsets[behind] - self._offsets[first] >= _FEWEST_DIGITS:
                yield behind

    def _is_card(self, first: int, behind: int, row_end: int) -> bool:
        digits = self._digits[self._offsets[first] : self._offsets[behind]]
        if not _passes_luhn(digits):
            return False
        places = self._places[first:behind]
        groups = _Groups(
            digits,
            tuple(end - start for start, end in places),
            [self._plain[left[1] : right[0]].replace(_FILLER, "") for left, right in pairwise(places)],
        )
        if groups.is_printed(is_named=self._is_named):
            return True
        is_whole = first == 0 and behind == row_end
        return (is_whole or self._is_named) and groups.is_unusual(is_named=self._is_named)


_DOUBLED = bytes.maketrans(b"0123456789", bytes(value // 10 + value % 10 for value in range(0, 20, 2)))


def _passes_luhn(digits: str) -> bool:
    number = digits.encode()[::-1]
    plain, doubled = number[::2], number[1::2]
    return (sum(plain) - ord("0") * len(plain) + sum(doubled.translate(_DOUBLED))) % 10 == 0

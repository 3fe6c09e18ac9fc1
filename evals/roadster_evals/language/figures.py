"""The numbers in a text."""

from __future__ import annotations

import re

_NUMBER = re.compile(
    r"(?<![A-Za-z0-9])(?<![A-Za-z]-)(?:USD|EUR)?"
    r"(\d{1,3}(?:\.\d{3})+,\d\d|\d[\d,]*(?:\.\d+)?)"
    r"(k|mi|miles|mpg|USD|EUR|bytes|B|mo)?(?![A-Za-z0-9])(?!\.\d)",
    re.IGNORECASE,
)
"""A number that stands for itself: not a digit of a VIN, and not the 5 of CX-5. A currency or a unit may touch it."""

_EUROPEAN = re.compile(r"[\d.]+,\d{1,2}")
"""A number with a decimal comma. A comma before three digits divides thousands."""

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_TEENS = ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_VALUES = {
    **{word: number for number, word in enumerate((*WORDS, *_TEENS), 1)},
    **{word: 10 * number for number, word in enumerate(_TENS, 2)},
}
_ANY_WORD = rf"(?:{'|'.join((*sorted(_VALUES, key=len, reverse=True), 'hundred', 'thousand'))})"
_IN_WORDS = re.compile(rf"\b{_ANY_WORD}(?:(?:(?:(?<=hundred)|(?<=thousand)) and)?[ -]{_ANY_WORD})*\b", re.IGNORECASE)

_ADVICE = re.compile(
    rf"(?:\b\d+|\b{_ANY_WORD}) "
    r"(?:seconds?|minutes?|hours?|options?|ways|choices|things|steps|questions|attempts?|tries)\b"
    r"|\b24/7\b",
    re.IGNORECASE,
)
_ITEM = re.compile(r"^\s*\d+[.)] ", re.MULTILINE)


def figures_of(text: str) -> set[float]:
    """Returns the numbers that are written in digits."""
    return {
        _value(digits.strip(",")) * (1000 if unit.casefold() == "k" else 1) for digits, unit in _NUMBER.findall(text)
    }


def word_figures_of(text: str) -> set[float]:
    """Returns the numbers that are written as words."""
    return {_value_of_words(re.split(r"[\s-]", words.casefold())) for words in _IN_WORDS.findall(text)}


def without_advice(text: str) -> str:
    """Returns the text without the numbers that are no facts: of a list's items, of times to wait, and of options."""
    return _ADVICE.sub("", " ".join(_ITEM.sub("", text).split()))


def _value(digits: str) -> float:
    if _EUROPEAN.fullmatch(digits):
        return float(digits.replace(".", "").replace(",", "."))
    return float(digits.replace(",", ""))


def _value_of_words(words: list[str]) -> float:
    total, part = 0, 0
    for word in (each for each in words if each != "and"):
        if word == "thousand":
            total, part = total + 1000 * max(part, 1), 0
        else:
            part = 100 * max(part, 1) if word == "hundred" else part + _VALUES[word]
    return float(total + part)

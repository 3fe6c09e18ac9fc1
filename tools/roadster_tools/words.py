"""The words of a text in the form in which searches compare them."""

from __future__ import annotations

import unicodedata

_APOSTROPHES = "'`\u2018\u2019\u02bc"
_PLAIN_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe"})
"""Small letters that Unicode does not take apart into a plain letter and an accent. One is the i without a dot."""


def plain_words(text: str) -> list[str]:
    """Returns the words of `text` without case, accents, apostrophes and punctuation.

    The store holds the words of customers' names in this form, so a change of it needs a new index.
    """
    letters = unicodedata.normalize("NFKD", text).casefold().translate(_PLAIN_LETTERS)
    plain = "".join(
        letter for letter in letters if letter not in _APOSTROPHES and unicodedata.category(letter)[0] != "M"
    )
    return "".join(letter if letter.isalnum() else " " for letter in plain).split()

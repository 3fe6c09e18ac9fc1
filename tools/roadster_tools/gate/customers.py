"""The port to the customers that a dealer is known to have, and the forms in which their contact data are compared."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal, Protocol

from roadster_tools.words import plain_words

from .inbox import ReceivedEvent

ContactKind = Literal["email", "phone", "name"]

_SHORTEST_PHONE, _LONGEST_PHONE = 7, 15
"""Digits. E.164 allows 15."""
_EXTENSION = re.compile(r"(?<=\d)\W*(?:x|ext|#|;|p|w)|(?<=\d{4})\s*,", re.IGNORECASE)
"""Where an extension begins, or a pause in dialling, which is a comma, "p" or "w"."""
_ADDRESS = re.compile(r"(?:.*<)?\s*(?:mailto:)*([^<>?]*)[>?]?.*", re.DOTALL)
"""An address by itself, in a link, or in angle brackets behind a name."""
_DIALLED_PLUS = re.compile("^(?:011|00)")

MOST_NAME_WORDS = 10
_LONGEST_WORD = 30
"""Characters. The rest of a longer word is not compared."""


def normal_email(text: str) -> str | None:
    """Returns an email address as it is compared, or None for a text that is none."""
    address = _ADDRESS.sub(r"\1", text.strip().casefold(), count=1).strip()
    return address if "@" in address.strip("@") else None


def normal_phone(text: str) -> str | None:
    """Returns the digits of a telephone number with its country code, or None for a text that is none.

    Ten digits without a plus sign are an American number. An extension, or what is
    dialled after a pause, is left out.
    """
    number = _EXTENSION.split(unicodedata.normalize("NFKC", text), maxsplit=1)[0]
    if "+" in number:
        number = number.replace("(0)", "")
    digits = re.sub("[^0-9]", "", number)
    if "+" not in number:
        digits = f"1{digits}" if re.fullmatch("[2-9][0-9]{9}", digits) else _DIALLED_PLUS.sub("", digits)
    return digits if _SHORTEST_PHONE <= len(digits) <= _LONGEST_PHONE else None


def name_words(text: str) -> tuple[str, ...]:
    """Returns the words of a name as they are compared: without case, accents and apostrophes, each once."""
    return tuple(dict.fromkeys(word[:_LONGEST_WORD] for word in plain_words(text)))


@dataclass(frozen=True)
class CustomerQuery:
    """A search by one kind of contact data. `values` are normal: an address, a number, or the words of a name."""

    kind: ContactKind
    values: tuple[str, ...]


@dataclass(frozen=True)
class CustomerPlace:
    """The place of a customer in the order of a search: by the contact data that match, then by the id."""

    value: str
    customer_id: str


@dataclass(frozen=True)
class CustomerMatch:
    """A customer who matches. `newest` is their newest event, or None if none was received."""

    place: CustomerPlace
    newest: ReceivedEvent | None


SearchGap = Literal["indexing", "earlier_key"]
"""The reason why customers may be missing: events are not indexed yet, or a customer was noted under an earlier key."""


@dataclass(frozen=True)
class CustomerMatches:
    customers: list[CustomerMatch]
    gap: SearchGap | None


class CustomerIndex(Protocol):
    """The known customers of one dealer for one caller. Personal data are masked as in the events."""

    async def search(self, query: CustomerQuery, *, after: CustomerPlace | None = None, most: int) -> CustomerMatches:
        """Returns up to `most` customers after the place `after`. Raises Unavailable."""

    async def note(self, customer_id: int, *, email: str, phone: str | None = None) -> None:
        """Records a customer of the dealer if that is possible and otherwise does nothing, so that the call can go on.

        The email address and the telephone number are stored only as keyed hashes.
        """

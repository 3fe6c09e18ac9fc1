"""Sealed cursors: opaque text that only this server can make, and that works for one caller and one search.

Sealing is AES-SIV (RFC 5297), which needs no nonce. The same text is sealed to the same result each time, so a script's
answers are repeatable.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from .answers import AnswerRows, ToolAnswer
from .failures import InvalidArguments


class Unsealable(ValueError):
    """The text was not sealed with this key for this binding."""


@dataclass(frozen=True)
class Seal:
    """Encrypts and authenticates text. A text opens only under the `binding` that it was sealed for."""

    cipher: AESSIV
    binding: bytes

    @classmethod
    def bound_to(cls, key: bytes, *binding: str) -> Seal:
        """Returns the seal of `key` (32 bytes) for a binding, such as a caller and a dealer."""
        return cls(AESSIV(key), "\0".join(binding).encode())

    def seal(self, text: str) -> str:
        return base64.urlsafe_b64encode(self.seal_bytes(text.encode())).decode().rstrip("=")

    def seal_bytes(self, content: bytes) -> bytes:
        """Returns the content of a file, sealed. It must not be empty."""
        return self.cipher.encrypt(content, [self.binding])

    def open_bytes(self, sealed_content: bytes) -> bytes:
        """Returns the content that was sealed. Raises Unsealable."""
        try:
            return self.cipher.decrypt(sealed_content, [self.binding])
        except (ValueError, InvalidTag):
            raise Unsealable from None

    def open(self, token: str) -> str:
        """Returns the text that was sealed. Raises Unsealable."""
        try:
            ciphertext = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            return self.cipher.decrypt(ciphertext, [self.binding]).decode()
        except (ValueError, InvalidTag):
            raise Unsealable from None


_ItemT = TypeVar("_ItemT")
_RowT = TypeVar("_RowT", bound=ToolAnswer)


@dataclass(frozen=True)
class Cursors:
    """The cursors of one search. `digest` tells them from those of the caller's other searches at the dealer."""

    sealer: Seal
    digest: str

    @classmethod
    def for_search(cls, sealer: Seal, *search: object) -> Cursors:
        """Returns the cursors of the search that `search` identifies: the tool's name, then all filters."""
        return cls(sealer, hashlib.sha256(repr(search).encode()).hexdigest()[:16])

    def seal(self, position: str) -> str:
        return self.sealer.seal(f"{self.digest} {position}")

    def position(self, cursor: str) -> str:
        """Returns the position that was sealed. Raises InvalidArguments for the cursor of anything else."""
        try:
            digest, position = self.sealer.open(cursor).split(" ", 1)
        except Unsealable:
            raise InvalidArguments(
                {"cursor": "is not a next_cursor that you got here; start again without it"}
            ) from None
        if digest != self.digest:
            raise InvalidArguments({"cursor": "is of another search; repeat its filters, or start again without it"})
        return position


@dataclass(frozen=True)
class Page:
    """The part of a list that one call returns: `limit` rows from `start`. The upstream returns the whole list."""

    cursors: Cursors
    start: int
    limit: int | None

    @classmethod
    def at(cls, cursor: str | None, limit: int | None, sealer: Seal, *search: object) -> Page:
        """Returns the page that `cursor` points to, or the first one.

        Raises InvalidArguments. Call it before you ask the upstream for the list, because a refused call sends nothing.
        """
        cursors = Cursors.for_search(sealer, *search)
        return cls(cursors, 0 if cursor is None else int(cursors.position(cursor)), limit)

    async def select(
        self, items: Sequence[_ItemT], make_row: Callable[[_ItemT], _RowT]
    ) -> tuple[list[_RowT], str | None]:
        """Returns the rows of this page of all `items`, and the cursor of the next one where there are more items.

        The page ends before its limit where its rows are long.
        """
        rows = await AnswerRows[_RowT](self.limit).fill(map(make_row, items[self.start :]))
        end = self.start + len(rows)
        return rows, self.cursors.seal(str(end)) if end < len(items) else None

"""Sealing: opaque text that only this server can make, and that opens only for what it was made for.

AES-SIV (RFC 5297) takes no nonce: one text is sealed alike each time, so that a script's answers repeat.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from .failures import InvalidArguments


class Unsealable(ValueError):
    """The text was not sealed with this key for this binding."""


@dataclass(frozen=True)
class Seal:
    """AES-SIV under `key` (32 bytes). A text opens only under the `binding` that it was sealed for."""

    cipher: AESSIV
    binding: bytes

    @classmethod
    def bound_to(cls, key: bytes, *binding: str) -> Seal:
        return cls(AESSIV(key), "\0".join(binding).encode())

    def seal(self, text: str) -> str:
        sealed = self.cipher.encrypt(text.encode(), [self.binding])
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, sealed: str) -> str:
        """The text. Raises Unsealable."""
        try:
            raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
            return self.cipher.decrypt(raw, [self.binding]).decode()
        except (ValueError, InvalidTag):
            raise Unsealable from None


_RowT = TypeVar("_RowT")


@dataclass(frozen=True)
class Cursors:
    """The cursors of one search. `digest` tells it from others of the same caller and dealer."""

    sealer: Seal
    digest: str

    @classmethod
    def of(cls, seal: Seal, *search: object) -> Cursors:
        return cls(seal, hashlib.sha256(repr(search).encode()).hexdigest()[:16])

    def seal(self, position: str) -> str:
        return self.sealer.seal(f"{self.digest} {position}")

    def position(self, cursor: str) -> str:
        """What `made` was given. Raises InvalidArguments for any other cursor."""
        try:
            digest, position = self.sealer.open(cursor).split(" ", 1)
        except Unsealable:
            raise InvalidArguments(
                {"cursor": "is not one that you got for this dealer; start again without it"}
            ) from None
        if digest != self.digest:
            raise InvalidArguments({"cursor": "is of another search; repeat its filters, or start again without it"})
        return position


@dataclass(frozen=True)
class Part:
    """One call's part of a list that the upstream gives whole: `limit` rows from `start` on."""

    cursors: Cursors
    start: int
    limit: int

    @classmethod
    def asked_for(cls, cursor: str | None, limit: int, seal: Seal, *search: object) -> Part:
        """Raises InvalidArguments. To be made before the list is asked for: what is refused sends nothing."""
        cursors = Cursors.of(seal, *search)
        return cls(cursors, 0 if cursor is None else int(cursors.position(cursor)), limit)

    def of(self, rows: Sequence[_RowT]) -> tuple[Sequence[_RowT], str | None]:
        """The part of `rows`, and the cursor of the next one where there is more."""
        end = self.start + self.limit
        return rows[self.start : end], self.cursors.seal(str(end)) if end < len(rows) else None

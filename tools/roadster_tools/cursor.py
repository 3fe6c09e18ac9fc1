"""Opaque cursors, bound to the caller and the dealer that they were handed out for."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .failures import InvalidArguments

_NONCE = 12


@dataclass(frozen=True)
class CursorKey:
    """The key of all cursors, derived from a secret that the server has anyway.

    So a cursor outlives the process and is good in every replica with the same configuration.
    """

    secret: str = field(repr=False)

    def bound_to(self, caller: str, dealer: str) -> Cursors:
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"roadster-mcp cursor v1").derive(
            self.secret.encode()
        )
        return Cursors(AESGCM(key), f"{caller}\0{dealer}".encode())


class Cursors:
    """Seals and opens positions for one caller at one dealer."""

    def __init__(self, cipher: AESGCM, binding: bytes) -> None:
        self._cipher = cipher
        self._binding = binding

    def seal(self, position: str) -> str:
        nonce = os.urandom(_NONCE)
        sealed = self._cipher.encrypt(nonce, position.encode(), self._binding)
        return base64.urlsafe_b64encode(nonce + sealed).decode().rstrip("=")

    def open(self, cursor: str) -> str:
        """The sealed position. Raises InvalidArguments for a cursor that was not made for this caller and dealer."""
        try:
            sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], self._binding).decode()
        except (ValueError, InvalidTag):
            raise InvalidArguments(
                {"cursor": "is not one that this caller got for this dealer; start again without it"}
            ) from None

"""Sealing: opaque text that only this server can make, and that opens only for what it was made for.

AES-SIV (RFC 5297) takes no nonce: one text is sealed alike each time, so that a script's answers repeat.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV


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

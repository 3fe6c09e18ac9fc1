"""Sealing: opaque text that only this server can make, and that opens only for what it was made for."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class Unsealable(ValueError):
    """The text was not sealed with this key for this binding."""


@dataclass(frozen=True)
class Seal:
    """AES-256-GCM under `key` (32 bytes). A text opens only under the `binding` that it was sealed for."""

    cipher: AESGCM
    binding: bytes

    @classmethod
    def bound_to(cls, key: bytes, *binding: str) -> Seal:
        return cls(AESGCM(key), "\0".join(binding).encode())

    def seal(self, text: str) -> str:
        nonce = os.urandom(_NONCE)
        sealed = self.cipher.encrypt(nonce, text.encode(), self.binding)
        return base64.urlsafe_b64encode(nonce + sealed).decode().rstrip("=")

    def open(self, sealed: str) -> str:
        """The text. Raises Unsealable."""
        try:
            raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
            return self.cipher.decrypt(raw[:_NONCE], raw[_NONCE:], self.binding).decode()
        except (ValueError, InvalidTag):
            raise Unsealable from None

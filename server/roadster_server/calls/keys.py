"""Keys for what this server seals and hashes, derived from a secret that it has anyway: Roadster's API key.

So they need no setting, outlive the process, and are the same in every replica of one configuration.
A new API key ends cursors, open confirmations and replays; audit records stay verifiable, because
their chain needs no key.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


@dataclass(frozen=True, repr=False)
class Keys:
    """One key for each purpose, so that nothing made for one is good for another."""

    cursors: bytes
    confirmations: bytes
    results: bytes
    hashes: bytes
    id: bytes

    @classmethod
    def derive(cls, secret: str) -> Keys:
        return cls(*(_derived(secret, purpose) for purpose in ("cursors", "confirmations", "results", "hashes", "id")))

    def hash(self, value: Any) -> str:
        """A keyed hash of a JSON value: equal values have equal hashes, and nobody without the key can guess one."""
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
        return hmac.new(self.hashes, text.encode(), "sha256").hexdigest()[:32]

    def marked_hash(self, value: Any) -> str:
        """The same, told apart from one that was made under another API key: those cannot be compared."""
        return f"{self._mark}{self.hash(value)}"

    def made(self, marked_hash: str) -> bool:
        """Whether `marked_hash` is of these keys."""
        return marked_hash.startswith(self._mark)

    @property
    def deployment(self) -> str:
        """What the processes of one deployment have in common at a Redis that others use too."""
        return f"roadster-mcp:{self.id.hex()[:16]}"

    @property
    def _mark(self) -> str:
        return f"{self.id.hex()[:16]}:"


def _derived(secret: str, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"roadster-mcp {purpose} v1".encode()).derive(
        secret.encode()
    )

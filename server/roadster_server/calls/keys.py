"""The server's own keys for seals and hashes, derived from Roadster's API key.

So they need no setting, survive a restart, and are the same in every process of one configuration. A new API key
invalidates cursors, open confirmations and replays, and the store indexes contact data anew under it. Audit records
stay verifiable, because their chain needs no key.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_READING = 4
"""The way in which arguments are read before they are hashed. Raise it when the same arguments get another hash. Then a
write of the version before has an unknown outcome for its key, and is not taken for a write with other arguments."""


@dataclass(frozen=True, repr=False)
class Keys:
    """One key for each purpose, so that a text sealed for one purpose is not valid for another."""

    cursors: bytes
    confirmations: bytes
    results: bytes
    hashes: bytes
    id: bytes
    contacts: bytes
    people: bytes
    files: bytes
    approvals: bytes

    @classmethod
    def derive(cls, secret: str) -> Keys:
        """Derives all keys from `secret`."""
        purposes = ("cursors", "confirmations", "results", "hashes", "id", "contacts", "people", "files", "approvals")
        return cls(*(_derive(secret, purpose) for purpose in purposes))

    def hash(self, value: Any) -> str:
        """Returns a keyed hash of a JSON value. Without the key, nobody can test a guess against it."""
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
        return hmac.new(self.hashes, text.encode(), "sha256").hexdigest()[:32]

    def marked_hash(self, value: Any) -> str:
        """Returns the hash with a mark of these keys. Hashes of different marks cannot be compared."""
        return f"{self._mark}{self.hash(value)}"

    def is_ours(self, marked_hash: str) -> bool:
        """Returns whether the hash was made with these keys."""
        return marked_hash.startswith(self._mark)

    @property
    def deployment(self) -> str:
        """The name of this deployment in a Redis that other programs use too. All its processes have the same."""
        return f"roadster-mcp:{self.id.hex()[:16]}"

    @property
    def _mark(self) -> str:
        return f"{self.id.hex()[:16]}.{_READING}:"


def _derive(secret: str, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"roadster-mcp {purpose} v1".encode()).derive(
        secret.encode()
    )

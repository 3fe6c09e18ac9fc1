"""Held-out worlds: they are made from a secret, so nobody else has them, and no file gives their seeds away."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from roadster_evals.usage import UsageError


def world_seed(number: int, secret: str | None) -> int:
    """Returns the seed of a world: the number, or one that only those who have the secret can tell."""
    return int(_derive(secret, str(number))[:12], 16) if secret else number


def fingerprint(secret: str | None) -> str | None:
    """Returns what tells one secret from another in files, None for public worlds."""
    return _derive(secret, "fingerprint")[:12] if secret else None


def read_secret(path: Path) -> str:
    """Returns the secret of a file. Raises UsageError."""
    try:
        secret = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--secret-seed {path}: cannot be read ({type(error).__name__})") from None
    if not secret:
        raise UsageError(f"--secret-seed {path}: is empty; write something that nobody can guess")
    return secret


def _derive(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()

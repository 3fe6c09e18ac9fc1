"""The errors of a store that cannot do its work."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot do its work. The text is one sentence that says how to mend it. It holds no secret, no value."""


class StoreBusy(StoreError):
    """Others had the database locked for too long. Nothing was stored. `seconds` is how long a call waits at most."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message, seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return str(self.args[0])


class UnreadableText(StoreError):
    """A row holds bytes that are no text, so something else than this program wrote it."""


class ClaimLost(StoreError):
    """Another call has taken over the idempotency key, so the write must not be sent."""

"""The error of a store that cannot do its work."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot do its work. The text is one sentence that says how to mend it. It holds no secret, no value."""

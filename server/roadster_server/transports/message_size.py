"""The size of the largest message, over every transport."""

from __future__ import annotations

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Bytes. A file of 1 MiB in base64 fits, with room for the other arguments."""
TOO_LARGE = f"Invalid request: larger than {MAX_MESSAGE_BYTES} bytes"

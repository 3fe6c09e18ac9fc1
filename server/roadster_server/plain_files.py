"""Reads files that a person names: plain ones only, up to a size, and without waiting for a pipe to be written."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class NotPlain(ValueError):
    """The path leads to a pipe, a device or a folder."""


class FileTooLarge(ValueError):
    """The file has more bytes than the limit."""


def read_plain_file(path: Path, *, max_bytes: int) -> bytes:
    """Returns the contents. Follows links. Raises OSError, NotPlain or FileTooLarge."""
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            # The open file is checked, because another one could take its place after a check of the path.
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise NotPlain("is not a plain file")
            content = file.read(max_bytes + 1)
    except IsADirectoryError:
        raise NotPlain("is not a plain file") from None
    if len(content) > max_bytes:
        raise FileTooLarge(f"is larger than {max_bytes:,} bytes")
    return content


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # Windows has no pipes that look like files

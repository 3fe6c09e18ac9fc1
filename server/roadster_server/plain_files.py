"""Reads files that a person names: plain ones only, up to a size, and without waiting for a pipe to be written."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class NotPlain(ValueError):
    """The path leads to a pipe, a device or a folder."""


class FileTooLarge(ValueError):
    """The file has more bytes than the limit."""


def reading_problem(error: Exception) -> str:
    """Returns what kept a file from being read as text, and the mend."""
    match error:
        case FileNotFoundError():
            return "there is no such file; correct the path, or make the file"
        case PermissionError():
            return "this program may not read it; correct who may read the file"
        case UnicodeDecodeError():
            return "is not UTF-8; save the file in this encoding"
        case NotPlain() | FileTooLarge():
            return str(error)
    return f"cannot be read ({type(error).__name__})"


def read_plain_file(path: Path, *, max_bytes: int, through_links: bool = True) -> bytes:
    """Returns the contents. A link in place of the file is an OSError unless it may be read through links.

    Raises OSError, NotPlain or FileTooLarge.
    """
    # Windows has neither flag: it has no pipes that look like files.
    flags = getattr(os, "O_NONBLOCK", 0) | (0 if through_links else getattr(os, "O_NOFOLLOW", 0))
    try:
        with open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags)) as file:
            # The open file is checked, because another one could take its place after a check of the path.
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise NotPlain("is not a plain file")
            content = file.read(max_bytes + 1)
    except IsADirectoryError:
        raise NotPlain("is not a plain file") from None
    if len(content) > max_bytes:
        raise FileTooLarge(f"is larger than {max_bytes:,} bytes")
    return content

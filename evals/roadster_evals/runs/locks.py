"""Files that one process at a time writes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt
    import os

    def _lock(number: int) -> None:
        os.lseek(number, 2**31 - 2, os.SEEK_SET)  # behind the content, because nobody can read what is locked there
        try:
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(*error.args) from None

else:
    import fcntl

    def _lock(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)


def open_locked(path: Path) -> BinaryIO:
    """Opens a file to read it and to append, and makes it if need be. Nobody else can open it so until it is closed.

    The lock also ends with its process, if that is killed.

    Raises BlockingIOError while somebody else has it open so, and OSError if it cannot be opened.
    """
    file = path.open("a+b")
    try:
        _lock(file.fileno())
        file.seek(0)
    except OSError:
        file.close()
        raise
    return file

"""The folder of local files that may be uploaded, read so that nothing outside it is ever opened."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from roadster_tools.failures import InvalidArguments

MAX_FILE_BYTES = 10 * 1024 * 1024
"""For a file in the upload folder."""

# Without O_NONBLOCK, a pipe in the folder would hold the thread for good. Windows has none of these.
_SAFELY = os.O_RDONLY | sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
_FOLDER = _SAFELY | getattr(os, "O_DIRECTORY", 0)

_NO_SUCH_FILE = "there is no such file in the upload folder, and links are not followed"
_NOT_READABLE = "the file cannot be read; let the server's user read it, or give contents instead"


@dataclass(frozen=True)
class UploadFolder:
    """The only folder that a caller on this machine may upload from."""

    folder: Path

    async def read(self, path: str) -> bytes:
        """Returns the content of a plain file below the folder. Raises InvalidArguments, also for a larger file."""
        return await anyio.to_thread.run_sync(self._read, path)

    def _read(self, path: str) -> bytes:
        open_below = _open_step_by_step if os.open in os.supports_dir_fd else _open_and_compare
        try:
            descriptor = open_below(self.folder, self._parts_below(path))
        except PermissionError:
            raise InvalidArguments({"path": _NOT_READABLE}) from None
        except (OSError, ValueError):  # ValueError: a place elsewhere, or a character that no name has
            raise InvalidArguments({"path": _NO_SUCH_FILE}) from None
        try:
            return _read_plain_file(descriptor)
        except OSError:
            raise InvalidArguments({"path": _NOT_READABLE}) from None
        finally:
            os.close(descriptor)

    def _parts_below(self, path: str) -> tuple[str, ...]:
        """Returns the names that lead from the folder to the file. Raises ValueError where they lead elsewhere."""
        name = Path(path)
        below = name.relative_to(self.folder) if name.is_relative_to(self.folder) else name
        if below.anchor or not below.parts or ".." in below.parts:
            raise ValueError("not below the folder")
        return below.parts


def _open_step_by_step(folder: Path, parts: tuple[str, ...]) -> int:
    """Opens each part below the descriptor of the one before, so that nobody can exchange a folder for a link."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for place, part in enumerate(parts, 1):
        try:
            deeper = os.open(part, _SAFELY if place == len(parts) else _FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = deeper
    return descriptor


def _open_and_compare(folder: Path, parts: tuple[str, ...]) -> int:
    """Does the same where a folder has no descriptor, as on Windows. Only the file below the folder is accepted."""
    root = folder.resolve(strict=True)
    file = root.joinpath(*parts)
    descriptor = os.open(file, _SAFELY)
    try:
        _refuse_links(file, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_links(file: Path, descriptor: int) -> None:
    # The file is open by now. An earlier link leads the path elsewhere, and a later one leads to another file.
    if file.resolve(strict=True) != file or not os.path.samestat(file.stat(), os.fstat(descriptor)):
        raise ValueError("a link")


def _read_plain_file(descriptor: int) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise InvalidArguments({"path": "this is no plain file; name one"})
    with open(descriptor, "rb", closefd=False) as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise InvalidArguments({"path": f"the file is larger than {MAX_FILE_BYTES} bytes"})
    return content

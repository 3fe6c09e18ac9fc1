"""The section `[uploads]`: the files that calls take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from .section import Section


def _folder(path: Path) -> Path:
    try:
        folder = path.expanduser()
        exists = folder.is_dir()
    except (OSError, RuntimeError):  # a name that is too long, a user that does not exist
        exists = False
    if not exists:
        raise ValueError("there is no such folder; make it, or correct the path")
    if not folder.is_absolute():
        raise ValueError("expected an absolute path: a host starts the server in a folder of its own choice")
    return folder


def _clamd_address(address: str) -> str:
    parts = urlsplit(address)
    try:
        is_good = parts.path.startswith("/") and not parts.netloc if parts.scheme == "unix" else bool(parts.port)
    except ValueError:  # a port that is none
        is_good = False
    if not is_good or parts.scheme not in ("unix", "tcp"):
        raise ValueError("expected unix:///PATH of clamd's LocalSocket, or tcp://HOST:PORT of its TCPSocket")
    return address


class UploadSettings(Section):
    """`[uploads]`: the files of `upload_document` and `create_template`."""

    folder: Annotated[Path, AfterValidator(_folder)] | None = None
    """The folder from which tools take files, over stdio and on the command line only. It must exist and be absolute.
    `~` is your home folder."""
    clamd: Annotated[str, AfterValidator(_clamd_address)] | None = None
    """The clamd of ClamAV that scans every file: `unix:///PATH` or `tcp://HOST:PORT`. While it does not answer, no file
    is taken."""

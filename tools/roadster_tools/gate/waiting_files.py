"""The port to files that a person hands over by a link, for a call of one caller at one dealer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from roadster_tools.failures import WaitingForPerson
from roadster_tools.files.upload_folder import UploadFolder


@dataclass(frozen=True)
class FilePurpose:
    """The use of a file. A file that was handed over for one is not there for another."""

    tool: str
    customer_id: int | None = None
    document_type: str | None = None


class FileWanted(WaitingForPerson):
    """A person must hand over a file first. `handle` is the caller's name for it.

    `link` leads a person to the page. It is None where the caller has it from an earlier answer. `until` is the end of
    the link.
    """

    def __init__(self, handle: str, link: str | None, until: datetime) -> None:
        expires_at = until.isoformat(timespec="seconds")
        super().__init__(
            "no file yet",
            details={**({} if link is None else {"url": link}), "expires_at": expires_at, "upload": handle},
        )
        self.handle = handle
        self.link = link
        self.until = until

    def message(self) -> str:
        again = f'call again with the same arguments and upload "{self.handle}"'
        if self.link is None:
            return (
                f"Waiting for a person: the file is not there yet. Its link is good until {self.until:%H:%M} UTC. "
                f"When they say that it is done, {again}. Nothing was sent yet."
            )
        return (
            f"Waiting for a person: show them this link, good once and until {self.until:%H:%M} UTC, where they hand "
            f"over the file or take a photo of it: {self.link} When they say that it is done, {again}. "
            "Nothing was sent yet."
        )


class WaitingFiles(Protocol):
    """The files that this caller asked people at this dealer for, and no others."""

    async def can_ask(self) -> bool:
        """Returns whether a page is served to which a link can lead."""

    async def ask(self, purpose: FilePurpose) -> FileWanted:
        """Returns a new request for a file. Call this only where `can_ask` returns True."""

    async def read(self, handle: str, purpose: FilePurpose) -> bytes | None:
        """Returns the file, None where there is none for this purpose. Raises FileWanted if it is not there yet."""

    async def is_there(self, handle: str) -> bool:
        """Returns whether somebody has handed the file over."""

    async def discard(self, handle: str) -> None:
        """Deletes a file that was sent."""


DownloadLink = Callable[[str, int | None], Awaitable[str | None]]
"""Returns a link by which a person downloads the file with this URI once. None where no page is served. A file of a
customer also has their id."""


async def no_download(_uri: str, _customer_id: int | None) -> str | None:
    return None


async def _scan_nothing(_content: bytes) -> None: ...


@dataclass(frozen=True)
class Uploads:
    """The ways in which a caller may hand a file over: from a folder of this machine, or by a person's link.

    `scan` looks into what comes in a call or from the folder, and raises UnusableFile. What a person handed over was
    scanned then.
    """

    folder: UploadFolder | None = None
    waiting: WaitingFiles | None = None
    scan: Callable[[bytes], Awaitable[None]] = _scan_nothing

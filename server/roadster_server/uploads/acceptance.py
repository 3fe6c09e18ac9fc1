"""The files that one person hands over at once, checked and made into the one file that a call takes.

Pictures are written anew, and several become one PDF. A PDF stays as it is, because a signature may cover it, and is
refused where it is anything beside a PDF. Every file is scanned as it came.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
import anyio.to_thread

from roadster_tools.answers import quantity
from roadster_tools.failures import UnusableFile
from roadster_tools.files.files import PDF
from roadster_tools.files.pdf import read_pdf
from roadster_tools.files.upload_folder import MAX_FILE_BYTES

from .photos import HEIC, Photo, pdf_of, write_photo_anew

MOST_FILES = 10
"""Photos that become the pages of one PDF."""

_PICTURES = {
    "image/jpeg": "image/jpeg",
    "image/png": "image/png",
    "image/apng": "image/png",
    HEIC: HEIC,
    "image/heif": HEIC,
}
"""The media types that the bytes of a picture may show, and the way each is read."""

_OPEN_AT_ONCE = anyio.CapacityLimiter(2)
"""Files that threads look into at the same time. It bounds the memory: a picture may take 200 MiB."""

_PRINT = "print it into a new PDF, and give that one"

_BEFORE_THE_FIRST_OBJECT = re.compile(rb"%PDF-[12]\.\d[^<]{0,1000}?[\s]\d+\s+\d+\s+obj\b", re.DOTALL)
"""Browsers look for markup in the first 1,445 bytes. A usual PDF has a line or two there before its first object."""
_MOST_BEHIND_THE_END = re.compile(rb"[\s\0]*")
_END = b"%%EOF"

Scan = Callable[[bytes], Awaitable[None]]
"""Raises UnusableFile for a file that nobody should have, or if it cannot look into it."""


@dataclass(frozen=True)
class AcceptedFile:
    """The one file that a call takes, a JPEG or a PDF. `about` says in words for a person what it is."""

    content: bytes
    content_type: str
    about: str


async def accept(files: Sequence[bytes], scan: Scan, *, only_pdf: bool = False) -> AcceptedFile:
    """Returns the file that becomes of these. Raises UnusableFile, whose text goes on behind "the file"."""
    if not files or not all(files):
        raise UnusableFile("is empty; choose another")
    if len(files) > MOST_FILES:
        raise UnusableFile(f"would have more than {MOST_FILES} photos; give fewer at once")
    kinds = []
    for number, file in enumerate(files):
        with _about(number):
            kinds.append(_kind_within_size(file))
    if only_pdf and kinds != [PDF]:
        raise UnusableFile("is no PDF; give one PDF")
    if PDF in kinds and len(files) > 1:
        raise UnusableFile("is one of several; give one PDF alone, or photos only")
    for number, file in enumerate(files):
        with _about(number):
            await scan(file)
    if kinds == [PDF]:
        with _about(0):
            return await anyio.to_thread.run_sync(_accept_pdf, files[0], limiter=_OPEN_AT_ONCE)
    return await _accept_photos(files, kinds)


@contextmanager
def _about(number: int) -> Iterator[None]:
    """Gives an error of the block the place of the file that it is about."""
    try:
        yield
    except UnusableFile as error:
        error.number = number
        raise


def _kind_within_size(file: bytes) -> str:
    """Returns the media type of a file that is not too large."""
    if len(file) > MAX_FILE_BYTES:
        raise UnusableFile(f"is larger than {MAX_FILE_BYTES >> 20} MiB; make it smaller, or take a photo of it")
    return kind_of(file)


def kind_of(content: bytes) -> str:
    """Returns the media type that the bytes show. Raises UnusableFile for a kind that is not taken."""
    import filetype  # noqa: PLC0415 - only a file needs it, and every start would pay for it

    kind: str | None = filetype.guess_mime(content)
    if kind == PDF or content.lstrip()[:5] == b"%PDF-":
        return PDF
    if kind not in _PICTURES:
        raise UnusableFile("is neither JPEG, PNG, HEIC nor PDF; take a photo of it, or print it into a PDF")
    return _PICTURES[kind]


async def _accept_photos(files: Sequence[bytes], kinds: Sequence[str]) -> AcceptedFile:
    photos: list[Photo] = []
    for number, (file, kind) in enumerate(zip(files, kinds, strict=True)):
        with _about(number):
            photos.append(await anyio.to_thread.run_sync(write_photo_anew, file, kind, limiter=_OPEN_AT_ONCE))
    if len(photos) == 1:
        (photo,) = photos
        return AcceptedFile(photo.jpeg, "image/jpeg", f"a picture of {photo.width} x {photo.height} pixels")
    pdf = await anyio.to_thread.run_sync(pdf_of, photos, limiter=_OPEN_AT_ONCE)
    return AcceptedFile(pdf, PDF, f"a PDF of {len(photos)} photos")


def _accept_pdf(content: bytes) -> AcceptedFile:
    require_only_a_pdf(content)
    facts = read_pdf(content)
    if facts.asks_for_password:
        raise UnusableFile(f"is a PDF that asks for a password; open it, {_PRINT}")
    pages = "" if facts.pages is None else f" of {quantity(facts.pages, 'page')}"
    return AcceptedFile(content, PDF, f"a PDF{pages}")


def require_only_a_pdf(content: bytes) -> None:
    """Raises UnusableFile for a PDF with something before its beginning or behind its end, or markup where both are."""
    if _BEFORE_THE_FIRST_OBJECT.match(content) is None:
        raise UnusableFile(f"is a PDF that does not begin as a PDF; {_PRINT}")
    end = content.rfind(_END)
    if end < 0 or _MOST_BEHIND_THE_END.fullmatch(content, end + len(_END)) is None:
        raise UnusableFile(f"is a PDF with something behind its end; {_PRINT}")

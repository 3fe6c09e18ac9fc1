"""The files of documents and templates: their kinds, their sizes, and whether they can be opened."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

import anyio
import anyio.to_thread
from pydantic import Field, PlainSerializer

from roadster_client import MalformedAnswer
from roadster_client.models.values import decode_file
from roadster_tools.failures import InvalidArguments, UnusableFile
from roadster_tools.gate.waiting_files import FilePurpose, Uploads

from .pdf import PdfFacts, read_pdf
from .pictures import check_picture

MAX_INLINE_BYTES = 1024 * 1024
"""For `contents` in a call, which pass through a model's context. The HTTP transport takes 4 MiB in all."""

MAX_ANSWER_FILE_BYTES = 64 * 1024
"""For `contents` in an answer, which a model reads."""

MAX_RESOURCE_BYTES = MAX_INLINE_BYTES
"""For a file that is read as a resource, so that a client can read back what a call brought in."""

MAX_DOWNLOAD_BYTES = 8 * 1024 * 1024
"""For a file that a person downloads. No answer of an upstream has more."""

_OPEN_AT_ONCE = anyio.CapacityLimiter(2)
"""Files that threads look into at the same time. It bounds the memory, and leaves the processor to other calls."""

PDF = "application/pdf"

_PNG = "image/png"
_EXTENSIONS = {"image/jpeg": (".jpg", ".jpeg"), _PNG: (".png",), PDF: (".pdf",)}
_NO_KIND = "neither JPEG, PNG nor PDF"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_PDF_HEADER = re.compile(rb"%PDF-\d")
_PDF_HEADER_ENDS_BY = 1023 + len(b"%PDF-1")
"""Readers of PDF look for its header in the first 1,024 bytes. Printers and web servers write lines before it."""


def _plain_base64(contents: str) -> str:
    """Returns the file in one spelling, so that calls with the same file are the same. Another text stays as it is."""
    try:
        return base64.b64encode(decode_file(contents)).decode()
    except ValueError:
        return contents


Contents = Annotated[str, Field(description=f"base64, to {MAX_INLINE_BYTES >> 20} MiB"), PlainSerializer(_plain_base64)]
LocalPath = Annotated[str, Field(description="in the upload folder")]
Handle = Annotated[str, Field(min_length=1)]
"""The name of a file that a person handed over, from an earlier answer."""


@dataclass(frozen=True)
class File:
    """A file that a client reads as a resource. `content_type` is a media type."""

    content: bytes
    content_type: str


@dataclass(frozen=True)
class Upload:
    """A file that a caller hands over, and the argument that it came from, for errors about it."""

    content: bytes
    argument: str


@dataclass(frozen=True)
class FileArguments:
    """The arguments by which a call hands over its file: exactly one of them, or none to ask a person for it."""

    contents: str | None
    path: str | None
    upload: str | None

    async def need_a_person(self, uploads: Uploads) -> bool:
        """Returns whether `read` asks a person for the file."""
        is_empty = self.contents is None and self.path is None and self.upload is None
        return is_empty and uploads.waiting is not None and await uploads.waiting.can_ask()

    async def read(self, uploads: Uploads, purpose: FilePurpose) -> Upload:
        """Returns the file. Raises FileWanted where a person must hand it over first, and InvalidArguments."""
        names = [name for name in ("contents", "path", "upload") if getattr(self, name) is not None]
        if len(names) > 1:
            raise InvalidArguments({names[0]: f"give only one of {' and '.join(names)}"})
        if self.contents is not None:
            upload = Upload(_decode(self.contents), "contents")
        elif self.path is not None:
            upload = Upload(await _read_local(uploads, self.path), "path")
        elif self.upload is not None:
            return Upload(await _read_waiting(uploads, self.upload, purpose), "upload")
        elif uploads.waiting is not None and await uploads.waiting.can_ask():
            raise await uploads.waiting.ask(purpose)
        elif uploads.waiting is not None:
            mend = (
                "for a page where a person hands it over, the operator must set http.resource_url, or serve over HTTP"
            )
            raise InvalidArguments({"contents": f"give contents or path; {mend}"})
        else:
            raise InvalidArguments({"contents": "give contents or path"})
        if not upload.content:
            raise InvalidArguments({upload.argument: "the file is empty"})
        try:
            await uploads.scan(upload.content)
        except UnusableFile as error:
            raise InvalidArguments({upload.argument: f"the file {error}"}) from None
        return upload

    async def discard(self, uploads: Uploads) -> None:
        """Deletes the file that a person handed over, once it was sent."""
        if self.upload is not None and uploads.waiting is not None:
            await uploads.waiting.discard(self.upload)


async def _read_local(uploads: Uploads, path: str) -> bytes:
    if uploads.folder is None:
        raise InvalidArguments(
            {"path": "works only where the server runs on this machine over stdio with [uploads] folder set"}
        )
    return await uploads.folder.read(path)


async def _read_waiting(uploads: Uploads, handle: str, purpose: FilePurpose) -> bytes:
    content = None if uploads.waiting is None else await uploads.waiting.read(handle, purpose)
    if content is None:
        raise InvalidArguments(
            {
                "upload": "there is no such file for you, at this dealer and for these arguments; it was used, or is "
                "too old: call again without upload, and a person gets a new link"
            }
        )
    return content


def fitting_name(file_name: str, upload: Upload) -> str:
    """Returns the name with the extension that the content of a person's file has.

    The caller named the file before anybody chose one. Another way to hand over a file leaves its name as it is.
    """
    kind = content_type(upload.content)
    if upload.argument != "upload" or kind is None or file_name.lower().endswith(_EXTENSIONS[kind]):
        return file_name
    return f"{file_name.rpartition('.')[0]}{_EXTENSIONS[kind][0]}"


def _decode(contents: str) -> bytes:
    try:
        content = decode_file(contents)
    except ValueError:
        raise InvalidArguments({"contents": "is not base64; encode the file's bytes, or give path"}) from None
    if len(content) > MAX_INLINE_BYTES:
        raise InvalidArguments({"contents": f"the file is larger than {MAX_INLINE_BYTES} bytes"})
    return content


def content_type(content: bytes) -> str | None:
    """Returns the media type that the bytes themselves show, None for anything but JPEG, PNG and PDF.

    An animated PNG is a PNG. A PDF may have other bytes before its header, unless they make it another kind of file.
    """
    kind = _guess(content)
    if kind == _PNG:
        return _PNG if content.startswith(_PNG_SIGNATURE) else None
    if kind in (None, PDF):
        return None if pdf_start(content) is None else PDF
    return kind if kind in _EXTENSIONS else None


def _guess(content: bytes) -> str | None:
    import filetype  # noqa: PLC0415 - only a document's file needs it, and every start would pay for it

    kind: str | None = filetype.guess_mime(content)
    return _PNG if kind == "image/apng" else kind


def pdf_start(content: bytes) -> int | None:
    """Returns where the PDF's header begins, None where there is none."""
    header = _PDF_HEADER.search(content, 0, _PDF_HEADER_ENDS_BY)
    return None if header is None else header.start()


async def check_content(upload: Upload, file_name: str) -> PdfFacts:
    """Returns facts about a PDF, and empty ones about a picture.

    Raises InvalidArguments unless the file is a JPEG, PNG or PDF that can be opened, and the name's extension fits.
    """
    kind = content_type(upload.content)
    if kind is None:
        raise InvalidArguments({upload.argument: f"the file is {_NO_KIND}{_other_kind(upload)}"})
    if not file_name.lower().endswith(_EXTENSIONS[kind]):
        raise InvalidArguments(
            {"file_name": f"must end in {' or '.join(_EXTENSIONS[kind])}, because the content is {kind}"}
        )
    return await look_into(upload, kind)


async def check_pdf(upload: Upload) -> PdfFacts:
    """Returns facts about the PDF. Raises InvalidArguments unless the file is a PDF that can be opened."""
    if content_type(upload.content) != PDF:
        raise InvalidArguments({upload.argument: f"the file is no PDF{_other_kind(upload)}"})
    return await look_into(upload, PDF)


async def look_into(upload: Upload, kind: str) -> PdfFacts:
    """Returns facts about the file, which a thread opens. Raises InvalidArguments if nobody can or should open it."""
    try:
        return await anyio.to_thread.run_sync(_open, upload.content, kind, limiter=_OPEN_AT_ONCE)
    except UnusableFile as error:
        raise InvalidArguments({upload.argument: f"the file {error}"}) from None


def _open(content: bytes, kind: str) -> PdfFacts:
    if kind == PDF:
        # The places that a PDF names count from its header.
        return read_pdf(content[pdf_start(content) or 0 :])
    check_picture(content)
    return PdfFacts()


def _other_kind(upload: Upload) -> str:
    """Returns the words for a file of a kind that is not taken, empty where its bytes show no whole one."""
    kind = _guess(upload.content)
    is_cut = kind in _EXTENSIONS and content_type(upload.content) is None
    return "" if kind is None or is_cut else f", but {kind}"


def resource_file(content: bytes, operation: str, most_bytes: int, *, only_pdf: bool = False) -> File:
    """Returns an upstream's file as a resource. Raises MalformedAnswer for another kind of file, or a larger one."""
    kind = content_type(content)
    if kind is None or (only_pdf and kind != PDF):
        raise MalformedAnswer(operation, f"the file is {'no PDF' if only_pdf else _NO_KIND}")
    if len(content) > most_bytes:
        raise MalformedAnswer(operation, f"the file is larger than {most_bytes} bytes")
    return File(content, kind)


def file_uri(dealer: str, *path: str | int) -> str:
    """Returns the URI by which a client reads a dealer's file."""
    return f"roadster://{'/'.join(quote(str(part), safe='') for part in (dealer, *path))}/file"

"""Files on their way: what they may be, how large, and where a local one may lie."""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import anyio.to_thread
from pydantic import Field

from roadster_client import MalformedAnswer

from .failures import InvalidArguments

MAX_INLINE_BYTES = 1024 * 1024
"""For `contents`, which passes through a model's context; the HTTP transport takes 4 MiB in all."""

MAX_SHOWN_BYTES = 64 * 1024
"""For `contents` in an answer, which a model reads."""

MAX_FILE_BYTES = 10 * 1024 * 1024

PDF = "application/pdf"

MAX_RESOURCE_BYTES = MAX_INLINE_BYTES
"""For a file that is read as a resource: what came in inside a call may be read back."""

_EXTENSIONS = {"image/jpeg": (".jpg", ".jpeg"), "image/png": (".png",), PDF: (".pdf",)}

Contents = Annotated[str, Field(description=f"base64, to {MAX_INLINE_BYTES >> 20} MiB")]
LocalPath = Annotated[str, Field(description="in the server's upload folder")]


async def given_file(uploads: UploadFolder | None, contents: str | None, path: str | None) -> bytes:
    """The file that a caller gives as `contents` or as `path`. Raises InvalidArguments."""
    if (contents is None) == (path is None):
        raise InvalidArguments({"contents": "give contents or path, not both"})
    if contents is not None:
        return _decoded(contents)
    if uploads is None:
        raise InvalidArguments(
            {"path": "works only where the server runs on this machine over stdio with [uploads] folder set"}
        )
    return await uploads.read(path or "")


@dataclass(frozen=True)
class File:
    """A file as it is handed on; `content_type` is a media type."""

    content: bytes
    content_type: str


@dataclass(frozen=True)
class UploadFolder:
    """The one folder that a caller on this machine may upload from."""

    folder: Path

    async def read(self, path: str) -> bytes:
        """The file's content. Raises InvalidArguments for all but a plain file of bounded size below the folder."""
        return await anyio.to_thread.run_sync(self._read, path)

    def _read(self, path: str) -> bytes:
        try:
            root = self.folder.resolve(strict=True)
            file = (root / path).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):  # RuntimeError: links in a circle
            raise InvalidArguments({"path": "there is no such file in the upload folder"}) from None
        # After links are resolved, so that none can lead out of the folder.
        if not file.is_relative_to(root) or not file.is_file():
            raise InvalidArguments({"path": "there is no such file in the upload folder"})
        with file.open("rb") as stream:
            if not _still_there(file, root, stream.fileno()):
                raise InvalidArguments({"path": "the file was changed while it was read; call again"})
            content = stream.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise InvalidArguments({"path": f"the file is larger than {MAX_FILE_BYTES} bytes"})
        return content


def _still_there(file: Path, root: Path, descriptor: int) -> bool:
    """Whether what was opened is what lies in the folder: a link may have been put in the way after the check."""
    try:
        found = file.resolve(strict=True)
        return found.is_relative_to(root) and os.path.samestat(found.stat(), os.fstat(descriptor))
    except (OSError, RuntimeError):
        return False


def _decoded(contents: str) -> bytes:
    if len(contents) > MAX_INLINE_BYTES * 4 // 3 + 4:
        raise InvalidArguments({"contents": f"is larger than {MAX_INLINE_BYTES} bytes"})
    try:
        return base64.b64decode(contents, validate=True)
    except binascii.Error:
        raise InvalidArguments({"contents": "is not base64"}) from None


def content_type(content: bytes) -> str | None:
    """The media type that the bytes show, None where it is neither JPEG, PNG nor PDF."""
    import filetype  # noqa: PLC0415 - only a document's file needs it, and every start would pay for it

    kind = filetype.guess_mime(content)
    return kind if kind in _EXTENSIONS else None


def check_content(content: bytes, file_name: str) -> None:
    """Whether the bytes are what the name says: JPEG, PNG or PDF. Raises InvalidArguments."""
    kind = content_type(content)
    if kind is None:
        raise InvalidArguments({"contents": "is neither JPEG, PNG nor PDF"})
    if not file_name.lower().endswith(_EXTENSIONS[kind]):
        raise InvalidArguments(
            {"file_name": f"must end in {' or '.join(_EXTENSIONS[kind])}, because the content is {kind}"}
        )


def check_pdf(content: bytes) -> None:
    """Whether the bytes are a PDF. Raises InvalidArguments."""
    if content_type(content) != PDF:
        raise InvalidArguments({"contents": "is not a PDF"})


def handed_on(content: bytes, operation: str) -> File:
    """The file of an answer, as a resource. Raises MalformedAnswer for what is not handed on."""
    kind = content_type(content)
    if kind is None:
        raise MalformedAnswer(operation, "the file is neither JPEG, PNG nor PDF")
    if len(content) > MAX_RESOURCE_BYTES:
        raise MalformedAnswer(operation, f"the file is larger than {MAX_RESOURCE_BYTES} bytes")
    return File(content, kind)


def file_uri(dealer: str, *path: str | int) -> str:
    """By which a client reads a dealer's file that an answer links to."""
    return f"roadster://{'/'.join(quote(str(part), safe='') for part in (dealer, *path))}/file"

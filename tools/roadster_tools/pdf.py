"""The pages of a PDF that a caller gives, and its password, read without trusting the file."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import anyio
import anyio.to_thread

from .files import pdf_start

_SECONDS = 2.0
"""An honest form takes some milliseconds. A caller does not wait longer for a number that only finds mistakes."""

_MOST_DECODED_BYTES = 1024 * 1024
"""For each compressed stream of objects. A form's hold some kilobytes."""

_LIMITS: Mapping[str, Any] = {
    "zlib_maximum_output_length": _MOST_DECODED_BYTES,
    "lzw_maximum_output_length": _MOST_DECODED_BYTES,
    "run_length_maximum_output_length": _MOST_DECODED_BYTES,
    "brotli_maximum_output_length": _MOST_DECODED_BYTES,
    "stream_decoding_work_maximum_length": 4 * _MOST_DECODED_BYTES,
    "zlib_maximum_recovery_input_length": 0,
    "page_tree_maximum_entries": 1000,  # more than a form's definition can have
    "jbig2dec_binary": None,  # a file must not start a program
}
"""pypdf's settings. They bound its work between two reads of the file, as the deadline bounds the reads."""


LOCKED_NOTICE = "The PDF asks for a password: without it nobody can open the file."


@dataclass(frozen=True)
class PdfFacts:
    """Facts about a PDF. `pages` is None where they cannot be counted.

    `asks_for_password` is also False where that cannot be read. A PDF that is encrypted with an empty password opens
    without a question.
    """

    pages: int | None = None
    asks_for_password: bool = False


async def read_pdf(content: bytes) -> PdfFacts:
    """Returns what can be read of the PDF in a short time.

    A thread cannot be ended from outside, so it is left behind when the time is over. Nothing in it goes on for long:
    its next read of the file ends it, the limits bound what it does until then, and `files` bounds the file's size.
    """
    with anyio.move_on_after(_SECONDS):
        return await anyio.to_thread.run_sync(_read, content, abandon_on_cancel=True)
    return PdfFacts()


def _read(content: bytes) -> PdfFacts:
    # Only an upload needs it, and every start would pay for it.
    from pypdf import PasswordType, PdfReader, apply_configuration  # noqa: PLC0415

    try:
        with apply_configuration(**_LIMITS):
            # Strict, because a page that a repair loses would refuse the fields that stand on it.
            # The places that a PDF names count from its header, so the bytes before it are left out.
            file = _BytesUntil(content[pdf_start(content) or 0 :], time.monotonic() + _SECONDS)
            reader = PdfReader(file, strict=True)
            if reader.is_encrypted:
                return PdfFacts(asks_for_password=reader.decrypt("") == PasswordType.NOT_DECRYPTED)
            return PdfFacts(pages=len(reader.pages) or None)
    except (Exception, _OutOfTime):  # noqa: BLE001 - a hostile file raises nearly anything
        return PdfFacts()


class _OutOfTime(BaseException):
    """Ends the reading of a file. It is no Exception, because pypdf catches those and reads on."""


class _BytesUntil(BytesIO):
    """A file in memory that can be read until a deadline on the monotonic clock."""

    def __init__(self, content: bytes, deadline: float) -> None:
        super().__init__(content)
        self._deadline = deadline

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self._deadline:
            raise _OutOfTime
        return super().read(size)

"""The number of pages of a PDF that a caller gives, read without trusting the file."""

from __future__ import annotations

import time
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import anyio
import anyio.to_thread

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


async def count_pages(content: bytes) -> int | None:
    """Returns how many pages the PDF has, None where that cannot be read, is encrypted or takes too long.

    A thread cannot be ended from outside, so it is left behind when the time is over. Nothing in it goes on for long:
    its next read of the file ends it, the limits bound what it does until then, and `files` bounds the file's size.
    """
    with anyio.move_on_after(_SECONDS):
        return await anyio.to_thread.run_sync(_count_pages, content, abandon_on_cancel=True)
    return None


def _count_pages(content: bytes) -> int | None:
    # Only a new template's file needs it, and every start would pay for it.
    from pypdf import PdfReader, apply_configuration  # noqa: PLC0415

    try:
        with apply_configuration(**_LIMITS):
            # Strict, because a page that a repair loses would refuse the fields that stand on it.
            reader = PdfReader(_BytesUntil(content, time.monotonic() + _SECONDS), strict=True)
            return None if reader.is_encrypted else len(reader.pages) or None
    except (Exception, _OutOfTime):  # noqa: BLE001 - a hostile file raises nearly anything
        return None


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

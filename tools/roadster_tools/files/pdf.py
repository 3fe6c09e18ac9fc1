"""Looks into a PDF without trusting it: whether it opens, its pages, its password, and what in it acts by itself."""

from __future__ import annotations

import logging
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from typing import TYPE_CHECKING, Any

from roadster_tools.failures import UnusableFile

from .pdf_actions import PRINT, check_actions, check_names

if TYPE_CHECKING:  # for start time
    from pypdf import PdfReader
    from pypdf.generic import DictionaryObject

_MOST_STEPS = 4_000_000
"""Calls and returns of functions: two thirds of a second. A form of ten pages and 500 fields takes a million."""

_MOST_READ = 6
"""How often the whole file may be read. A repair reads all of it, for each object that is not where the file says."""

_MOST_DECODED_BYTES = 256 * 1024
"""For each compressed stream of objects. A form's hold some kilobytes."""

_LIMITS: Mapping[str, Any] = {
    "zlib_maximum_output_length": _MOST_DECODED_BYTES,
    "lzw_maximum_output_length": _MOST_DECODED_BYTES,
    "run_length_maximum_output_length": _MOST_DECODED_BYTES,
    "brotli_maximum_output_length": _MOST_DECODED_BYTES,
    "stream_decoding_work_maximum_length": 4 * _MOST_DECODED_BYTES,
    "zlib_maximum_recovery_input_length": 0,
    "jbig2dec_binary": None,  # a file must not start a program
}
"""pypdf's settings. They bound what one step can cost."""

_PASSIVE = {"/AP", "/Contents", "/Resources", "/StructTreeRoot"}
"""Keys of what a page looks like. No reader acts on what is only below them, and it is most of a file."""

_TABLE_TO_REBUILD = b"\nstartxref\n0\n%%EOF\n"
"""An end behind which pypdf looks for all objects by itself, as other readers do if a file's own end is missing."""

LOCKED_NOTICE = "The PDF asks for a password: without it nobody can open the file."


@dataclass(frozen=True)
class PdfFacts:
    """Facts about a PDF that opens. `pages` is None where a reader has to ask for a password, or to repair the file.

    A PDF that is encrypted with an empty password opens without a question.
    """

    pages: int | None = None
    asks_for_password: bool = False


def read_pdf(content: bytes) -> PdfFacts:
    """Returns facts about a PDF that begins with its header.

    Raises UnusableFile if no reader can open it, or nobody should. It needs a thread, for less than a second or so.
    """
    # Only an upload needs it, and every start would pay for it.
    from pypdf import apply_configuration  # noqa: PLC0415

    if zipfile.is_zipfile(BytesIO(content)):
        raise UnusableFile(f"is a PDF and a ZIP archive as well; {PRINT}")
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it would log what is in the file
    try:
        with apply_configuration(**_LIMITS), _bounded_steps():
            try:
                return _read(_BoundedFile(content))
            except UnusableFile:
                raise
            except NotImplementedError:
                # For certificates, or in a way that pypdf does not know. Some readers may open it.
                raise UnusableFile(f"is a PDF that is encrypted in an unusual way; {PRINT}") from None
            except (Exception, _ReadTooOften):  # noqa: BLE001 - a hostile file raises nearly anything
                return _read(_BoundedFile(content + _TABLE_TO_REBUILD))
    except UnusableFile:
        raise
    except _TooMuch:
        raise UnusableFile(f"takes too much work to be read as a PDF; {PRINT}") from None
    except Exception:  # noqa: BLE001 - as above
        raise UnusableFile(f"is a PDF that cannot be opened; open it yourself, and {PRINT}") from None


def _read(file: _BoundedFile) -> PdfFacts:
    from pypdf import PasswordType, PdfReader  # noqa: PLC0415

    # Not strict: forms that dealers use are often a little broken, and every reader repairs them.
    reader = PdfReader(file)
    if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
        check_names(file.content)
        return PdfFacts(asks_for_password=True)
    for item in _active_dictionaries(reader):
        check_actions(item)
    reader.pages[0]
    return PdfFacts(pages=_strict_pages(file))


def _strict_pages(file: _BoundedFile) -> int | None:
    """Returns the number of pages, None for a file that needs a repair: it may lose a page that a field stands on."""
    from pypdf import PdfReader  # noqa: PLC0415

    try:
        return len(PdfReader(file, strict=True).pages)
    except Exception:  # noqa: BLE001 - as above
        return None


def _active_dictionaries(reader: PdfReader) -> Iterator[DictionaryObject]:
    """Yields each dictionary that the catalog leads to, except what a page looks like."""
    from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject  # noqa: PLC0415

    waiting: list[Any] = [reader.root_object]
    places = set()
    while waiting:
        item = waiting.pop()
        if isinstance(item, IndirectObject):
            place = (item.idnum, item.generation)
            if place in places:
                continue
            places.add(place)
            item = item.get_object()
        if isinstance(item, DictionaryObject):
            yield item
            waiting += [item.raw_get(key) for key in item if key not in _PASSIVE]
        elif isinstance(item, ArrayObject):
            waiting += list.__iter__(item)


class _TooMuch(BaseException):
    """Ends the reading of a file. It is no Exception, because pypdf catches those and reads on."""


class _ReadTooOften(_TooMuch):
    """Ends an attempt that looks through the whole file for one object after another. A repair finds all at once."""


@contextmanager
def _bounded_steps() -> Iterator[None]:
    """Ends this thread's work after so many steps, as a thread cannot be ended from outside.

    It counts steps instead of time, so that a busy machine refuses nothing that another one takes.
    """
    steps = 0

    def count_step(*_event: object) -> None:
        nonlocal steps
        steps += 1
        if steps > _MOST_STEPS:
            raise _TooMuch

    sys.setprofile(count_step)
    try:
        yield
    finally:
        sys.setprofile(None)


class _BoundedFile(BufferedReader):
    """A file in memory that can be read only so often. It is no BytesIO: pypdf would copy that without a read."""

    def __init__(self, content: bytes) -> None:
        super().__init__(BytesIO(content))
        self.content = content
        self._budget = _MOST_READ * len(content) + _MOST_DECODED_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self._budget -= len(content)
        if self._budget < 0:
            raise _ReadTooOften
        return content

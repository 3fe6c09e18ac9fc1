"""Looks into a JPEG or PNG without trusting it: whether it can be opened, and how large it becomes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO

from roadster_tools.failures import UnusableFile

_MOST_PIXELS = 64_000_000
"""A phone's camera takes 50 million. The readers of a picture need four bytes for each."""

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_JPEG_SCAN = b"\xff\xda"
_MOST_SCANS = 100
"""A progressive JPEG has about ten scans. Each one is decoded over the whole picture, and may take a few bytes."""
_PNG_END = b"IEND\xaeB`\x82"

_VALUES_OF_PIXEL = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""The values of one pixel by a PNG's kind of colours."""
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""The pixels of each pass of an interlaced PNG: its first column and row, and the steps between them."""
_AT_ONCE = 1024 * 1024


def check_picture(content: bytes) -> None:
    """Raises UnusableFile unless the picture is whole and of a usual size. No pixel is kept. It needs a thread."""
    if content.startswith(_JPEG_START) and content.count(_JPEG_SCAN) > _MOST_SCANS:
        raise UnusableFile(f"is a JPEG of more than {_MOST_SCANS} scans; save it again, and give the new file")
    try:
        width, height = _checked_size(BytesIO(content))
    except Exception:  # noqa: BLE001 - a hostile file raises nearly anything
        raise UnusableFile("is a picture that is cut off or damaged; save it again, and give the new file") from None
    require_usual_size(width, height)


def require_usual_size(width: int, height: int) -> None:
    """Raises UnusableFile for a picture of more than 64 million pixels."""
    if width * height > _MOST_PIXELS:
        raise UnusableFile(f"is a picture of {width} x {height} pixels; the most are {_MOST_PIXELS // 10**6} million")


def _checked_size(file: BytesIO) -> tuple[int, int]:
    """Returns width and height of a whole picture. Raises any error for another one."""
    # Only an upload needs them, and every start would pay for it.
    from PIL.JpegImagePlugin import JpegImageFile  # noqa: PLC0415
    from PIL.PngImagePlugin import PngImageFile  # noqa: PLC0415

    content = file.getvalue()
    # The plugins themselves: `Image.open` would only warn about a large picture.
    if content.startswith(_JPEG_START):
        jpeg = JpegImageFile(file)
        # Pillow verifies no JPEG. It has read up to the picture's data, which is behind any small picture in the file.
        content.index(_JPEG_END, file.tell())
        return jpeg.size
    png = PngImageFile(file)
    png.verify()
    content.index(_PNG_END)  # Pillow does not need its last bytes
    _require_all_rows(content)
    return png.size


def _require_all_rows(content: bytes) -> None:
    """Raises ValueError if a PNG's data are too few for its size. They are unpacked and not kept."""
    width, height, bits, colours, _, _, is_interlaced = struct.unpack_from(">IIBBBBB", content, 16)
    if width * height > _MOST_PIXELS:
        return  # it is refused for that
    bits_of_pixel = bits * _VALUES_OF_PIXEL[colours]
    missing = 0
    for column, row, across, down in _PASSES if is_interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - column) // across), -(-(height - row) // down)
        if columns > 0 and rows > 0:
            missing += rows * (1 + (columns * bits_of_pixel + 7) // 8)
    unpacking = zlib.decompressobj()
    for part in _data_of(content):
        rest = part
        while rest and missing > 0:
            missing -= len(unpacking.decompress(rest, _AT_ONCE))
            rest = unpacking.unconsumed_tail
    while missing > 0 and (last := unpacking.decompress(unpacking.unconsumed_tail, _AT_ONCE)):
        missing -= len(last)
    if missing > 0:
        raise ValueError("rows are missing")


def _data_of(content: bytes) -> Iterator[bytes]:
    place = len(b"\x89PNG\r\n\x1a\n")
    while place + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        if kind == b"IDAT":
            yield content[place + 8 : place + 8 + length]
        place += length + 12

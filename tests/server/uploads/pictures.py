"""Pictures as phones take them, and others that nobody should open."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image
from PIL.ExifTags import IFD, Base
from pillow_heif import register_heif_opener

register_heif_opener()

PLACE = b"a place in Seattle"


def picture(
    format_: str, mode: str = "RGB", size: tuple[int, int] = (40, 20), colour: Any = "blue", **how: Any
) -> bytes:
    file = BytesIO()
    Image.new(mode, size, colour).save(file, format_, **how)
    return file.getvalue()


def phone_photo(format_: str = "JPEG", orientation: int = 6) -> bytes:
    """A photo, red on its left side as the sensor saw it, with the way it was held and the place where it was taken."""
    photo = Image.new("RGB", (400, 200), "blue")
    photo.paste("red", (0, 0, 200, 200))
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    exif[Base.Make] = PLACE.decode()
    exif.get_ifd(IFD.GPSInfo)[1] = "N"
    exif.get_ifd(IFD.GPSInfo)[2] = (47.0, 36.0, 0.0)
    file = BytesIO()
    photo.save(file, format_, exif=exif)
    return file.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """Returns a PNG of this size by its header, whose data are good for one row of it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * (1 + 3 * width))
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )

"""Pictures written anew: decoded, turned the right way up, made smaller where needed, and without any other data.

Only pixels get through. A place, a device, a thumbnail, or another kind of file inside the picture do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from roadster_tools.failures import UnusableFile
from roadster_tools.files.pictures import check_picture, require_usual_size

if TYPE_CHECKING:  # for start time
    from PIL.Image import Image

MOST_PIXELS_A_SIDE = 4096
MOST_PHOTO_BYTES = 8 * 1024 * 1024
"""For one picture that is written anew, and for all pages of a PDF that is made of several."""

HEIC = "image/heic"

_QUALITIES = (90, 75, 60, 45)
"""The qualities of a JPEG, the best first. Noise of 4,096 x 4,096 pixels has less than 8 MiB with the last one."""

_PAGE_SIZES = ((4096, 90), (3000, 80), (2200, 70), (1600, 60))
"""Pixels of the longer side, and the quality, of the pages of one PDF, the best first."""

_DAMAGED = "is a picture that is cut off or damaged; take or save it again, and give the new one"

_POINTS_A_PIXEL = 72 / 200
"""A page shows a photo at 200 pixels an inch."""


@dataclass(frozen=True)
class Photo:
    """A JPEG that was written here."""

    jpeg: bytes
    width: int
    height: int
    is_grey: bool


def write_photo_anew(content: bytes, kind: str) -> Photo:
    """Returns the picture as a new JPEG. `kind` is its media type. It needs a thread.

    Raises UnusableFile if it cannot be decoded, or is larger than usual.
    """
    try:
        if kind == HEIC:
            picture = _open_heic(content)
        else:
            check_picture(content)
            picture = _open(content)
        return _encode(_upright(picture), MOST_PIXELS_A_SIDE, _QUALITIES)
    except UnusableFile:
        raise
    except Exception:  # noqa: BLE001 - a hostile file raises nearly anything
        raise UnusableFile(_DAMAGED) from None


def pdf_of(photos: Sequence[Photo]) -> bytes:
    """Returns a PDF with a photo on each page, made smaller until it has at most `MOST_PHOTO_BYTES`. It needs a thread.

    Raises UnusableFile if there are too many.
    """
    for side, quality in _PAGE_SIZES:
        pages = [_page_photo(photo, side, quality) for photo in photos]
        if sum(len(page.jpeg) for page in pages) <= MOST_PHOTO_BYTES:
            return _pdf(pages)
    raise UnusableFile("would be too large with all of these photos; give fewer at once")


def _page_photo(photo: Photo, side: int, quality: int) -> Photo:
    if (side, quality) == _PAGE_SIZES[0]:
        return photo
    return _encode(_open(photo.jpeg, draft=side), side, (quality,))


def _open(content: bytes, draft: int = MOST_PIXELS_A_SIDE) -> Image:
    from PIL.JpegImagePlugin import JpegImageFile  # noqa: PLC0415 - only a file needs them, and every start would pay
    from PIL.PngImagePlugin import PngImageFile  # noqa: PLC0415

    if content.startswith(b"\x89PNG"):
        return PngImageFile(BytesIO(content))
    picture = JpegImageFile(BytesIO(content))
    # A JPEG can be decoded at half its size or less, which takes that much less memory.
    picture.draft(None, (draft, draft))
    return picture


def _open_heic(content: bytes) -> Image:
    from pillow_heif import open_heif  # noqa: PLC0415 - as above

    heic = open_heif(BytesIO(content))  # no pixel is decoded yet
    require_usual_size(*heic.size)
    return heic.to_pillow()  # libheif has turned it upright, and its EXIF says so


def _upright(picture: Image) -> Image:
    from PIL.ImageOps import exif_transpose  # noqa: PLC0415 - as above

    # Before it is turned, so that less has to be turned.
    picture.thumbnail((MOST_PIXELS_A_SIDE, MOST_PIXELS_A_SIDE))
    return exif_transpose(picture)


def _encode(picture: Image, side: int, qualities: Sequence[int]) -> Photo:
    """Returns a JPEG of the pixels alone, of the best quality with which it is small enough."""
    picture.thumbnail((side, side))
    plain = _plain(picture)
    jpeg = b""
    for quality in qualities:
        file = BytesIO()
        plain.save(file, "JPEG", quality=quality, optimize=True)
        jpeg = file.getvalue()
        if len(jpeg) <= MOST_PHOTO_BYTES:
            break
    return Photo(jpeg, *plain.size, plain.mode == "L")


def _plain(picture: Image) -> Image:
    """Returns the pixels alone, in grey or in RGB. What is transparent becomes white."""
    from PIL import Image as images  # noqa: N813, PLC0415 - as above

    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        paper = images.new("RGBA", layer.size, "white")
        paper.alpha_composite(layer)
        picture = paper
    elif picture.mode.startswith("I"):  # 16 bits of grey, which a conversion would cut off above 255
        picture = picture.convert("I").point(lambda value: value / 256)
    mode = "L" if picture.mode in ("1", "L", "I") else "RGB"
    pixels = images.new(mode, picture.size)
    pixels.paste(picture.convert(mode))
    return pixels


def _pdf(photos: Sequence[Photo]) -> bytes:
    from pypdf import PdfWriter  # noqa: PLC0415 - as above
    from pypdf.generic import DictionaryObject, NameObject, NumberObject, StreamObject  # noqa: PLC0415

    writer = PdfWriter()
    for photo in photos:
        width, height = photo.width * _POINTS_A_PIXEL, photo.height * _POINTS_A_PIXEL
        image = StreamObject()
        image.set_data(photo.jpeg)
        image.update(
            {
                NameObject("/Type"): NameObject("/XObject"),
                NameObject("/Subtype"): NameObject("/Image"),
                NameObject("/Width"): NumberObject(photo.width),
                NameObject("/Height"): NumberObject(photo.height),
                NameObject("/ColorSpace"): NameObject("/DeviceGray" if photo.is_grey else "/DeviceRGB"),
                NameObject("/BitsPerComponent"): NumberObject(8),
                NameObject("/Filter"): NameObject("/DCTDecode"),
            }
        )
        page = writer.add_blank_page(width, height)
        names = DictionaryObject({NameObject("/Photo"): writer._add_object(image)})  # noqa: SLF001 - pypdf's only way
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/XObject"): names})
        drawing = StreamObject()
        drawing.set_data(f"{width:.2f} 0 0 {height:.2f} 0 0 cm /Photo Do".encode())
        page[NameObject("/Contents")] = writer._add_object(drawing)  # noqa: SLF001 - as above
    file = BytesIO()
    writer.write(file)
    return file.getvalue()

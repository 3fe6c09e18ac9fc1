"""Looks into a JPEG or PNG without trusting it: whether it can be opened, and how large it becomes."""

from __future__ import annotations

from io import BytesIO

from .failures import UnusableFile

_MOST_PIXELS = 64_000_000
"""A phone's camera takes 50 million. The readers of a picture need four bytes for each."""

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG_END = b"IEND\xaeB`\x82"


def check_picture(content: bytes) -> None:
    """Raises UnusableFile unless the picture is whole and of a usual size. No pixel is decoded. It needs a thread."""
    try:
        width, height = _checked_size(BytesIO(content))
    except Exception:  # noqa: BLE001 - a hostile file raises nearly anything
        raise UnusableFile("is a picture that is cut off or damaged; save it again, and give the new file") from None
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
    return png.size

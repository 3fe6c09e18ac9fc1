"""Pictures that are written anew."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image
from pillow_heif import HeifImage

from roadster_server.uploads import photos
from roadster_server.uploads.photos import HEIC, Photo, pdf_of, write_photo_anew
from roadster_tools.failures import UnusableFile
from roadster_tools.files.pdf import PdfFacts, read_pdf

from .pictures import PLACE, phone_photo, picture, png_that_claims

JPEG, PNG = "image/jpeg", "image/png"


def opened(photo: Photo) -> Image.Image:
    return Image.open(BytesIO(photo.jpeg))


@pytest.mark.parametrize(("format_", "kind"), [("JPEG", JPEG), ("PNG", PNG)])
def test_a_photo_is_turned_upright_and_says_no_place(format_: str, kind: str) -> None:
    original = phone_photo(format_)
    assert PLACE in original
    photo = write_photo_anew(original, kind)
    new = opened(photo)
    assert (photo.width, photo.height) == new.size == (200, 400)
    assert new.convert("RGB").getpixel((100, 20))[0] > 200, "what was left is at the top"
    assert not new.getexif()
    assert not new.info.keys() & {"exif", "xmp", "icc_profile", "comment"}
    assert PLACE not in photo.jpeg


def test_an_iphones_heic_is_taken() -> None:
    original = phone_photo("HEIF", orientation=1)
    assert PLACE in original
    photo = write_photo_anew(original, HEIC)
    assert opened(photo).size == (400, 200)
    assert opened(photo).convert("RGB").getpixel((20, 100))[0] > 200
    assert PLACE not in photo.jpeg


def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded() -> None:
    """Each scan takes a few bytes, and is decoded over the whole picture."""
    file = BytesIO()
    Image.new("L", (64, 64)).save(file, "JPEG", progressive=True)
    start, scan = file.getvalue().rsplit(b"\xff\xda", 1)[0], b"\xff\xda" + file.getvalue().rsplit(b"\xff\xda", 1)[1]
    whole = start + 5_000 * scan.removesuffix(b"\xff\xd9") + b"\xff\xd9"
    with pytest.raises(UnusableFile, match="more than 100 scans"):
        write_photo_anew(whole, JPEG)


def test_a_large_photo_becomes_smaller() -> None:
    photo = write_photo_anew(picture("JPEG", size=(8000, 4000)), JPEG)
    assert (photo.width, photo.height) == (4096, 2048)


def test_noise_in_its_largest_size_has_at_most_8_mib() -> None:
    file = BytesIO()
    Image.effect_noise((4096, 4096), 120).save(file, "JPEG", quality=95)
    photo = write_photo_anew(file.getvalue(), JPEG)
    assert photo.width == 4096
    assert len(photo.jpeg) <= 8 * 1024 * 1024 < len(file.getvalue())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_pixel_is_taken(mode: str) -> None:
    photo = write_photo_anew(picture("PNG", mode, colour=0), PNG)
    assert opened(photo).mode == ("L" if mode in {"1", "L", "I;16"} else "RGB")
    assert photo.is_grey == (opened(photo).mode == "L")


def test_what_is_transparent_becomes_white() -> None:
    photo = write_photo_anew(picture("PNG", "RGBA", colour=(0, 0, 0, 0)), PNG)
    assert opened(photo).getpixel((5, 5)) == (255, 255, 255)


def test_sixteen_bits_of_grey_keep_their_brightness() -> None:
    photo = write_photo_anew(picture("PNG", "I;16", colour=40_000), PNG)
    assert abs(opened(photo).getpixel((5, 5)) - 40_000 / 256) < 2


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "_open", lambda *_: pytest.fail("a bomb was opened"))
    with pytest.raises(UnusableFile, match="50000 x 50000 pixels; the most are 64 million"):
        write_photo_anew(png_that_claims(50_000, 50_000), PNG)


def test_a_bomb_in_heic_is_refused_before_it_is_decoded() -> None:
    bomb = bytearray(picture("HEIF", size=(64, 64)))
    place = bomb.index(b"ispe") + 8
    bomb[place : place + 8] = (50_000).to_bytes(4) * 2
    with pytest.raises(UnusableFile, match="50000 x 50000 pixels; the most are 64 million"):
        write_photo_anew(bytes(bomb), HEIC)


def test_a_heic_that_is_larger_than_its_head_says_is_refused() -> None:
    file = BytesIO()
    Image.new("RGB", (1024, 1024), "blue").save(file, "HEIF", quality=10)
    photo = bytearray(file.getvalue())
    place = photo.index(b"ispe") + 8
    photo[place : place + 8] = (64).to_bytes(4) * 2
    with pytest.raises(UnusableFile, match="cut off or damaged"):
        write_photo_anew(bytes(photo), HEIC)


def test_of_several_frames_in_a_heic_only_the_first_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[tuple[int, int]] = []
    load = HeifImage.load

    def count(frame: HeifImage) -> None:
        decoded.append(frame.size)
        load(frame)

    monkeypatch.setattr(HeifImage, "load", count)
    file = BytesIO()
    frames = [Image.new("RGB", (64 + 16 * number, 64), "blue") for number in range(12)]
    frames[0].save(file, "HEIF", save_all=True, append_images=frames[1:])
    decoded.clear()
    assert write_photo_anew(file.getvalue(), HEIC).width == 64
    assert set(decoded) <= {(64, 64)}


def test_a_heic_of_thousands_of_frames_is_refused_by_its_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HeifImage, "load", lambda *_: pytest.fail("a bomb was decoded"))
    bomb = bytearray(picture("HEIF", size=(64, 64)))
    place = bomb.index(b"iinf") + 8  # behind the name, its version and its flags
    bomb[place : place + 2] = (60_000).to_bytes(2)
    with pytest.raises(UnusableFile, match="cut off or damaged"):
        write_photo_anew(bytes(bomb), HEIC)


@pytest.mark.parametrize("kind", [JPEG, PNG, HEIC])
def test_half_a_picture_is_refused(kind: str) -> None:
    whole = picture({JPEG: "JPEG", PNG: "PNG", HEIC: "HEIF"}[kind], size=(300, 300))
    with pytest.raises(UnusableFile, match="cut off or damaged"):
        write_photo_anew(whole[: len(whole) // 2], kind)


def test_several_photos_become_one_pdf() -> None:
    pages = [write_photo_anew(picture("JPEG", mode, size=(300, 200), colour=200), JPEG) for mode in ("L", "RGB")]
    pdf = pdf_of(pages)
    assert read_pdf(pdf) == PdfFacts(pages=2)
    assert all(page.jpeg in pdf for page in pages)


def test_many_large_photos_become_a_pdf_that_is_small_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    file = BytesIO()
    Image.effect_noise((1800, 1800), 60).save(file, "JPEG", quality=80)
    page = write_photo_anew(file.getvalue(), JPEG)
    monkeypatch.setattr(photos, "MOST_PHOTO_BYTES", 4 * len(page.jpeg) // 2)
    pdf = pdf_of([page] * 4)
    assert len(pdf) <= 2 * len(page.jpeg) + 4_000
    assert read_pdf(pdf) == PdfFacts(pages=4)


def test_more_photos_than_a_pdf_can_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "MOST_PHOTO_BYTES", 100)
    with pytest.raises(UnusableFile, match="give fewer at once"):
        pdf_of([write_photo_anew(picture("JPEG"), JPEG)] * 2)

"""The files that one person hands over at once, and the one that becomes of them."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from zipfile import ZipFile

import pytest

from roadster_sandbox.world.pdf import make_pdf
from roadster_server.uploads.acceptance import MOST_FILES, AcceptedFile, accept
from roadster_tools.failures import UnusableFile
from roadster_tools.files.pdf import PdfFacts, read_pdf
from tests.tools.pdf_files import packed_pdf, pages_of, plain_pdf
from tests.tools.test_files import PRINTER, pdf_with_password
from tests.tools.test_unusable_files import SCRIPT, pdf_that_opens, pdf_with_attachment

from .pictures import phone_photo, picture, png_that_claims

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
PAGE = b"<html><script>alert(1)</script></html>"
PDF = plain_pdf(pages_of(1))


async def _clean(_content: bytes) -> None: ...


async def taken(*files: bytes, only_pdf: bool = False) -> AcceptedFile:
    return await accept(files, _clean, only_pdf=only_pdf)


async def problem_of(files: Sequence[bytes], *, only_pdf: bool = False) -> str:
    with pytest.raises(UnusableFile) as refusal:
        await accept(files, _clean, only_pdf=only_pdf)
    return f"the file {refusal.value}"


def pdf_of_size(size: int) -> bytes:
    """Returns a good PDF of so many bytes."""
    one = plain_pdf([*pages_of(1), b"()"])
    return plain_pdf([*pages_of(1), b"(" + b"x" * (size - len(one) - (len(str(size)) - 3)) + b")"])


async def test_one_picture_stays_one_picture() -> None:
    file = await taken(phone_photo())
    assert (file.content_type, file.about) == ("image/jpeg", "a picture of 200 x 400 pixels")
    assert file.content.startswith(b"\xff\xd8")


async def test_pictures_of_all_kinds_become_one_pdf() -> None:
    file = await taken(picture("JPEG"), picture("PNG"), picture("HEIF", size=(64, 64)))
    assert (file.content_type, file.about) == ("application/pdf", "a PDF of 3 photos")
    assert read_pdf(file.content) == PdfFacts(pages=3)


@pytest.mark.parametrize("pdf", [PDF, packed_pdf(pages_of(2)), make_pdf("A form", 2), pdf_with_password("")])
async def test_a_plain_pdf_stays_as_it_is(pdf: bytes) -> None:
    """Also one with a password that nobody has to type."""
    file = await taken(pdf, only_pdf=True)
    assert file.content == pdf
    assert file.about.startswith("a PDF of ")


async def test_a_file_has_at_most_10_mib() -> None:
    for size in (10 * MIB - 1, 10 * MIB):
        pdf = pdf_of_size(10 * MIB - 100)
        pdf += b"\n" * (size - len(pdf))
        assert len(pdf) == size
        assert (await taken(pdf)).content == pdf
    assert "is larger than 10 MiB" in await problem_of([pdf + b"\n"])


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ((), "is empty"),
        ((b"",), "is empty"),
        ((PAGE,), "is neither JPEG, PNG, HEIC nor PDF"),
        ((b"MZ\x90\0",), "is neither JPEG"),
        ((PDF, PDF), "is one of several"),
        ((PDF, picture("PNG")), "is one of several"),
        ((picture("PNG"),) * (MOST_FILES + 1), "would have more than 10 photos"),
        ((png_that_claims(50_000, 50_000),), "is a picture of 50000 x 50000 pixels"),
        ((pdf_with_password("secret"),), "asks for a password; open it, print it into a new PDF"),
        ((pdf_that_opens(SCRIPT),), "is a PDF with scripts; print it into a new PDF"),
        ((pdf_with_attachment(),), "is a PDF with other files in it"),
        ((b"%PDF-1.4\n nothing",), "does not begin as a PDF"),
    ],
)
async def test_what_nobody_should_open_is_refused(files: Sequence[bytes], words: str) -> None:
    assert words in await problem_of(files)


@pytest.mark.parametrize("files", [(picture("PNG"),), (PDF, PDF), ()])
async def test_a_template_is_one_pdf(files: Sequence[bytes]) -> None:
    assert "PDF" in await problem_of(files, only_pdf=True) or not files


def _zip() -> bytes:
    file = BytesIO()
    with ZipFile(file, "w") as archive:
        archive.writestr("a.js", "alert(1)")
    return file.getvalue()


@pytest.mark.parametrize(
    "polyglot",
    [
        PAGE + PDF,
        b"\n" + PDF,
        PRINTER + PDF,
        PDF.replace(b"%PDF-1.4\n", b"%PDF-1.4\n%" + PAGE + b"\n"),
        PDF.replace(b"%PDF-1.4\n", b"%PDF-1.4 " + PAGE + b"\n"),
        PDF + PAGE,
        PDF + _zip(),
        PDF.removesuffix(b"%%EOF\n"),
    ],
)
async def test_a_pdf_that_is_something_else_as_well_is_refused(polyglot: bytes) -> None:
    assert "PDF" in await problem_of([polyglot])


async def test_a_picture_that_is_something_else_as_well_becomes_a_picture_alone() -> None:
    for format_ in ("JPEG", "PNG"):
        file = await taken(picture(format_) + PAGE + PDF)
        assert file.content_type == "image/jpeg"
        assert PAGE not in file.content
        assert b"%PDF" not in file.content


async def test_every_file_is_scanned_as_it_came_and_before_it_is_opened() -> None:
    scanned: list[bytes] = []
    bad = png_that_claims(50_000, 50_000)

    async def scan(content: bytes) -> None:
        scanned.append(content)

    with pytest.raises(UnusableFile, match="50000"):
        await accept([picture("PNG"), bad], scan)
    assert scanned == [picture("PNG"), bad]

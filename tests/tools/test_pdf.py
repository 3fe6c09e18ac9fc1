"""Reading a PDF: facts about honest files, also broken ones, and little work for hostile ones."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Sequence
from io import BytesIO

import pytest
from pypdf import PdfWriter

from roadster_sandbox.world.pdf import make_pdf
from roadster_tools.failures import UnusableFile
from roadster_tools.files import pdf
from roadster_tools.files.pdf import PdfFacts, read_pdf
from tests.tools.pdf_files import CATALOG, packed_pdf, pages_of, pdf_with_kids, plain_pdf

PAGE = b"<</Type/Page>>"
CHAIN = [b"<</Type/Pages/Kids[%d 0 R]/Count 1>>" % number for number in range(3, 2000)]
"""A tree of pages that is nearly 2,000 nodes deep."""


def encrypted_pdf(password: str) -> bytes:
    writer = PdfWriter()
    writer.add_blank_page(612, 792)
    writer.encrypt(password, "the owner's")
    file = BytesIO()
    writer.write(file)
    return file.getvalue()


@pytest.mark.parametrize("pages", [1, 2, 900])
@pytest.mark.parametrize("write", [plain_pdf, packed_pdf])
def test_read_pdf_counts(pages: int, write: Callable[[Sequence[bytes]], bytes]) -> None:
    assert read_pdf(write(pages_of(pages))).pages == pages


def test_read_pdf_counts_the_sandboxs_templates() -> None:
    assert read_pdf(make_pdf("Insurance Acknowledgement", 2)).pages == 2


def test_read_pdf_reads_a_form_of_many_fields() -> None:
    """500 fields, each with a look of its own, are far more than a form of a dealer has."""
    fields, look = range(4, 504), b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Length 1>>\nstream\nq\nendstream"
    places = b"[%b]" % b" ".join(b"%d 0 R" % number for number in fields)
    widgets = [
        b"<</Type/Annot/Subtype/Widget/FT/Tx/T(%d)/Rect[9 9 99 20]/P 3 0 R/AP<</N %d 0 R>>>>" % (number, number + 500)
        for number in fields
    ]
    catalog, pages, page = pages_of(1)
    page = page.replace(b">>", b"/Annots %b>>" % places)
    catalog = catalog.replace(b">>", b"/AcroForm<</Fields %b>>>>" % places)
    assert read_pdf(plain_pdf([catalog, pages, page, *widgets, *[look] * 500])).pages == 1


def test_read_pdf_asks_for_a_password_only_if_there_is_one() -> None:
    assert read_pdf(encrypted_pdf("secret")) == PdfFacts(asks_for_password=True)
    assert read_pdf(encrypted_pdf("")) == PdfFacts(pages=1)


_OBJECTS = pages_of(2)
_FILE = plain_pdf(_OBJECTS)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(plain_pdf(_OBJECTS, offsets=[7 * number for number in range(len(_OBJECTS))]), id="wrong places"),
        pytest.param(plain_pdf([*_OBJECTS, *[b"0"] * 900], offsets=[9, 50, *[11] * 902]), id="a thousand wrong places"),
        pytest.param(_FILE.replace(b"startxref\n", b"startxref\n9"), id="table elsewhere"),
        pytest.param(_FILE.replace(b"%%EOF\n", b""), id="no end mark"),
        pytest.param(_FILE.split(b"startxref")[0], id="no end"),
        pytest.param(_FILE.replace(b"endobj", b"      "), id="objects without an end"),
        pytest.param(_FILE.replace(b"xref\n0 5", b"xref\n1 5"), id="table from one"),
        pytest.param(b"%PDF-1.4\n" + b"% printed\n" * 9 + _FILE[9:], id="more lines before the objects"),
    ],
)
def test_read_pdf_opens_what_readers_repair(content: bytes) -> None:
    """Its pages are rarely counted: a page that a repair loses would refuse the fields that stand on it."""
    assert read_pdf(content).pages in (None, 2)


def test_read_pdf_opens_a_file_with_a_reference_to_nothing() -> None:
    catalog, *others = pages_of(1)
    assert read_pdf(plain_pdf([catalog.replace(b">>", b"/Outlines 99 0 R>>"), *others])).pages == 1


def test_read_pdf_refuses_a_file_encrypted_for_certificates() -> None:
    content = plain_pdf([*pages_of(1), b"<</Filter/Adobe.PubSec/V 4>>"], trailer=b"/Encrypt 4 0 R")
    with pytest.raises(UnusableFile, match="encrypted in an unusual way"):
        read_pdf(content)


@pytest.mark.parametrize(
    "link",
    ["https://example.com", "HTTP://example.com:80/a", "mailto:a@example.com", "tel:1", "www.example.com", "#a", "?"],
)
def test_read_pdf_takes_plain_links(link: str) -> None:
    action = b"<</S/URI/URI(%b)>>" % link.encode()
    annotation = b"/Annots[<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A %b>>]>>" % action
    catalog, pages, page = pages_of(1)
    catalog = catalog.replace(b">>", b"/OpenAction[3 0 R/Fit]/AA<</WC<</S/GoTo/D[0/Fit]>>>>>>")
    assert read_pdf(plain_pdf([catalog, pages, page.replace(b">>", annotation)])) == PdfFacts(pages=1)


_PACKED = zlib.compress(b"a" * 250_000)
_BOMB = b"<</Type/ObjStm/N 1/First 4/Filter/FlateDecode/Length %d>>\nstream\n%b\nendstream" % (len(_PACKED), _PACKED)


@pytest.mark.reliability("a hostile PDF", "refused after a bounded number of steps, whatever is in it")
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"%PDF-1.4\n%%EOF", id="header only"),
        pytest.param(b"%PDF-1.5\n<</Type/ObjStm>>\nstream\nno zlib\nendstream", id="no table"),
        pytest.param(plain_pdf(pages_of(2))[:-200], id="cut off"),
        pytest.param(packed_pdf(pages_of(2))[:-60], id="packed, cut off in its table"),
        pytest.param(packed_pdf(pages_of(2)).replace(b"x\x9c", b"xx"), id="no zlib"),
        pytest.param(plain_pdf([CATALOG]), id="no pages object"),
        pytest.param(plain_pdf(pages_of(0)), id="no pages"),
        pytest.param(
            plain_pdf([*pages_of(1), b"<</Filter/Standard/V 5/R 6/O 1/U[]>>"], trailer=b"/Encrypt 4 0 R"),
            id="encrypted in no way",
        ),
        pytest.param(plain_pdf(pdf_with_kids(b"[2 0 R]")), id="a page tree that holds itself"),
        pytest.param(plain_pdf(pdf_with_kids(b"[3 0 R]", *CHAIN, PAGE)), id="a deep page tree"),
        pytest.param(plain_pdf(pdf_with_kids(b"[" * 20_000 + b"]" * 20_000)), id="deep lists"),
        pytest.param(plain_pdf(pdf_with_kids(b"<</A " * 20_000 + b">>" * 20_000)), id="deep dictionaries"),
        pytest.param(plain_pdf(pdf_with_kids(b"[%b]" % (b"3 0 R " * 99_000), PAGE)), id="one page many times"),
        pytest.param(plain_pdf(pdf_with_kids(b"[9 0 R]", b"(%b)" % (b"\\\\" * 500_000))), id="a huge text"),
        pytest.param(packed_pdf([*pages_of(1), b"(%b)" % (b"x" * 50_000_000)]), id="much in little"),
        pytest.param(packed_pdf([*pages_of(1), *[b"null"] * 250_000]), id="many objects"),
        pytest.param(b"%PDF-1.7\n" + b" " * 1_000_000, id="large and empty"),
        pytest.param(b"%PDF-1.7\n" + b"trailer<<>>" * 90_000, id="many trailers"),
        pytest.param(plain_pdf([*pages_of(0), *[_BOMB] * 100]).replace(b"startxref\n", b"startxref\n1"), id="packs"),
    ],
)
def test_read_pdf_refuses_what_cannot_be_opened_with_little_work(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of the steps is small here, so that the test is quick. What needs fewer of them is no PDF."""
    monkeypatch.setattr(pdf, "_MOST_STEPS", 400_000)
    with pytest.raises(UnusableFile):
        read_pdf(content)
    assert sys.getprofile() is None


def test_read_pdf_says_that_a_file_takes_too_much_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "_MOST_STEPS", 10_000)
    with pytest.raises(UnusableFile, match="takes too much work"):
        read_pdf(plain_pdf(pages_of(100)))

"""Files that nobody can or should open: no upload takes them, and what an upstream has of them is shown as it is."""

from __future__ import annotations

import base64
import struct
import zlib
from io import BytesIO
from queue import Queue
from threading import Event
from zipfile import ZipFile

import anyio
import pytest
from pypdf import PdfWriter

from roadster_tools.failures import UnusableFile
from roadster_tools.files import files
from roadster_tools.files.files import content_type
from roadster_tools.files.pdf import PdfFacts
from roadster_tools.files.pictures import check_picture
from tests.conftest import Connect, World, answer_of, kind_of, text_of
from tests.servers import PATIENCE
from tests.tool_examples import NEW_TEMPLATE
from tests.tools.pdf_files import packed_pdf, pages_of, plain_pdf
from tests.tools.test_files import EXTENSIONS, PRINTER, ReadBack, pdf_with_password, picture, png
from tests.tools.umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio

CATALOG, PAGES, PAGE = pages_of(1)
BLANK = plain_pdf(pages_of(1))
SCRIPT = b"<</S/JavaScript/JS(app.alert)>>"
PHOTO = picture("JPEG", size=(64, 64))


def zip_file() -> bytes:
    file = BytesIO()
    with ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "a")
    return file.getvalue()


def pdf_that_opens(action: bytes) -> bytes:
    """Returns a PDF with an action that a reader does as soon as the file is open."""
    return plain_pdf([CATALOG.replace(b">>", b"/OpenAction %b>>" % action), PAGES, PAGE])


def pdf_with_attachment() -> bytes:
    writer = PdfWriter()
    writer.add_blank_page(612, 792)
    writer.add_attachment("a.exe", b"MZ")
    file = BytesIO()
    writer.write(file)
    return file.getvalue()


def pdf_with_link(action: bytes) -> bytes:
    """Returns a PDF with a place on its page that does the action after a click."""
    page = PAGE.replace(b">>", b"/Annots[<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A %b>>]>>" % action)
    return plain_pdf([CATALOG, PAGES, page])


def pdf_with_form(xml: bytes) -> bytes:
    form = b"<</Length %d>>\nstream\n%b\nendstream" % (len(xml), xml)
    catalog = CATALOG.replace(b">>", b"/AcroForm<</XFA[(template) 4 0 R]>>>>")
    return plain_pdf([catalog, PAGES, PAGE, form])


def interlaced_png() -> bytes:
    """Returns a PNG of 3 x 1 pixels in passes, two of which have none."""
    content = png(size=(3, 1))
    head, data = struct.pack(">IIBBBBB", 3, 1, 8, 0, 0, 0, 1), zlib.compress(b"\0\x80" * 3)
    parts = [(b"IHDR", head), (b"IDAT", data), (b"IEND", b"")]
    return content[:8] + b"".join(
        struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part)) for kind, part in parts
    )


OPENS_ELSE = "links that open something else than a page of the web"
ODD_LINKS = [
    ("a file", b"<</S/URI/URI(file:///c:/x.exe)>>", OPENS_ELSE),
    ("a file in odd letters", b"<</S/URI/URI( FI\\nLE:///c:/x.exe)>>", OPENS_ELSE),
    ("a drive", b"<</S/URI/URI(c:\\\\x.exe)>>", OPENS_ELSE),
    ("a share", b"<</S/URI/URI(\\\\\\\\host\\\\x)>>", OPENS_ELSE),
    ("a script", b"<</S/URI/URI(javascript:alert)>>", OPENS_ELSE),
    ("another PDF", b"<</S/GoToR/F(other.pdf)/D[0/Fit]>>", "links to other files"),
    ("a PDF in it", b"<</S/GoToE/T<</R/C/N(x)>>>>", "links to other files"),
    ("a sender", b"<</S/SubmitForm/F<</FS/URL/F(https://example.com)>>>>", "actions that send what is filled in"),
    ("a reader", b"<</S/ImportData/F(x.fdf)>>", "actions that read other files"),
    ("a second action", b"<</S/GoTo/D[0/Fit]/Next[<</S/Launch/F(x)>>]>>", "actions that start programs"),
]
"""Names, actions, and the words for them."""

UNUSABLE = {
    "50,000 pixels square": (
        png(size=(50_000, 50_000), rows=1),
        "a picture of 50000 x 50000 pixels; the most are 64 million",
    ),
    "PNG without its last byte": (png()[:-1], "a picture that is cut off or damaged; save it again"),
    "PNG without its end": (png()[:-12], "a picture that is cut off or damaged"),
    "PNG without its last row": (png(size=(500, 500), rows=499), "a picture that is cut off or damaged"),
    "PNG with hardly any pixels": (png(size=(5_000, 5_000), rows=1), "a picture that is cut off or damaged"),
    "half a PNG": (png()[:45], "a picture that is cut off or damaged"),
    "PNG with a wrong sum": (png().replace(b"IDAT", b"IDAX"), "a picture that is cut off or damaged"),
    "JPEG without its end": (PHOTO[:-2], "a picture that is cut off or damaged"),
    "half a JPEG": (PHOTO[: len(PHOTO) // 2], "a picture that is cut off or damaged"),
    "half a JPEG with a whole one in it": (
        picture("JPEG", size=(64, 64), comment=PHOTO)[:-2],
        "a picture that is cut off or damaged",
    ),
    "JPEG without a picture": (
        b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xd9",
        "a picture that is cut off",
    ),
    "only the header of a PDF": (b"%PDF-1.4 a blank form", "a PDF that cannot be opened; open it yourself, and print"),
    "half a PDF": (BLANK[: len(BLANK) // 2], "a PDF that cannot be opened"),
    "PDF without pages": (plain_pdf(pages_of(0)), "a PDF that cannot be opened"),
    "PDF with a script": (pdf_that_opens(SCRIPT), "a PDF with scripts; print it into a new PDF"),
    "PDF with a script by another name": (pdf_that_opens(b"<</S/J#61vaScript/JS(x)>>"), "a PDF with scripts"),
    "PDF with a script of a page, packed": (
        packed_pdf([CATALOG, PAGES, PAGE.replace(b">>", b"/AA<</O %b>>>>" % SCRIPT)]),
        "a PDF with scripts",
    ),
    "PDF with a script, in need of a repair": (
        pdf_that_opens(SCRIPT).split(b"startxref")[0],
        "a PDF with scripts",
    ),
    "PDF with a script behind a printer's header": (PRINTER + pdf_that_opens(SCRIPT), "a PDF with scripts"),
    "PDF that starts a program": (
        pdf_that_opens(b"<</S/Launch/F(cmd.exe)>>"),
        "a PDF with actions that start programs",
    ),
    "PDF that opens a page of the web by itself": (
        pdf_that_opens(b"<</S/URI/URI(https://example.com)>>"),
        "a PDF with links that open by themselves",
    ),
    **{f"PDF with a link to {name}": (pdf_with_link(link), f"a PDF with {words}") for name, link, words in ODD_LINKS},
    "PDF with a base for its links": (
        plain_pdf([CATALOG.replace(b">>", b"/URI<</Base(file:///c:/)>>>>"), PAGES, PAGE]),
        "a PDF with links that open something else",
    ),
    "PDF with a script in a form": (pdf_with_form(b"<template><script>x</script></template>"), "a PDF with scripts"),
    "PDF with a script in a form in UTF-16": (
        pdf_with_form("<x:script x='1'/>".encode("utf-16")),
        "a PDF with scripts",
    ),
    "PDF with a form that sends itself": (
        pdf_with_form(b"<submit target='https://example.com'/>"),
        "a PDF with actions that send what is filled in",
    ),
    "PDF with a script and an unknown encryption": (
        plain_pdf(
            [CATALOG.replace(b">>", b"/OpenAction %b>>" % SCRIPT), PAGES, PAGE, b"<</Filter/Odd/V 4>>"],
            trailer=b"/Encrypt 4 0 R",
        ),
        "a PDF that is encrypted in an unusual way; print it",
    ),
    "PDF with a script and a password": (
        pdf_with_password("secret").replace(
            b"/Type /Catalog", b"/Type /Catalog /AA <</O <</S /J#61vaScript /JS (x)>>>>"
        ),
        "a PDF with scripts",
    ),
    "PDF with a file in it": (pdf_with_attachment(), "a PDF with other files in it"),
    "PDF that is a ZIP as well": (BLANK + zip_file(), "a PDF and a ZIP archive as well"),
}
"""Files, and the words for them."""


@pytest.mark.reliability("an upload of a file that nobody can or should open", "refused in words; nothing is sent")
@pytest.mark.parametrize("name", UNUSABLE)
async def test_unusable_file_is_refused_in_words(name: str, connect: Connect, world: World) -> None:
    content, words = UNUSABLE[name]
    contents = base64.b64encode(content).decode()
    document = {"customer_id": 1650260, "document_type": "deal", "document_name": "x", "contents": contents}
    document["file_name"] = f"a{EXTENSIONS[content_type(content)]}"
    async with connect() as client:
        upload = await client.call_tool("upload_document", {**AT_UMAZDA, **document})
        template = await client.call_tool("create_template", {**AT_UMAZDA, **NEW_TEMPLATE, "contents": contents})
    assert f"contents: the file is {words}" in text_of(upload)
    assert kind_of(upload) == kind_of(template) == "invalid_arguments"
    assert await world.requests() == []


@pytest.mark.parametrize("name", UNUSABLE)
async def test_unusable_file_of_an_upstream_is_shown_as_its_kind(name: str, connect: Connect) -> None:
    """It is there already, so a refusal would only hide it."""
    content, _ = UNUSABLE[name]
    async with connect(personal_data="contact", upstream=ReadBack(content)) as client:
        at = {**AT_UMAZDA, "customer_id": 1650260, "document_id": 7}
        answer = answer_of(await client.call_tool("get_document", {**at, "detail": "full"}))
        (resource,) = (await client.read_resource("roadster://umazda/customers/1650260/documents/7/file")).contents
    assert answer["content_type"] == resource.mime_type == content_type(content)
    assert base64.b64decode(answer["contents"]) == content


@pytest.mark.parametrize(
    "content",
    [
        PHOTO,
        PHOTO + b"the next picture",
        picture("JPEG", size=(64, 64), progressive=True),
        picture("PNG", size=(64, 64)),
        png(size=(8_000, 8_000)),
        interlaced_png(),
    ],
    ids=["JPEG", "JPEG and more", "progressive JPEG", "PNG", "the largest PNG", "interlaced PNG"],
)
def test_whole_picture_is_taken(content: bytes) -> None:
    check_picture(content)


@pytest.mark.parametrize("content", [png(size=(8_001, 8_000), rows=1), b"\xff\xd8" + b"\xff" * 1024 * 1024])
def test_check_picture_refuses_large_and_odd_ones(content: bytes) -> None:
    with pytest.raises(UnusableFile):
        check_picture(content)


async def test_two_files_are_looked_into_at_once_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes on meanwhile: it is the loop that lets the threads end."""
    begun, may_end = Queue[None](), Event()

    def open_slowly(_content: bytes, _kind: str) -> PdfFacts:
        begun.put(None)
        assert may_end.wait(PATIENCE)
        return PdfFacts()

    monkeypatch.setattr(files, "_open", open_slowly)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(files.check_pdf, files.Upload(BLANK, "contents"))
            await anyio.wait_all_tasks_blocked()
            assert files._OPEN_AT_ONCE.statistics().tasks_waiting == 3
            may_end.set()
    assert begun.qsize() == 5

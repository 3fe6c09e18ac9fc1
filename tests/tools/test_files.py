"""Files that callers hand over and read back: how they may be written, and which kinds there are."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import filetype
import httpx2
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from mcp.shared.exceptions import MCPError
from PIL import Image
from pypdf import PdfWriter

from roadster_client.models.values import decode_file
from roadster_server.settings.sections.uploads import UploadSettings
from roadster_tools.files.files import content_type
from tests.conftest import Connect, World, answer_of, kind_of, text_of
from tests.tool_examples import NEW_TEMPLATE, STEVE
from tests.tools.pdf_files import pages_of, plain_pdf
from tests.tools.umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio

PDF_FILE = plain_pdf(pages_of(1))


def png(*chunks: tuple[bytes, bytes], size: tuple[int, int] = (1, 1), rows: int | None = None) -> bytes:
    """Returns a grey PNG with more `chunks` in front of its data. It may have fewer rows than its size says."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0)), *chunks]
    data = (b"\0" + b"\x80" * size[0]) * (size[1] if rows is None else rows)
    parts += [(b"IDAT", zlib.compress(data, 1)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


def picture(kind: str, *, size: tuple[int, int] = (1, 1), **options: Any) -> bytes:
    file = BytesIO()
    Image.effect_noise(size, 64).save(file, kind, **options)
    return file.getvalue()


def pdf_with_password(password: str) -> bytes:
    writer = PdfWriter()
    writer.add_blank_page(612, 792)
    writer.encrypt(password, "the owner's", algorithm="AES-256")
    file = BytesIO()
    writer.write(file)
    return file.getvalue()


APNG_FILE = png((b"acTL", struct.pack(">II", 1, 0)), (b"fcTL", struct.pack(">IIIIIHHBB", 0, 1, 1, 0, 0, 1, 10, 0, 0)))
JPEG_FILE = picture("JPEG")
PRINTER = b"\x1b%-12345X@PJL JOB\r\n@PJL ENTER LANGUAGE=PDF\r\n"

KINDS: dict[str, tuple[bytes, str | None]] = {
    "JPEG": (JPEG_FILE, "image/jpeg"),
    "PNG": (png(), "image/png"),
    "animated PNG": (APNG_FILE, "image/png"),
    "PDF": (PDF_FILE, "application/pdf"),
    "PDF behind a byte order mark": (b"\xef\xbb\xbf" + PDF_FILE, "application/pdf"),
    "PDF behind a space": (b" " + PDF_FILE, "application/pdf"),
    "PDF behind a line end": (b"\r\n" + PDF_FILE, "application/pdf"),
    "PDF behind a printer's header": (PRINTER + PDF_FILE, "application/pdf"),
    "PDF behind HTTP's header": (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\n\r\n" + PDF_FILE,
        "application/pdf",
    ),
    "PDF with a password": (pdf_with_password("secret"), "application/pdf"),
    "PDF that begins too late": (b" " * 1024 + PDF_FILE, None),
    "four bytes of PDF": (b"%PDF", None),
    "four bytes of PNG": (b"\x89PNG", None),
    "archive with a PDF in it": (b"PK\x03\x04" + b" " * 30 + PDF_FILE, None),
    "GIF": (b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", None),
    "page": (b"<html></html>", None),
}
"""Files, and the media type that each one has everywhere."""

EXTENSIONS = {"image/jpeg": ".jpg", "image/png": ".png", "application/pdf": ".pdf", None: ".pdf"}

LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r", " ", "\n\t"])
HEADERS = st.sampled_from(
    [
        "",
        "data:;base64,",
        "data:application/pdf;base64,",
        "DATA:application/pdf;charset=utf-8;BASE64,",
        "\n data:a;n=a,b;base64,",
        "\ufeff",
        "data:application/pdf;base64,\u200b",
    ]
)


@given(st.binary(max_size=300), st.integers(1, 100), LINE_ENDS, st.booleans(), HEADERS, st.booleans(), st.booleans())
def test_decode_file_reads_each_way_to_write_it(
    content: bytes, width: int, line_end: str, ends_line: bool, header: str, is_padded: bool, is_url_safe: bool
) -> None:
    text = (base64.urlsafe_b64encode if is_url_safe else base64.b64encode)(content).decode()
    text = text if is_padded else text.rstrip("=")
    lines = [text[start : start + width] for start in range(0, len(text), width)]
    assert decode_file(header + line_end.join(lines) + (line_end if ends_line else "")) == content


@given(st.binary(max_size=300))
def test_decode_file_reads_a_percent_encoded_data_url(content: bytes) -> None:
    assert decode_file(f"data:application/pdf;base64,{quote(base64.b64encode(content), safe='')}") == content


@pytest.mark.parametrize(
    "text", ["not base64!", "a%3D", "abcde", "ab=c", "abc=====", "é", "a,bcd", "data:text/plain,abcd"]
)
def test_decode_file_refuses_other_text(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - base64 has its own words
        decode_file(text)


@given(st.binary(max_size=1023))
def test_content_type_finds_a_pdf_behind_other_bytes(head: bytes) -> None:
    assume(filetype.guess_mime(head + b"%") is None)
    assume(b"%PDF-" not in head)
    assert content_type(head + PDF_FILE) == "application/pdf"


class ReadBack(httpx2.AsyncBaseTransport):
    """An upstream whose binder and templates hold one file."""

    def __init__(self, content: bytes) -> None:
        self._text = base64.encodebytes(content).decode()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body: Any = {"contents": self._text}
        if request.url.path.startswith("/v1/templates"):
            body = self._text if request.url.path.endswith("/file") else {"id": 278, "name": "Form"}
        return httpx2.Response(200, stream=httpx2.ByteStream(json.dumps(body).encode()))


async def _resource_type(client: Any, uri: str) -> str | None:
    """Returns the type of a file that is read as a resource, None for one that is refused by its kind."""
    try:
        return str((await client.read_resource(uri)).contents[0].mime_type)
    except MCPError as error:
        if "the file is n" in str(error):
            return None
        raise


@pytest.mark.parametrize("name", KINDS)
async def test_every_tool_and_resource_agrees_on_the_kind(name: str, connect: Connect, world: World) -> None:
    content, kind = KINDS[name]
    contents = base64.b64encode(content).decode()
    async with connect(personal_data="contact") as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))["customer_id"]
        document = {"customer_id": customer, "document_type": "deal", "document_name": "x", "contents": contents}
        document["file_name"] = f"a{EXTENSIONS[kind]}"
        before = len(await world.requests())
        upload = await client.call_tool("upload_document", {**AT_UMAZDA, **document})
        template = await client.call_tool("create_template", {**AT_UMAZDA, **NEW_TEMPLATE, "contents": contents})
        sent = len(await world.requests()) - before
    if kind is None:
        assert "contents: the file is neither JPEG, PNG nor PDF" in text_of(upload)
    else:
        answer_of(upload)
    is_pdf = kind == "application/pdf"
    if is_pdf:
        answer_of(template)
    else:
        assert "contents: the file is no PDF" in text_of(template)
    assert sent == (kind is not None) + is_pdf
    async with connect(personal_data="contact", upstream=ReadBack(content)) as client:
        at = {**AT_UMAZDA, "customer_id": 1650260, "document_id": 7}
        described = answer_of(await client.call_tool("get_document", at))
        form = answer_of(await client.call_tool("get_template_file", {**AT_UMAZDA, "template_id": "278"}))
        types = [
            await _resource_type(client, "roadster://umazda/customers/1650260/documents/7/file"),
            await _resource_type(client, "roadster://umazda/templates/278/file"),
        ]
    assert described.get("content_type") == kind
    assert form.get("content_type") == (kind if is_pdf else None)
    assert types == [kind, kind if is_pdf else None]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "path: the file is empty"),
        (b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", "path: the file is neither JPEG, PNG nor PDF, but image/gif"),
        (b"%PDF", "path: the file is neither JPEG, PNG nor PDF."),
    ],
)
async def test_error_about_a_path_names_path(
    content: bytes, words: str, connect: Connect, world: World, tmp_path: Path
) -> None:
    (tmp_path / "a.pdf").write_bytes(content)
    document = {"customer_id": 1650260, "document_type": "deal", "document_name": "x", "file_name": "a.pdf"}
    async with connect(change={"uploads": UploadSettings(folder=tmp_path)}) as client:
        result = await client.call_tool("upload_document", {**AT_UMAZDA, **document, "path": "a.pdf"})
    assert words in text_of(result)
    assert kind_of(result) == "invalid_arguments"
    assert await world.requests() == []


@pytest.mark.parametrize("contents", ["data:application/pdf;base64,", "===", "%PDF-1.4"])
async def test_contents_without_a_file_send_nothing(contents: str, connect: Connect, world: World) -> None:
    document = {"customer_id": 1650260, "document_type": "deal", "document_name": "x", "file_name": "a.pdf"}
    async with connect() as client:
        result = await client.call_tool("upload_document", {**AT_UMAZDA, **document, "contents": contents})
    assert "contents: the file is empty" in text_of(result) or "contents: is not base64" in text_of(result)
    assert await world.requests() == []


@pytest.mark.parametrize(("password", "is_told"), [("secret", True), ("", False)])
@pytest.mark.parametrize("head", [b"", PRINTER])
async def test_upload_tells_that_a_pdf_asks_for_a_password(
    head: bytes, password: str, is_told: bool, connect: Connect
) -> None:
    """The upload goes on, because a dealer may want such a file. The owner's own keeps nobody from reading."""
    contents = base64.b64encode(head + pdf_with_password(password)).decode()
    async with connect() as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))["customer_id"]
        document = {"customer_id": customer, "document_type": "deal", "document_name": "x", "file_name": "a.pdf"}
        upload = await client.call_tool("upload_document", {**AT_UMAZDA, **document, "contents": contents})
        template = await client.call_tool("create_template", {**AT_UMAZDA, **NEW_TEMPLATE, "contents": contents})
    for result in (upload, template):
        assert ("notices" in answer_of(result)) is is_told
        assert ("The PDF asks for a password" in text_of(result)) is is_told

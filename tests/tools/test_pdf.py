"""Counting a PDF's pages: right for honest files, and without harm for hostile ones."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from io import BytesIO
from types import FrameType

import anyio
import pytest
from pypdf import PdfWriter

from roadster_sandbox.world.pdf import make_pdf
from roadster_tools.pdf import read_pdf
from tests.servers import PATIENCE
from tests.tools.pdf_files import CATALOG, packed_pdf, pages_of, pdf_with_kids, plain_pdf

pytestmark = pytest.mark.anyio

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
async def test_read_pdf_counts(pages: int, write: Callable[[Sequence[bytes]], bytes]) -> None:
    assert (await read_pdf(write(pages_of(pages)))).pages == pages


async def test_read_pdf_counts_the_sandboxs_templates() -> None:
    assert (await read_pdf(make_pdf("Insurance Acknowledgement", 2))).pages == 2


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"%PDF-1.4\n%%EOF", id="header only"),
        pytest.param(b"%PDF-1.5\n<</Type/ObjStm>>\nstream\nno zlib\nendstream", id="no table"),
        pytest.param(plain_pdf(pages_of(2))[:-200], id="cut off"),
        pytest.param(packed_pdf(pages_of(2))[:-60], id="cut off in its table"),
        pytest.param(packed_pdf(pages_of(2)).replace(b"x\x9c", b"xx"), id="no zlib"),
        pytest.param(plain_pdf([CATALOG]), id="no pages object"),
        pytest.param(plain_pdf(pages_of(0)), id="no pages"),
        pytest.param(encrypted_pdf("secret"), id="encrypted"),
        pytest.param(encrypted_pdf(""), id="encrypted without a password"),
        pytest.param(
            plain_pdf([*pages_of(1), b"<</Filter/Standard/V 5/R 6/O 1/U[]>>"], trailer=b"/Encrypt 4 0 R"),
            id="encrypted in no way",
        ),
        pytest.param(plain_pdf(pdf_with_kids(b"[2 0 R]")), id="a page tree that holds itself"),
        pytest.param(plain_pdf(pdf_with_kids(b"[3 0 R]", *CHAIN, PAGE)), id="a deep page tree"),
        pytest.param(plain_pdf(pdf_with_kids(b"[" * 200_000 + b"]" * 200_000)), id="deep lists"),
        pytest.param(plain_pdf(pdf_with_kids(b"<</A " * 200_000 + b">>" * 200_000)), id="deep dictionaries"),
        pytest.param(plain_pdf(pdf_with_kids(b"[%b]" % (b"3 0 R " * 99_000), PAGE)), id="one page many times"),
        pytest.param(packed_pdf([*pages_of(1), b"(%b)" % (b"x" * 50_000_000)]), id="much in little"),
        pytest.param(packed_pdf([*pages_of(1), *[b"null"] * 250_000]), id="many objects"),
        pytest.param(plain_pdf(pdf_with_kids(b"[9 0 R]", b"(%b)" % (b"x" * 10_000_000))), id="huge"),
        pytest.param(b"%PDF-1.7\n" + b" " * 10_000_000, id="huge and empty"),
    ],
)
async def test_read_pdf_is_none_for_what_cannot_be_read(content: bytes) -> None:
    with anyio.fail_after(PATIENCE):
        assert (await read_pdf(content)).pages is None


async def test_read_pdf_ends_in_time_and_leaves_no_thread_at_work() -> None:
    """Each page is looked for in the whole file, because the table puts all of them at one place."""
    content = plain_pdf(pages_of(40_000), offsets=[9, 50, *[11] * 40_000])
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await anyio.sleep(0.1)
            turns += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take_turns)
        with anyio.fail_after(PATIENCE):
            assert (await read_pdf(content)).pages is None
            while any(map(is_in_pypdf, sys._current_frames().values())):
                await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()
    assert turns > 2, "the other calls had to wait"


def is_in_pypdf(frame: FrameType | None) -> bool:
    return frame is not None and ("pypdf" in frame.f_code.co_filename or is_in_pypdf(frame.f_back))

"""Files that callers hand over: each has a type, or none, and nothing about it is an exception but "not base64"."""

from __future__ import annotations

import base64
import contextlib

from anyio.from_thread import BlockingPortal
from hypothesis import given
from hypothesis import strategies as st

from roadster_client.models.values import decode_file
from roadster_tools.failures import InvalidArguments
from roadster_tools.files.files import Upload, check_content, content_type
from tests.tools.pdf_files import packed_pdf, pages_of, plain_pdf
from tests.tools.test_files import APNG_FILE, EXTENSIONS, JPEG_FILE, PRINTER, pdf_with_password, png

from .conftest import Watch, fuzzing
from .inputs import changed

_FILES = [
    plain_pdf(pages_of(2)),
    packed_pdf(pages_of(2)),
    PRINTER + plain_pdf(pages_of(1)),
    pdf_with_password("secret"),
    png(),
    APNG_FILE,
    JPEG_FILE,
]


def test_file_of_any_kind_is_read_or_refused(portal: BlockingPortal, watch: Watch) -> None:
    @fuzzing
    @given(changed(_FILES) | st.binary(max_size=200), st.booleans())
    def read(content: bytes, is_encoded: bool) -> None:
        text = base64.b64encode(content).decode() if is_encoded else content.decode("latin-1")
        with contextlib.suppress(ValueError):
            decoded = decode_file(text)
            assert not is_encoded or decoded == content
        with contextlib.suppress(InvalidArguments):
            name = f"a{EXTENSIONS[content_type(content)]}"
            facts = portal.call(check_content, Upload(content, "contents"), name)
            assert facts.pages is None or facts.pages > 0
        watch.after_input()

    watch.run(read)

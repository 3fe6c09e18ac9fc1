"""Small valid PDFs with one line of text on each page."""

from __future__ import annotations

from itertools import accumulate


def make_pdf(text: str, pages: int) -> bytes:
    """Returns a PDF 1.4 with `pages` pages in letter size. `text` is ASCII without parentheses and backslashes."""
    kids = " ".join(f"{4 + 2 * page} 0 R" for page in range(pages))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {pages}>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for page in range(pages):
        content = f"BT /F1 14 Tf 72 720 Td ({text}, page {page + 1} of {pages}) Tj ET"
        resources = f"/Resources<</Font<</F1 3 0 R>>>>/Contents {5 + 2 * page} 0 R"
        objects += [
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]{resources}>>",
            f"<</Length {len(content)}>>\nstream\n{content}\nendstream",
        ]
    parts = ["%PDF-1.4\n", *(f"{number} 0 obj\n{body}\nendobj\n" for number, body in enumerate(objects, 1))]
    *offsets, end = accumulate(map(len, parts))
    entries = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    table = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{entries}"
    trailer = f"trailer\n<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{end}\n%%EOF\n"
    return "".join([*parts, table, trailer]).encode("ascii")

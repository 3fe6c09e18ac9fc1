"""PDFs written object by object: honest ones and hostile ones."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from itertools import accumulate

CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"


def plain_pdf(objects: Sequence[bytes], *, offsets: Sequence[int] | None = None, trailer: bytes = b"") -> bytes:
    """Returns a PDF 1.4 of `objects`, numbered from 1. The first is the catalog. `offsets` may place them wrongly."""
    parts = [b"%PDF-1.4\n", *(b"%d 0 obj\n%b\nendobj\n" % entry for entry in enumerate(objects, 1))]
    *true_offsets, end = accumulate(map(len, parts))
    entries = b"".join(b"%010d 00000 n \n" % offset for offset in offsets or true_offsets)
    table = b"xref\n0 %d\n0000000000 65535 f \n%b" % (len(objects) + 1, entries)
    end_of_file = b"trailer\n<</Size %d/Root 1 0 R%b>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, end)
    return b"".join([*parts, table, end_of_file])


def packed_pdf(objects: Sequence[bytes]) -> bytes:
    """Returns a PDF 1.5 with `objects`, numbered from 1, in one compressed stream, as newer programs write them."""
    places = accumulate((len(object_) + 1 for object_ in objects), initial=0)
    index = b"".join(b"%d %d " % entry for entry in zip(range(1, len(objects) + 1), places, strict=False))
    count = len(objects)
    pack = _stream(b"/Type/ObjStm/N %d/First %d" % (count, len(index)), index + b"".join(o + b" " for o in objects))
    first = b"%%PDF-1.5\n%d 0 obj\n%b\nendobj\n" % (count + 1, pack)
    # Rows by object number: the free one, the objects in the pack, the pack, and this table.
    rows = [(0, 0, 65535), *((2, count + 1, at % 65536) for at in range(count)), (1, 9, 0), (1, len(first), 0)]
    table = _stream(
        b"/Type/XRef/Size %d/W[1 4 2]/Root 1 0 R" % len(rows), b"".join(struct.pack(">BIH", *row) for row in rows)
    )
    return b"%b%d 0 obj\n%b\nendobj\nstartxref\n%d\n%%%%EOF\n" % (first, count + 2, table, len(first))


def _stream(entries: bytes, content: bytes) -> bytes:
    compressed = zlib.compress(content)
    return b"<<%b/Filter/FlateDecode/Length %d>>\nstream\n%b\nendstream" % (
        entries,
        len(compressed),
        compressed,
    )


def pages_of(count: int) -> list[bytes]:
    """Returns the objects of a PDF with `count` empty pages."""
    kids = b" ".join(b"%d 0 R" % number for number in range(3, count + 3))
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]>>"
    return [CATALOG, b"<</Type/Pages/Kids[%b]/Count %d>>" % (kids, count), *[page] * count]


def pdf_with_kids(kids: bytes, *others: bytes) -> list[bytes]:
    """Returns the objects of a PDF with `kids` as its list of pages."""
    return [CATALOG, b"<</Type/Pages/Kids %b/Count 1>>" % kids, *others]

"""Finds the id of a message that cannot be read.

Its sender learns by it which of its requests was refused. A client that gets an error under no id waits for its answer
until its own time limit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from mcp_types import RequestId
from pydantic_core import from_json

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[{\[]+|[}\]]+|[:,]|[^\s"{}\[\]:,]+', re.DOTALL)
"""One token of JSON, or a run of brackets. It never looks twice at a byte, whatever the text is."""


_LONGEST = 1_000
"""Characters of an id."""
_PART = 64 * 1024
"""Bytes that are looked at, so that a refusal never takes long."""

_LAST_ID = re.compile(
    rb',\s*+"id"\s*+:\s*+("(?:[^"\\]++|\\.)*+"|[^\s"{}\[\]:,]++)\s*+(?:,\s*+"jsonrpc"\s*+:\s*+"2\.0"\s*+)?\}\s*+\Z',
    re.DOTALL,
)
"""The id as the last member of a request, where some SDKs write it."""


def find_id(raw: bytes) -> RequestId | float | None:
    """Returns the id of the request in `raw`. Returns None where it has none, two, or one that is no id.

    The text may be cut off, nested too deep, not UTF-8, or repeat a key. The id of an answer belongs to a request of
    ours, so it is not returned. Of a long text only the beginning is read, and the id at the very end.
    """
    ids = []
    names = set()
    for name, value in _members(raw[:_PART]):
        match _parse(name):
            case "id":
                ids.append(value)
            case "method" | "result" | "error" as envelope:
                names.add(envelope)
    if not ids and "method" in names and (last := _LAST_ID.search(raw[-_PART:])):
        ids.append(last[1])
    if len(ids) != 1 or (names and "method" not in names):
        return None
    return plain_id(_parse(ids[0]))


def plain_id(id_: Any) -> RequestId | float | None:
    """Returns the id with 1.0 as 1. Returns None where it is no string and no number, or too long to be repeated."""
    match id_:
        case bool():
            return None
        case float():
            return None if not math.isfinite(id_) else int(id_) if id_.is_integer() else id_
        case str() if len(id_) > _LONGEST:
            return None
        case str() | int():
            return id_
        case _:
            return None


def _members(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields each name of the outermost object, with the first token of its value."""
    depth = 0
    name = before = b""
    for match in _TOKEN.finditer(raw):
        token = match[0]
        if depth == 0 and token != b"{":
            return  # no object, or the end of it
        if depth == 1:
            if token == b":":
                name = before
            elif name and match.end() < len(raw):  # the last token may be the beginning of a longer one
                yield name, token
                name = b""
            before = token
        if token[0] in b"{[":
            depth += len(token)
        elif token[0] in b"}]":
            depth -= len(token)
            if depth <= 0:
                return


def _parse(token: bytes) -> Any:
    try:
        return from_json(token)
    except ValueError:
        return None

"""Inputs that nobody meant to send: valid ones with a few changes, and bytes without any sense."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

Edit = Callable[[bytes], bytes]
"""Changes the bytes of a valid input."""

_ODD_PARTS = [
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"=", b".", b"\\", b"\\u0000", b"\\ud800", b"\xff", b"\xef\xbb\xbf"),
    *(b"null", b"true", b"{}", b"[]", b"-0", b"1e999", b"NaN", b"9" * 400, b"[" * 300, b"\0", b"\r\n", b"\x1f\x8b"),
    *(b"\xe2\x80\x8b", b"\xf0\x9f\x9a\x97", b"..", b"%2f", b"<</Type/Pages>>", b"stream", b"endobj", b"IDAT"),
]
_TEXTS = st.text(max_size=20) | st.sampled_from(
    ["", " ", "\0", "\ud800", "\u202e", "\u200b", "umazda", "toyotademo", "../..", "1e999", "x" * 2000, "{}", "[]"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -(2**63), 10**400, 0, -1])
    | st.floats()
    | _TEXTS,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(_TEXTS, values, max_size=4),
    max_leaves=8,
)
"""Values as JSON may hold them, the ones that it may not hold included: Python's `json` writes and reads them."""


def _change_bytes(content: bytes, place: int, how: str, part: bytes) -> bytes:
    at = place % (len(content) + 1)
    match how:
        case "overwrite":
            return content[:at] + part + content[at + len(part) :]
        case "insert":
            return content[:at] + part + content[at:]
        case "cut":
            return content[:at] + content[at + len(part) + 1 :]
        case "end":
            return content[:at]
        case _:
            return content[:at] + content[at // 2 : at] + content[at:]


def _paths(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    paths = [path]
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        paths += _paths(child, (*path, key))
    return paths


_LEAVE_OUT = object()


def _change_value(document: Any, place: int, value: Any) -> Any:
    """Returns a copy in which one value, at any depth, is another one, or left out."""
    paths = _paths(document)[1:]  # without the whole document
    if not paths:
        return document
    path = paths[place % len(paths)]
    document = deepcopy(document)
    node = document
    for key in path[:-1]:
        node = node[key]
    if value is _LEAVE_OUT:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return document


_PLACES = st.integers(0, 2**20)
byte_edits: st.SearchStrategy[Edit] = st.lists(
    st.tuples(
        _PLACES,
        st.sampled_from(["overwrite", "insert", "cut", "end", "repeat"]),
        st.binary(min_size=1, max_size=6) | st.sampled_from(_ODD_PARTS),
    ),
    max_size=2,
).map(lambda changes: lambda content: _with_changes(content, changes, _change_bytes))

_value_changes = st.lists(st.tuples(_PLACES, VALUES | st.just(_LEAVE_OUT)), min_size=1, max_size=3)


def _with_changes(content: Any, changes: Sequence[Any], change: Callable[..., Any]) -> Any:
    for arguments in changes:
        content = change(content, *arguments)
    return content


def changed_values(document: Any) -> st.SearchStrategy[Any]:
    """Returns copies of the document with some of its values replaced or left out."""
    return _value_changes.map(lambda changes: _with_changes(document, changes, _change_value))


def _edit_json(content: bytes, changes: Sequence[Any]) -> bytes:
    try:
        document = json.loads(content)
    except ValueError:
        return content
    return json.dumps(_with_changes(document, changes, _change_value)).encode()


edits: st.SearchStrategy[Edit] = (
    byte_edits
    # Twice, because the text stays JSON and so gets further than the others.
    | (value_edits := _value_changes.map(lambda changes: lambda content: _edit_json(content, changes)))
    | value_edits
    | (st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode())).map(
        lambda other: lambda _: other
    )
)
"""Changes of a JSON text: in its bytes, in its values, or to something else altogether."""


def changed(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Returns each seed with a few of its bytes changed."""
    return st.builds(lambda seed, edit: edit(seed), st.sampled_from(seeds), byte_edits)

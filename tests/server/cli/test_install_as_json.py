"""`install` changes only its own text in a JSON file, whatever else is written there, with comments or without."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadster_server.cli.install.entries.entry_file import UnsafeFile, change_entry
from roadster_server.cli.install.entries.json_entry import JsonEntry

OURS = {"command": "/bin/roadster-mcp", "args": ["serve", "--sandbox"]}
OLD = json.dumps({"command": "roadster-mcp", "args": []}, indent=1)
FILE = JsonEntry("mcpServers", "roadster", with_comments=True)

WHITE = st.sampled_from(["", "", " ", "\n", "\n  ", "\r\n\t"])
COMMENTS = st.sampled_from(['// a "note"\n', "// b, c\r\n", "/* { */", "/* two\nlines */", "//\n"])
GAPS = st.lists(WHITE | COMMENTS, max_size=3).map("".join)
SCALARS = st.sampled_from(
    ["1e400", "-0", "0.10", "123456789012345678901234567890", r'"\ud83d"', r'"\u00e9 é // no"', '"a,}"', "true", "null"]
)
KEYS = st.sampled_from([r'"\ud83d"', '"a"', '"b"', '"mcpServers"', '"roadster"', '"//"', '""'])


@st.composite
def collections(draw: st.DrawFn, items: st.SearchStrategy[str], marks: str) -> str:
    """Draws an object or a list, with gaps around all of its parts and perhaps with a comma at its end."""
    parts = [draw(GAPS) + item + draw(GAPS) for item in draw(st.lists(items, max_size=4))]
    comma = draw(st.sampled_from(["", ","])) if parts else ""
    return f"{marks[0]}{','.join(parts)}{comma}{draw(GAPS)}{marks[1]}"


def members(keys: st.SearchStrategy[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(keys, GAPS, GAPS, values).map(lambda parts: f"{parts[0]}{parts[1]}:{parts[2]}{parts[3]}")


VALUES = st.recursive(
    SCALARS, lambda values: collections(values, "[]") | collections(members(KEYS, values), "{}"), max_leaves=6
)
SERVERS = collections(members(KEYS, VALUES) | st.just(f'"roadster": {OLD}'), "{}")
DOCUMENTS = collections(
    members(KEYS, VALUES) | members(st.just('"mcpServers"'), SERVERS) | st.just(f'"x": {OLD}'), "{}"
)
TEXTS = st.tuples(GAPS, DOCUMENTS, GAPS).map("".join)


def comments(text: str) -> list[str]:
    parts = re.findall(r'"(?:[^"\\]|\\.)*"|(//[^\r\n]*|/\*.*?\*/)', text, re.DOTALL)
    return [part for part in parts if part]


def plain(text: str) -> Any:
    """Reads JSON with comments and commas at ends, without the module under test."""
    text = re.sub(r'("(?:[^"\\]|\\.)*")|//[^\r\n]*|/\*.*?\*/', lambda part: part[1] or " ", text, flags=re.DOTALL)
    return json.loads(re.sub(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', lambda part: part[1] or "", text))


@given(TEXTS)
def test_our_entry_goes_from_every_place(text: str) -> None:
    """A host that writes its file anew may put our entry anywhere. The comments of all others stay."""
    try:
        if FILE.read(text) is None:
            return
    except UnsafeFile:
        return
    after = change_entry(FILE, text, None)
    assert others(plain(after)) == others(plain(text))
    if text.count('"roadster"') == text.count(f'"roadster": {OLD}') == 1:
        assert comments(after) == comments(text)


def others(document: dict[str, Any]) -> dict[str, Any]:
    servers = {name: server for name, server in document.get("mcpServers", {}).items() if name != "roadster"}
    rest = {key: value for key, value in document.items() if key != "mcpServers"}
    return rest | ({"mcpServers": servers} if servers else {})


@given(TEXTS)
def test_all_else_in_a_file_stays_as_it_is_written(text: str) -> None:
    """Every file that a host of our list reads, with its numbers, escapes, comments and commas at ends."""
    try:
        old = FILE.read(text)
    except UnsafeFile:
        return  # a key that stands twice
    after = change_entry(FILE, text, OURS)
    assert plain(after)["mcpServers"]["roadster"] == OURS
    assert others(plain(after)) == others(plain(text))
    if old is not None:
        return
    assert comments(after) == comments(text)
    again = change_entry(FILE, after, None)
    assert comments(again) == comments(text)
    if plain(text).get("mcpServers", {"none": "yet"}):
        assert again == text


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", "1", "{} {}", "{,}", "{'a': 1}", "{a: 1}", "\ufeff{}", "[" * 5_000),
        *('{"a": 01}', '{"a": +1}', '{"a": NaN}', '{"a": "\t"}', '{"a": "\\x"}', '{"a": [1,,2]}'),
        *('{"a" 1}', '{"a": 1 "b": 2}', '{"a": /* }', '{"a": // b\rc\n 1}'),
    ],
)
def test_text_that_is_no_json_with_comments_is_refused(text: str) -> None:
    with pytest.raises(UnsafeFile, match=r"not JSON.* at line \d+ column \d+|no JSON object"):
        change_entry(FILE, text, OURS)

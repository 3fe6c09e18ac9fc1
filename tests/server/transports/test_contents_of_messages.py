"""A message holds few values, and much text only in a file."""

from __future__ import annotations

import json
import tracemalloc
from base64 import b64encode
from typing import Any

import pytest
from mcp_types import INVALID_REQUEST

from roadster_server.transports.message_size import MAX_MESSAGE_BYTES
from roadster_server.transports.messages import MOST_VALUES, MessageRefused, read_message
from roadster_tools.files.files import MAX_INLINE_BYTES

pytestmark = pytest.mark.anyio


def peak_of(raw: bytes) -> int:
    """Returns the most bytes that reading takes beside the message itself."""
    tracemalloc.start()
    try:
        read_message(raw)
    except MessageRefused:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


@pytest.mark.reliability(
    "a message of 1.3 million values", "is not parsed: above 2,000 values it is refused under its id"
)
def test_message_of_too_many_values_is_not_parsed() -> None:
    head = b'{"jsonrpc": "2.0", "id": 7, "method": "ping", "params": {"a": ['
    largest = head + b",".join([b"{}"] * ((MOST_VALUES - 6) // 2)) + b"]}}"
    assert read_message(largest)
    too_many = (head + b",".join([b"{}"] * 1_300_000) + b"]}}")[:MAX_MESSAGE_BYTES]
    assert peak_of(too_many) < len(too_many), "less than a copy of it"
    with pytest.raises(MessageRefused, match="more than 2,000 values"):
        read_message(too_many)


FILE = b64encode(bytes(MAX_INLINE_BYTES)).decode()
MEBIBYTE = "a" * 2**20


def upload(contents: str, **more: Any) -> dict[str, Any]:
    params = {"name": "upload_document", "arguments": {"contents": contents}, **more}
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}


@pytest.mark.parametrize(
    "message",
    [
        upload(FILE),
        upload("\r\n".join(FILE[start : start + 76] for start in range(0, len(FILE), 76))),
        upload(FILE, _meta={"progressToken": 1, "note": "a" * 65_000}),
    ],
    ids=["largest file", "in lines", "with much beside it"],
)
def test_file_does_not_count(message: dict[str, Any]) -> None:
    assert read_message(json.dumps(message).replace("/", "\\/").encode())


@pytest.mark.reliability(
    "a large message that is no upload of a file",
    "is refused in words: 64 KiB are allowed beside the contents of a file",
)
@pytest.mark.parametrize(
    "message",
    [
        upload(FILE, _meta={"note": MEBIBYTE}),
        upload("é" + MEBIBYTE),
        {**upload(FILE), "method": "prompts/get"},
        {
            "jsonrpc": "2.0",
            "id": 7,
            "method": "tools/call",
            "params": {"name": "x", "arguments": {"message": MEBIBYTE}},
        },
        {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"arguments": {"contents": [MEBIBYTE]}}},
        {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": [MEBIBYTE]},
    ],
    ids=["_meta", "no base64", "no call", "another argument", "no text", "no object"],
)
def test_only_a_file_may_be_large(message: dict[str, Any]) -> None:
    with pytest.raises(MessageRefused) as refusal:
        read_message(json.dumps(message).encode())
    answer = json.loads(refusal.value.json())
    assert (answer["id"], answer["error"]["code"]) == (7, INVALID_REQUEST)
    if isinstance(message["params"], dict):
        assert answer["error"]["message"].endswith("larger than 65536 bytes without the contents of a file")

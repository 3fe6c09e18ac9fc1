"""The arguments of a call as hosts write them, before the SDK reads the message: over HTTP and over stdio alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import INVALID_PARAMS

from roadster_server.transports.messages import MessageRefused, read_message

METHODS = st.sampled_from(["tools/call", "prompts/get"])
OBJECTS = st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5), max_size=3)


def call(method: str, arguments: Any) -> bytes:
    params = {"name": "list_dealers", "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).encode()


@given(METHODS, OBJECTS, st.sampled_from(["", " ", "\n", "\ufeff"]))
def test_arguments_may_be_json_text(method: str, arguments: dict[str, Any], blank: str) -> None:
    sound = read_message(call(method, f"{blank}{json.dumps(arguments)}{blank.strip(chr(0xFEFF))}"))
    assert sound == read_message(json.dumps(json.loads(sound.text)).encode())._replace(text=sound.text)
    assert json.loads(sound.text) == json.loads(call(method, arguments))


@given(METHODS, st.sampled_from(["", " ", "\n\t", []]))
def test_blank_arguments_are_none(method: str, arguments: Any) -> None:
    """PHP writes an empty list for an empty object."""
    assert json.loads(read_message(call(method, arguments)).text) == json.loads(call(method, {}))


@given(METHODS, st.sampled_from(["x", "[1]", "7", "null", '{"a": 1, "a": 2}', "{", '{"a": NaN}', "[" * 5_000]))
def test_text_without_an_object_is_refused_in_words(method: str, arguments: str) -> None:
    with pytest.raises(MessageRefused) as refusal:
        read_message(call(method, arguments))
    answer = json.loads(refusal.value.json())
    assert (answer["id"], answer["error"]["code"]) == (7, INVALID_PARAMS)
    assert answer["error"]["message"] == "Invalid params: arguments: expected an object, or its JSON text"


def test_json_text_of_a_file_may_be_large() -> None:
    arguments = {"contents": "a" * 100_000}
    assert json.loads(read_message(call("tools/call", json.dumps(arguments))).text) == json.loads(
        call("tools/call", arguments)
    )

"""Checks the messages of clients before the SDK sees them.

The SDK takes the last of two equal keys, repeats a malformed message in its answer on HTTP, and does not answer one at
all on stdio. The refusals of this module repeat nothing.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from mcp_types import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCRequest,
    RequestId,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

from roadster_client.json_text import RepeatedKey, TooManyValues, mend_json, parse_strict_json

from .message_id import find_id, plain_id

MOST_VALUES = 2_000
"""Values of a message. It is in the memory until its call ends. A call has a hundred or so."""
MOST_BESIDE_FILE = 64 * 1024
"""Bytes of a message without the contents of its file."""

NOT_NOW = -32000
"""The error code of requests that the server cannot take at the moment. JSON-RPC leaves it to servers."""
NO_PLACE = "Limited: too many large messages at once; send it again later"
STOPPING = "The server is stopping; connect again"


class _Refusal(JSONRPCError):
    # JSON-RPC allows an id with a fraction, and MCP does not. Its sender still has to learn of the refusal.
    id: RequestId | float | None  # type: ignore[assignment]


class MessageRefused(Exception):
    """A message that is not handed on. `answer` is for its sender, under the message's id where that is known."""

    def __init__(self, code: int, message: str, id_: RequestId | float | None = None) -> None:
        super().__init__(message)
        self.answer = _Refusal(jsonrpc="2.0", id=id_, error=ErrorData(code=code, message=message))

    def json(self) -> str:
        return self.answer.model_dump_json(by_alias=True, exclude_unset=True)


class SoundMessage(NamedTuple):
    """A message of a client, and its text as the SDK can read it."""

    message: JSONRPCMessage
    text: bytes


def read_message(raw: bytes) -> SoundMessage:
    """Returns the one JSON-RPC message in `raw`. Raises MessageRefused."""
    text = mend_json(raw)
    try:
        document = parse_strict_json(text, MOST_VALUES)
    except (TooManyValues, RepeatedKey) as error:
        raise MessageRefused(INVALID_REQUEST, f"Invalid request: {error}", find_id(text)) from None
    except ValueError:
        problem = "Parse error: not JSON, nested too deep, or with a number that is too long"
        raise MessageRefused(PARSE_ERROR, problem, find_id(text)) from None
    if isinstance(document, list):
        raise MessageRefused(INVALID_REQUEST, "Invalid request: batches are not served; send one message at a time")
    if isinstance(document, dict) and _mend(document):
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    try:
        message = jsonrpc_message_adapter.validate_python(document, by_name=False)
    except ValidationError:
        raise _not_a_message(document) from None
    # The SDK would take a request with an odd id as a notification, and one with a result as an answer.
    if {"id", "method"} <= document.keys() and not isinstance(message, JSONRPCRequest):
        raise _not_a_message(document)
    if len(text) > MOST_BESIDE_FILE and _size(_without_file(message)) > MOST_BESIDE_FILE:
        problem = f"Invalid request: larger than {MOST_BESIDE_FILE} bytes without the contents of a file"
        raise MessageRefused(INVALID_REQUEST, problem, plain_id(document.get("id")) if "method" in document else None)
    return SoundMessage(message, text)


def _mend(document: dict[str, Any]) -> bool:
    """Changes what some hosts write in another form than the SDK reads, and tells whether there was any such thing.

    Programs whose numbers are all floating-point write the id 1 as 1.0. A call's arguments may come as JSON text, as
    a blank text, or as the empty list that PHP writes for an empty object. Raises MessageRefused for a text
    that holds no object.
    """
    is_mended = False
    if isinstance(document.get("id"), float) and document["id"].is_integer():
        document["id"] = int(document["id"])
        is_mended = True
    match document:
        case {"method": "tools/call" | "prompts/get", "params": {"arguments": (str() | []) as arguments} as params}:
            params["arguments"] = _read_object(arguments or "", plain_id(document.get("id")))
            is_mended = True
    return is_mended


def _read_object(text: str, id_: RequestId | float | None) -> dict[str, Any]:
    try:
        value = parse_strict_json(mend_json(text.encode()), MOST_VALUES) if text.strip() else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise MessageRefused(INVALID_PARAMS, "Invalid params: arguments: expected an object, or its JSON text", id_)
    return value


def _without_file(message: JSONRPCMessage) -> JSONRPCMessage:
    """Returns a call without the base64 text of its file, and any other message as it is."""
    if isinstance(message, JSONRPCRequest) and message.method == "tools/call" and message.params is not None:
        match message.params.get("arguments"):
            # Other texts than ASCII are not base64, and may take four times their size.
            case {"contents": str(contents), **others} if contents.isascii():
                return message.model_copy(update={"params": {**message.params, "arguments": others}})
    return message


def _size(message: JSONRPCMessage) -> int:
    return len(message.model_dump_json(by_alias=True).encode())


def _not_a_message(document: Any) -> MessageRefused:
    problem, id_ = "Invalid request: not a JSON-RPC 2.0 message", None
    if isinstance(document, dict):
        id_ = plain_id(document.get("id"))
        if "method" in document:
            if "id" in document and not isinstance(id_, str | int):
                problem = "Invalid request: the id must be a string or an integer"
        elif document.keys() & {"result", "error"}:
            id_ = None  # it is the id of a request of ours
    return MessageRefused(INVALID_REQUEST, problem, id_)


_STARTERS = ("initialize", "server/discover", "tools/call", "resources/read", "completion/complete")
"""Methods that begin something new."""


def refuse_while_stopping(message: JSONRPCMessage) -> None:
    """Raises MessageRefused for a message that begins something. Calls in flight may still need all other messages."""
    if isinstance(message, JSONRPCRequest) and message.method in _STARTERS:
        raise MessageRefused(NOT_NOW, STOPPING, message.id)

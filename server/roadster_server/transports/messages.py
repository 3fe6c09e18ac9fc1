"""The messages that clients send, checked before the SDK sees them.

The SDK takes the last of two equal keys, quotes a malformed message back on HTTP, and answers nothing
to one on stdio. What is refused here is answered in words of ours that quote nothing.
"""

from __future__ import annotations

import json
from typing import Any

from mcp_types import (
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
from pydantic_core import from_json

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
TOO_LARGE = f"Invalid request: larger than {MAX_MESSAGE_BYTES} bytes"

SERVER_STOPPING = -32000
"""The code for requests that come after the server began to stop: among those that JSON-RPC leaves to servers."""


class MessageRefused(Exception):
    """`answer` is what its sender is told, under the message's id where that is known."""

    def __init__(self, code: int, message: str, id_: RequestId | None = None) -> None:
        super().__init__(message)
        self.answer = JSONRPCError(jsonrpc="2.0", id=id_, error=ErrorData(code=code, message=message))

    def json(self) -> str:
        return self.answer.model_dump_json(by_alias=True, exclude_unset=True)


def read_message(raw: bytes) -> JSONRPCMessage:
    """The one JSON-RPC message in `raw`. Raises MessageRefused."""
    decoded: Any = None
    try:
        # First the parser that ends at 200 levels and cannot overflow the stack.
        decoded = from_json(raw)
        json.loads(raw, object_pairs_hook=_without_duplicates)
    except _DuplicateKey as error:
        id_ = None if error.of_id else _id_of(decoded)
        raise MessageRefused(INVALID_REQUEST, "Invalid request: an object holds the same key twice", id_) from None
    except ValueError:
        raise MessageRefused(
            PARSE_ERROR, "Parse error: not JSON, nested too deep, or with a number that is too long"
        ) from None
    if isinstance(decoded, list):
        raise MessageRefused(INVALID_REQUEST, "Invalid request: batches are not served; send one message at a time")
    try:
        return jsonrpc_message_adapter.validate_python(decoded, by_name=False)
    except ValidationError:
        raise MessageRefused(INVALID_REQUEST, "Invalid request: not a JSON-RPC 2.0 message", _id_of(decoded)) from None


_BEGINNINGS = ("initialize", "server/discover", "tools/call", "resources/read", "completion/complete")


def refuse_while_stopping(message: JSONRPCMessage) -> None:
    """Raises MessageRefused for what begins something; calls in flight may still need all other messages."""
    if isinstance(message, JSONRPCRequest) and message.method in _BEGINNINGS:
        raise MessageRefused(SERVER_STOPPING, "The server is stopping; connect again", message.id)


def _id_of(decoded: Any) -> RequestId | None:
    id_ = decoded.get("id") if isinstance(decoded, dict) else None
    return id_ if isinstance(id_, str | int) and not isinstance(id_, bool) else None


class _DuplicateKey(ValueError):
    def __init__(self, *, of_id: bool) -> None:
        super().__init__()
        self.of_id = of_id


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _DuplicateKey(of_id=[name for name, _ in pairs].count("id") > 1)
    return found

"""Checks the messages of clients before the SDK sees them.

The SDK takes the last of two equal keys, repeats a malformed message in its answer on HTTP, and does not answer one at
all on stdio. The refusals of this module repeat nothing.
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
"""Bytes. A file of 1 MiB in base64 fits, with room for the other arguments."""
TOO_LARGE = f"Invalid request: larger than {MAX_MESSAGE_BYTES} bytes"

SERVER_STOPPING = -32000
"""The error code of requests that come after the server began to stop. JSON-RPC leaves it to servers."""


class MessageRefused(Exception):
    """A message that is not handed on. `answer` is for its sender, under the message's id where that is known."""

    def __init__(self, code: int, message: str, id_: RequestId | None = None) -> None:
        super().__init__(message)
        self.answer = JSONRPCError(jsonrpc="2.0", id=id_, error=ErrorData(code=code, message=message))

    def json(self) -> str:
        return self.answer.model_dump_json(by_alias=True, exclude_unset=True)


def read_message(raw: bytes) -> JSONRPCMessage:
    """Returns the one JSON-RPC message in `raw`. Raises MessageRefused."""
    document: Any = None
    try:
        # This parser comes first: it stops at 200 levels and cannot overflow the stack.
        document = from_json(raw)
        json.loads(raw, object_pairs_hook=_refuse_repeated_keys)
    except _RepeatedKey as error:
        id_ = None if error.is_id else _id_of(document)
        raise MessageRefused(INVALID_REQUEST, "Invalid request: an object holds the same key twice", id_) from None
    except ValueError:
        raise MessageRefused(
            PARSE_ERROR, "Parse error: not JSON, nested too deep, or with a number that is too long"
        ) from None
    if isinstance(document, list):
        raise MessageRefused(INVALID_REQUEST, "Invalid request: batches are not served; send one message at a time")
    try:
        return jsonrpc_message_adapter.validate_python(document, by_name=False)
    except ValidationError:
        raise MessageRefused(INVALID_REQUEST, "Invalid request: not a JSON-RPC 2.0 message", _id_of(document)) from None


_STARTERS = ("initialize", "server/discover", "tools/call", "resources/read", "completion/complete")
"""Methods that begin something new."""


def refuse_while_stopping(message: JSONRPCMessage) -> None:
    """Raises MessageRefused for a message that begins something. Calls in flight may still need all other messages."""
    if isinstance(message, JSONRPCRequest) and message.method in _STARTERS:
        raise MessageRefused(SERVER_STOPPING, "The server is stopping; connect again", message.id)


def _id_of(document: Any) -> RequestId | None:
    id_ = document.get("id") if isinstance(document, dict) else None
    return id_ if isinstance(id_, str | int) and not isinstance(id_, bool) else None


class _RepeatedKey(ValueError):
    def __init__(self, *, is_id: bool) -> None:
        super().__init__()
        self.is_id = is_id


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # `cli.plain_json` refuses them too, and says where they stand. That takes twice as long, too long for 4 MiB.
    document = dict(pairs)
    if len(document) < len(pairs):
        raise _RepeatedKey(is_id=[name for name, _ in pairs].count("id") > 1)
    return document

"""The answers of the emulated APIs, before they are sent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from starlette.responses import Response


def json_bytes(value: Any) -> bytes:
    """Returns compact JSON. NaN is allowed, because one of the faults sends it."""
    return json.dumps(value, separators=(",", ":")).encode()


@dataclass(frozen=True)
class ApiResponse:
    """A status and JSON.

    `json` is None for an answer that is documented without a body. `dpid` names the dealer of the request.
    """

    status: int
    json: Any = None
    dpid: str | None = None

    @cached_property
    def content(self) -> bytes:
        """The body."""
        return b"" if self.json is None else json_bytes(self.json)

    def to_response(self) -> Response:
        """Returns the answer as Starlette sends it."""
        return Response(self.content, self.status, media_type=None if self.json is None else "application/json")


class Refused(Exception):
    """An error answer. Roadster's 400 has a text in `error`. Its 401, 404 and 500 are documented without a body."""

    def __init__(self, status: int, error: str | None = None) -> None:
        super().__init__(status, error)
        self.status = status
        self.error = error

    @property
    def body(self) -> Any:
        """The JSON of the answer, None for an answer without a body."""
        return {"status": "error", "error": self.error} if self.error else None

"""An answer before it is sent: a status, and JSON or nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from starlette.responses import Response


def json_bytes(value: Any) -> bytes:
    """Compact JSON. NaN is let through: one of the faults is an answer with it."""
    return json.dumps(value, separators=(",", ":")).encode()


@dataclass(frozen=True)
class ApiResponse:
    """`json` is None for the answers that are documented without a body; `dpid` names the dealer that was asked."""

    status: int
    json: Any = None
    dpid: str | None = None

    @cached_property
    def content(self) -> bytes:
        return b"" if self.json is None else json_bytes(self.json)

    def response(self) -> Response:
        return Response(self.content, self.status, media_type=None if self.json is None else "application/json")


class Refused(Exception):
    """An error answer. Roadster's 400 carries `error`; its 401, 404 and 500 are documented without a body."""

    def __init__(self, status: int, error: str | None = None) -> None:
        super().__init__(status, error)
        self.status = status
        self.error = error

    @property
    def body(self) -> Any:
        return {"status": "error", "error": self.error} if self.error else None

"""The faults that a test can order, to see how a caller handles them.

Under `status`, `html`, `huge`, `gzip_bomb`, `deep` and `redirect` the operation is not carried out. Under all other
faults it is, but the answer comes late, damaged, or not at all. Under `ignored_update` it is as if the request had no
`updated_since`.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
from anyio.lowlevel import checkpoint
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from roadster_sandbox.answers import ApiResponse
from roadster_sandbox.world.dealers import DEALERS

IGNORED_UPDATE = "ignored_update"

_MEBIBYTE = bytes(1024 * 1024)
_BOMB_MEBIBYTES = 200

_LEVELS = 100_000
"""Nested lists. More than any parser reads."""

_DIGITS = 10_000
"""More than Python converts to an integer."""


class ConnectionDropped(BaseException):
    """Raised to drop the connection. The server closes it without another byte.

    This is not an Exception, because Starlette would answer an Exception with a 500.
    """


@dataclass
class Fault:
    """A fault for the next `times` requests of an operation.

    `status` is for the kind `status`. `seconds` is the time of a `delay`, or the Retry-After of a `status`.
    `retry_after` is a whole header, for instance a date.
    """

    operation: str
    kind: str
    times: int = 1
    status: int = 503
    seconds: float | None = None
    retry_after: str | None = None


CarryOut = Callable[[], ApiResponse]


def _status(fault: Fault, _carry_out: CarryOut) -> Response:
    seconds = None if fault.seconds is None else f"{fault.seconds:g}"
    retry_after = fault.retry_after or seconds
    return Response(status_code=fault.status, headers={"retry-after": retry_after} if retry_after else {})


def _html(_fault: Fault, _carry_out: CarryOut) -> Response:
    return HTMLResponse("<!doctype html><title>Sign in</title><form><input name=password></form>")


def _redirect(_fault: Fault, _carry_out: CarryOut) -> Response:
    return RedirectResponse("https://elsewhere.example/v1", status_code=302)


def _huge(_fault: Fault, _carry_out: CarryOut) -> Response:
    async def endless() -> AsyncIterator[bytes]:
        yield b'["'
        while True:
            yield b"x" * 65_536
            await checkpoint()  # lets a server notice that the client has left

    return StreamingResponse(endless(), media_type="application/json")


def _gzip_bomb(_fault: Fault, _carry_out: CarryOut) -> Response:
    async def zeros() -> AsyncIterator[bytes]:
        deflate = zlib.compressobj(level=1, wbits=31)
        for _ in range(_BOMB_MEBIBYTES):
            yield deflate.compress(_MEBIBYTE)
            await checkpoint()
        yield deflate.flush()

    return StreamingResponse(zeros(), media_type="application/json", headers={"content-encoding": "gzip"})


def _deep(_fault: Fault, _carry_out: CarryOut) -> Response:
    return Response(b"[" * _LEVELS + b"]" * _LEVELS, media_type="application/json")


def _plain(_fault: Fault, carry_out: CarryOut) -> Response:
    return carry_out().to_response()  # the endpoint has taken the parameter out of the request


def _drip(_fault: Fault, carry_out: CarryOut) -> Response:
    answer = carry_out()

    async def bytewise() -> AsyncIterator[bytes]:
        for byte in answer.content:
            yield bytes((byte,))
            await anyio.sleep(1)

    return StreamingResponse(bytewise(), answer.status, media_type="application/json")


class _Broken(Response):
    """A response that announces the whole body, and drops the connection after half of it."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        raise ConnectionDropped


def _reset(_fault: Fault, carry_out: CarryOut) -> Response:
    answer = carry_out()
    return _Broken(answer.content, answer.status, media_type="application/json")


def _lost_answer(_fault: Fault, carry_out: CarryOut) -> Response:
    carry_out()
    raise ConnectionDropped


def _half_answer(_fault: Fault, carry_out: CarryOut) -> Response:
    answer = carry_out()
    return Response(answer.content[: len(answer.content) // 2], answer.status, media_type="application/json")


def _huge_number(_fault: Fault, carry_out: CarryOut) -> Response:
    """Adds a number at the top level with more digits than Python converts."""
    answer = carry_out()
    opening, rest = answer.content[:1], answer.content[1:]
    name = b'"score":' if opening == b"{" else b""
    comma = b"" if rest in (b"]", b"}", b"") else b","
    return Response(opening + name + b"9" * _DIGITS + comma + rest, answer.status, media_type="application/json")


def _content_type(_fault: Fault, carry_out: CarryOut) -> Response:
    answer = carry_out()
    return Response(answer.content, answer.status, media_type="image/png")


def _empty(_fault: Fault, carry_out: CarryOut) -> Response:
    carry_out()
    return Response(b"", media_type="application/json")


def _no_content(_fault: Fault, carry_out: CarryOut) -> Response:
    carry_out()
    return Response(status_code=204)


def _delay(_fault: Fault, carry_out: CarryOut) -> Response:
    return carry_out().to_response()  # `make_response` waits for `seconds` before it sends this


def _changing(change: Callable[[Any], Any]) -> Callable[[Fault, CarryOut], Response]:
    """Returns a fault that sends the JSON of the answer as `change` returns it."""

    def respond(_fault: Fault, carry_out: CarryOut) -> Response:
        answer = carry_out()
        return (answer if answer.json is None else ApiResponse(answer.status, change(answer.json))).to_response()

    return respond


def _wrong_types(json: Any) -> Any:
    """Puts every value into a list. Dealer ids stay as they are, because `foreign_dealer` is another fault."""
    if isinstance(json, list):
        return [_wrong_types(item) for item in json]
    if isinstance(json, dict):
        return {name: value if name in _DEALER_IDS else _wrong_types(value) for name, value in json.items()}
    return [json]


_DEALER_IDS = ("dpid", "partner_id", "dealerId", "dealer_id", "dealerID")


def _foreign_dealer(_fault: Fault, carry_out: CarryOut) -> Response:
    """Replaces every dealer id by that of a dealer that the request did not name. Adds ids at the top level."""
    answer = carry_out()
    foreign = next(dealer for dealer in reversed(DEALERS) if dealer.dpid != answer.dpid)
    ids: dict[str, Any] = {"dpid": foreign.dpid, "partner_id": foreign.partner_id}
    ids |= dict.fromkeys(("dealerId", "dealer_id", "dealerID"), foreign.mykaarma_id)

    def replace_ids(node: Any) -> Any:
        if isinstance(node, list):
            return [replace_ids(item) for item in node]
        if isinstance(node, dict):
            return {name: ids.get(name) or replace_ids(value) for name, value in node.items()}
        return node

    changed_json = replace_ids(answer.json)
    if isinstance(changed_json, dict):
        changed_json |= {**ids, "dealer": ids}
    return ApiResponse(answer.status, changed_json).to_response()


def _nan(json: Any) -> Any:
    """Replaces every number by NaN, and adds one at the top level. A bare value becomes NaN."""

    def replace_numbers(node: Any) -> Any:
        if isinstance(node, list):
            return [replace_numbers(item) for item in node]
        if isinstance(node, dict):
            return {name: replace_numbers(value) for name, value in node.items()}
        return math.nan if isinstance(node, int | float) and not isinstance(node, bool) else node

    match json:
        case list():
            return [*replace_numbers(json), math.nan]
        case dict():
            return {**replace_numbers(json), "score": math.nan}
        case _:
            return math.nan


KINDS: Mapping[str, Callable[[Fault, CarryOut], Response]] = {
    "status": _status,
    "delay": _delay,
    "drip": _drip,
    "reset": _reset,
    "lost_answer": _lost_answer,
    "wrong_types": _changing(_wrong_types),
    "foreign_dealer": _foreign_dealer,
    "huge": _huge,
    "gzip_bomb": _gzip_bomb,
    "html": _html,
    "truncated": _half_answer,
    "redirect": _redirect,
    "nan": _changing(_nan),
    "deep": _deep,
    "huge_number": _huge_number,
    "content_type": _content_type,
    "empty": _empty,
    "no_content": _no_content,
    IGNORED_UPDATE: _plain,
}
"""The function of each kind of fault, in the order in which the grading endpoint lists them."""


async def make_response(fault: Fault | None, carry_out: CarryOut) -> Response:
    """Returns the answer under `fault`. Raises ConnectionDropped under a fault that sends no answer."""
    if fault is None:
        return carry_out().to_response()
    response = KINDS[fault.kind](fault, carry_out)
    if fault.kind == "delay":
        await anyio.sleep(fault.seconds or 0)
    return response

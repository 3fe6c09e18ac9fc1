"""Reads a response: its body up to a size, its status, its JSON, and the seconds to wait before the next call."""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from roadster_client import errors
from roadster_client.json_text import TooManyValues, parse_lenient_json
from roadster_client.operations import Operation
from roadster_client.refusals import refusal_error

from .admission import LONGEST_PAUSE

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""After decompression. The largest documented answer is about 16 KB, a page of 100 vehicles about 150 KB."""

_WEB_PAGES = ("text/html", "application/xhtml+xml")
_JSON = re.compile(r"(application|text)/([\w.-]+\+)?json")


async def read_body(response: httpx2.Response, operation: Operation) -> bytes:
    """Returns the body, decompressed. Raises MalformedAnswer where it is larger than `MAX_ANSWER_BYTES`."""
    try:
        return await read_content(response, MAX_ANSWER_BYTES)
    except ValueError as error:
        raise _malformed_error(operation, str(error)) from None


async def read_content(response: httpx2.Response, limit: int) -> bytes:
    """Returns the body, decompressed. Raises ValueError where it is larger than `limit` bytes."""
    # The raw stream, because httpx2 would inflate a whole chunk before anybody could check its size.
    gzip = response.headers.get("content-encoding", "identity").lower() == "gzip"
    inflate = zlib.decompressobj(wbits=31) if gzip else None
    content = bytearray()
    raw_bytes = 0
    try:
        async for chunk in response.aiter_raw():
            raw_bytes += len(chunk)  # counted too, because endless gzip may inflate to nothing
            content += inflate.decompress(chunk, limit + 1 - len(content)) if inflate else chunk
            if max(raw_bytes, len(content)) > limit:
                raise ValueError(f"is larger than {limit} bytes")
    except zlib.error:
        raise ValueError("cannot be decompressed") from None
    return bytes(content)


def raise_for_status(
    operation: Operation, status: int, headers: httpx2.Headers, content: bytes, request_id: str | None
) -> None:
    """Raises the error for any status that is not a 2xx."""
    name = operation.name
    match status:
        case _ if status // 100 == 2:  # noqa: PLR2004
            return
        case _ if status // 100 == 3:  # noqa: PLR2004
            raise _malformed_error(operation, "is a redirect, which is never followed", request_id)
        case 401 | 403:
            raise errors.Unauthorised(name, status, request_id=request_id)
        case 404:
            raise errors.NotFound(name, request_id=request_id)
        case 429:
            raise errors.RateLimited(
                name, "the upstream asks for fewer requests", retry_after=_retry_after(headers), request_id=request_id
            )
        case _ if status // 100 == 4 and status != httpx2.codes.REQUEST_TIMEOUT:  # noqa: PLR2004
            raise refusal_error(name, status, _error_body(content), request_id=request_id)
    raise errors.Unavailable(
        name,
        f"the upstream failed with {status}",
        request_id=request_id,
        retry_after=_retry_after(headers),
        status=status,
    )


def request_id_of(headers: httpx2.Headers) -> str | None:
    """Returns the upstream's own id for the exchange, or None. It goes into the audit, so it must look like an id."""
    value = headers.get("x-request-id", "")
    return value if re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", value) else None


def parse_body(operation: Operation, headers: httpx2.Headers, content: bytes, request_id: str | None) -> Any:
    """Returns the body's JSON. Raises MalformedAnswer where it is not JSON, or has too many values."""
    media_type = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if not content:
        raise _malformed_error(operation, "is empty", request_id)
    if media_type in _WEB_PAGES:
        raise _malformed_error(operation, "is a web page, often a login: check the credentials", request_id)
    if not _JSON.fullmatch(media_type):
        raise _malformed_error(operation, "is not declared as JSON", request_id)
    try:
        return parse_lenient_json(content)
    except TooManyValues as error:
        raise _malformed_error(operation, f"has {error}", request_id) from None
    except ValueError:
        raise _malformed_error(operation, "is not JSON", request_id) from None


def http_date(value: str) -> datetime | None:
    """Returns the time in a header such as Date or Retry-After, in UTC where it names no zone, or None."""
    try:
        time = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _malformed_error(operation: Operation, reason: str, request_id: str | None = None) -> errors.MalformedAnswer:
    return errors.MalformedAnswer(operation.name, f"the answer {reason}", request_id=request_id)


def _error_body(content: bytes) -> Any:
    try:
        return parse_lenient_json(content)
    except ValueError:
        return None


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Returns the seconds from now that Retry-After asks for, as a number or a date, and `LONGEST_PAUSE` at most."""
    value = headers.get("retry-after", "")[:40]
    if re.fullmatch("[0-9]+", value):
        return min(float(value), LONGEST_PAUSE)
    time = http_date(value)
    if time is None:
        return None
    return min(max((time - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_PAUSE)

"""Everything that can go wrong between a typed call and its typed answer.

    ClientError
    ├── NotConfigured       the configuration lacks what the operation needs; nothing was sent
    ├── RequestRefused      400 (or another 4xx): refused, with the upstream's documented message
    ├── NotFound            404
    ├── Unauthorised        401 or 403: the upstream does not accept our credentials
    ├── RateLimited         429, or a pause that an earlier 429 asked for is not over
    ├── Busy                more calls at once than are sent at once, for too long; nothing was sent
    ├── Unavailable         on a read: 408, 500 or above, or the connection was lost
    │   └── Unreachable     no connection was made; nothing was sent
    │       ├── Untrusted   its certificate is not good for its name
    │       └── CircuitOpen it failed several times in a row, and is left alone for a while
    ├── TimedOut            the operation's total deadline passed on a read
    ├── OutcomeUnknown      a write was sent and its answer was lost: it may or may not have been done
    └── MalformedAnswer     not what the documents describe: no JSON, wrong types, too large, a redirect
        └── ForeignDealer   the answer names another dealer than the call was bound to; it is withheld

The text of an error is ours and never holds a body, a credential or an argument.
"""

from __future__ import annotations

import re
from typing import Any

_LONGEST = 40
_PLAIN_WORDS = re.compile(r"[A-Za-z][A-Za-z'_-]*( [A-Za-z'_-]+){0,5}")


class ClientError(Exception):
    """A call of an upstream operation failed. `operation` is its id in `operations.OPERATIONS`.

    `retry_after` is when to call again, in seconds, where that is known.
    """

    def __init__(
        self, message: str, *, operation: str, request_id: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.request_id = request_id
        self.retry_after = retry_after


class NotConfigured(ClientError):
    """`setting` is the key of the configuration file that is missing."""

    def __init__(self, setting: str, *, operation: str) -> None:
        super().__init__(f"{operation} needs the setting {setting}, which is not set", operation=operation)
        self.setting = setting


class RequestRefused(ClientError):
    """`upstream_message` is the documented `error` text, or None where it is not plain words.

    Upstream text is data: only up to six plain words are handed on, so that neither a customer's
    email address nor a planted paragraph can travel in an error.
    """

    def __init__(
        self,
        status: int,
        upstream_message: object,
        *,
        operation: str,
        request_id: str | None = None,
        ours: bool = False,
    ) -> None:
        text = upstream_message if isinstance(upstream_message, str) else ""
        self.status = status
        self.upstream_message = text if ours or (len(text) <= _LONGEST and _PLAIN_WORDS.fullmatch(text)) else None
        said = f': "{self.upstream_message}"' if self.upstream_message else ""
        super().__init__(f"{operation} was refused with {status}{said}", operation=operation, request_id=request_id)


def refused(status: int, body: Any, *, operation: str, request_id: str | None) -> RequestRefused | NotFound:
    """The error for a refusal with one of the documented bodies.

    Roadster's is `{"status": "error", "error": "Missing email"}`, Roadie's `{"errors": [{"code", "parameter",
    "message"}]}`: its codes are told in words of ours, with the parameter where that is plainly one.
    """
    body = body if isinstance(body, dict) else {}
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    code = str(first.get("code"))
    if code == _NO_SUCH_SHIPMENT:
        return NotFound(f"{operation}: not found", operation=operation, request_id=request_id)
    message = body.get("error")
    if code in _ROADIE_CODES:
        parameter = first.get("parameter")
        named = isinstance(parameter, str) and _PARAMETER.fullmatch(parameter)
        message = f"{parameter} {_ROADIE_CODES[code]}" if named else _ROADIE_CODES[code]
        return RequestRefused(status, message, operation=operation, request_id=request_id, ours=True)
    return RequestRefused(status, message, operation=operation, request_id=request_id)


_NO_SUCH_SHIPMENT = "1006"
_ROADIE_CODES = {
    "1001": "is missing",
    "1002": "is not valid",
    "1003": "is against Roadie's rules",
    "1004": "names an address that Roadie does not find",
    "1005": "leaves no route between the two places",
}
_PARAMETER = re.compile(r"[a-z_]+([.\[][a-z0-9_]+\]?){0,5}")


class NotFound(ClientError):
    pass


class Unauthorised(ClientError):
    pass


class RateLimited(ClientError):
    pass


class Busy(ClientError):
    pass


class Unavailable(ClientError):
    """`status` is what the upstream answered, None where there was no answer."""

    def __init__(
        self,
        message: str,
        *,
        operation: str,
        request_id: str | None = None,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, operation=operation, request_id=request_id, retry_after=retry_after)
        self.status = status


class Unreachable(Unavailable):
    pass


class Untrusted(Unreachable):
    pass


class CircuitOpen(Unreachable):
    pass


class TimedOut(ClientError):
    pass


class OutcomeUnknown(ClientError):
    pass


def outcome_unknown(lost: ClientError) -> OutcomeUnknown:
    """What the failure `lost` means for a write that was sent."""
    name = lost.operation
    reason = str(lost).removeprefix(f"{name}: ")
    return OutcomeUnknown(
        f"{name} was sent, but {reason}: it may or may not have been done", operation=name, request_id=lost.request_id
    )


class MalformedAnswer(ClientError):
    pass


class ForeignDealer(MalformedAnswer):
    pass

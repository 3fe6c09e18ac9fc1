"""Everything that can go wrong between a typed call and its typed answer.

    ClientError
    ├── NotConfigured       the configuration lacks what the operation needs; nothing was sent
    ├── RequestRefused      400 (or another 4xx): refused, with the upstream's documented message
    │   ├── TooLate         what it would change has gone too far for that
    │   └── CodeReported    with a code whose meaning no document says
    ├── NotFound            404
    ├── Unauthorised        401 or 403: the upstream does not accept our credentials
    ├── RateLimited         429, or a pause that an earlier 429 asked for is not over
    ├── Busy                more calls at once than are sent at once, for too long; nothing was sent
    ├── Unavailable         on a read: 408, 500 or above, or the connection was lost
    │   └── Unreachable     no connection was made; nothing was sent
    │       ├── Untrusted   its certificate is not good for its name
    │       └── CircuitOpen it failed several times in a row, and is left alone for a while
    ├── TimedOut            the operation's total deadline passed on a read
    ├── NotRecorded         a replay, and nothing like the request is in the recording; nothing was sent
    ├── OutcomeUnknown      a write was sent and its answer was lost: it may or may not have been done
    └── MalformedAnswer     not what the documents describe: no JSON, wrong types, too large, a redirect
        └── ForeignDealer   the answer names another dealer than the call was bound to; it is withheld

The text of an error is ours and never holds a body, a credential or an argument.
"""

from __future__ import annotations

import re
from typing import Any

_PLAIN_WORDS = re.compile(r"[A-Za-z_]{2,20}( [A-Za-z_]{2,20}){0,5}")
# What the documents name their fields with, and what is said of a field that is wrong.
_WORDS = frozenset(
    """
    missing invalid unknown unsupported required duplicate expired not found is are already exists too large long short
    co app doc docs ids id uuid vin dpid zip utm body query path value values type types status code codes name date
    first last email phone customer partner dealer agent vehicle make model trim year color exterior interior option
    payment deal lease finance cash down months miles term terms rate amount financed annual mileage tax taxes fees
    trade in ownership payoff offer plan plans tier accessories analytics source medium campaign checkout
    credit score incentives document documents file contents relationship size from updated since stock link
    template templates form forms data definition description pages fields stream order orders title
    reference item items pickup delivery location after deliver between options address contact notes street city state
    start end signature length width height weight quantity shipment requester user list
    """.split()  # noqa: SIM905 - as words they can be read
)


def _is_known(text: str) -> bool:
    """Whether every word of `text`, also between underscores and dots, is one of the documents' own."""
    return all(word in _WORDS for word in re.split(r"[^a-z]+", text.lower()) if word)


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


def name_of(error: ClientError) -> str:
    """The kind of the error in snake case: `rate_limited`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()


class NotConfigured(ClientError):
    """`setting` is the key of the configuration file that is missing."""

    def __init__(self, setting: str, *, operation: str) -> None:
        super().__init__(f"{operation} needs the setting {setting}, which is not set", operation=operation)
        self.setting = setting


class RequestRefused(ClientError):
    """`upstream_message` is the documented `error` text, or None where it is not plain words.

    Upstream text is data: only a few words are handed on, and each of them is one of those that the reference names
    its fields with, or that say what is wrong with one. Neither a name nor an instruction can be made of them.
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
        self.upstream_message = text if ours or (_PLAIN_WORDS.fullmatch(text) and _is_known(text)) else None
        said = f': "{self.upstream_message}"' if self.upstream_message else ""
        # An error can come inside a success, whose status says nothing.
        answered = f" with {status}" if status >= _FIRST_REFUSAL else ""
        super().__init__(f"{operation} was refused{answered}{said}", operation=operation, request_id=request_id)


def refused(
    status: int, body: Any, *, operation: str, request_id: str | None
) -> RequestRefused | NotFound | Unauthorised:
    """The error for a refusal with one of the documented bodies.

    Roadster's is `{"status": "error", "error": "Missing email"}`, Roadie's `{"errors": [{"code", "parameter",
    "message"}]}`: its codes are told in words of ours, with the parameter where that is plainly one. myKaarma's is
    `{"errors": [{"errorCode", "errorTitle", "errorMessage"}]}`, also with 200: of it the code is told, a number whose
    meanings are not documented, but for those of HTTP.
    """
    body = body if isinstance(body, dict) else {}
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    code = str(first.get("code"))
    if code == _NO_SUCH_SHIPMENT:
        return NotFound(f"{operation}: not found", operation=operation, request_id=request_id)
    message = body.get("error")
    if code == _AGAINST_RULES and first.get("parameter") == "state":
        message = "the delivery was picked up, or is delivered, canceled or over, and cannot be changed any more"
        return TooLate(status, message, operation=operation, request_id=request_id, ours=True)
    if code in _ROADIE_CODES:
        parameter = first.get("parameter")
        named = isinstance(parameter, str) and _PARAMETER.fullmatch(parameter) and _is_known(parameter)
        message = f"{parameter} {_ROADIE_CODES[code]}" if named else _ROADIE_CODES[code]
        return RequestRefused(status, message, operation=operation, request_id=request_id, ours=True)
    match first.get("errorCode"):
        case 401 | 403 as own:
            return Unauthorised(
                f"{operation}: the upstream does not accept our credentials ({own})",
                operation=operation,
                request_id=request_id,
            )
        case 404:
            return NotFound(f"{operation}: not found", operation=operation, request_id=request_id)
        case int(own) if 0 <= own <= _LARGEST_CODE:
            message = f"myKaarma reports error code {own:d}"
            return CodeReported(status, message, operation=operation, request_id=request_id, ours=True)
    return RequestRefused(status, message, operation=operation, request_id=request_id)


_FIRST_REFUSAL = 400

_LARGEST_CODE = 99_999
"""Of an error: what is longer may be a telephone number."""

_NO_SUCH_SHIPMENT = "1006"
_AGAINST_RULES = "1003"
_ROADIE_CODES = {
    "1001": "is missing",
    "1002": "is not valid",
    _AGAINST_RULES: "is against Roadie's rules",
    "1004": "names an address that Roadie does not find",
    "1005": "leaves no route between the two places",
}
_PARAMETER = re.compile(r"[a-z_]+([.\[][a-z0-9_]+\]?){0,5}")


class TooLate(RequestRefused):
    pass


class CodeReported(RequestRefused):
    pass


class NotFound(ClientError):
    """`place` is that of what was looked up in the list that was asked for, counted from 0; None for no list."""

    def __init__(
        self, message: str, *, operation: str, request_id: str | None = None, place: int | None = None
    ) -> None:
        super().__init__(message, operation=operation, request_id=request_id)
        self.place = place


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


class NotRecorded(ClientError):
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

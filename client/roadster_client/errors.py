"""The errors of a typed call to an upstream.

    ClientError
    ├── NotConfigured       a setting that the operation needs is missing; nothing was sent
    ├── RequestRefused      400 (or another 4xx): refused, with the upstream's documented message
    │   ├── TooLate         the delivery can no longer be changed
    │   └── CodeReported    with a code that no document explains
    ├── NotFound            404
    ├── Unauthorised        401 or 403: the upstream does not accept our credentials
    ├── RateLimited         429, or a pause that an earlier 429 asked for is not over
    ├── Busy                too many calls were waiting to be sent, for too long; nothing was sent
    ├── Unavailable         on a read: 408, 500 or above, or the connection was lost
    │   └── Unreachable     no connection was made; nothing was sent
    │       ├── Untrusted   the upstream's certificate is not good for its name
    │       ├── ProxyFailed the proxy between us and the upstream does not answer, or refuses
    │       └── CircuitOpen the operation failed several times in a row, and is paused for a while
    ├── TimedOut            the operation's total deadline passed on a read
    ├── NotRecorded         a replay, and nothing like the request is in the recording; nothing was sent
    ├── OutcomeUnknown      a write was sent and its answer cannot be used: it may or may not have been done
    └── MalformedAnswer     not what the documents describe: no JSON, wrong types, too large, a redirect
        └── ForeignDealer   the answer names another dealer than the call was bound to; it is withheld

The text of an error is ours, and never holds a body, a credential or an argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_FIRST_REFUSAL = 400
"""The lowest HTTP status of a refusal. Upstreams also refuse inside a 200, and then the text leaves the status out."""


class ClientError(Exception):
    """A call of an upstream operation failed.

    `operation` is the operation's id in `operations.OPERATIONS`. `reason` says what happened, without the operation.
    `request_id` is the upstream's own id for the exchange, or None where it sent none. `retry_after` is the seconds to
    wait before calling again, or None where nothing says so.
    """

    _joint = ": "
    """Stands between the operation and the reason."""

    def __init__(
        self, operation: str, reason: str, *, request_id: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(operation, reason)
        self.operation = operation
        self.reason = reason
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.text_about(self.operation)

    def text_about(self, name: str) -> str:
        """Returns the error's text with `name` instead of the operation's id. A caller knows tools, not operations."""
        return f"{name}{self._joint}{self.reason}"


def name_of(error: ClientError) -> str:
    """Returns the kind of the error in snake case, for instance `rate_limited`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields the error, then the one that it was raised from or during, and so on to the first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class NotConfigured(ClientError):
    """`setting` is the key of the configuration file that is missing."""

    _joint = " "

    def __init__(self, operation: str, setting: str) -> None:
        super().__init__(operation, f"needs the setting {setting}, which is not set")
        self.setting = setting


class RequestRefused(ClientError):
    """`status` is the HTTP status. `explanation` is in our words, in repeatable words of the upstream, or None."""

    _joint = " "

    def __init__(
        self, operation: str, status: int, explanation: str | None = None, *, request_id: str | None = None
    ) -> None:
        with_status = f" with {status}" if status >= _FIRST_REFUSAL else ""
        quotation = f': "{explanation}"' if explanation else ""
        super().__init__(operation, f"was refused{with_status}{quotation}", request_id=request_id)
        self.status = status
        self.explanation = explanation


class TooLate(RequestRefused):
    pass


class CodeReported(RequestRefused):
    pass


class NotFound(ClientError):
    """`place` is the index, in the request's list, of the item that is missing, or None where there is no list."""

    def __init__(
        self, operation: str, reason: str = "not found", *, request_id: str | None = None, place: int | None = None
    ) -> None:
        super().__init__(operation, reason, request_id=request_id)
        self.place = place


class Unauthorised(ClientError):
    """`status` is 401 or 403, of the HTTP answer or inside a 200."""

    def __init__(self, operation: str, status: int, *, request_id: str | None = None) -> None:
        super().__init__(operation, f"the upstream does not accept our credentials ({status})", request_id=request_id)


class RateLimited(ClientError):
    pass


class Busy(ClientError):
    pass


class Unavailable(ClientError):
    """`status` is the answer's HTTP status, or None where there was no answer."""

    def __init__(
        self,
        operation: str,
        reason: str,
        *,
        request_id: str | None = None,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(operation, reason, request_id=request_id, retry_after=retry_after)
        self.status = status


class Unreachable(Unavailable):
    pass


class Untrusted(Unreachable):
    pass


class ProxyFailed(Unreachable):
    """`status` is the proxy's own answer, or None where it did not answer."""

    @classmethod
    def from_text(cls, operation: str, text: str) -> ProxyFailed:
        """Returns the error for the text of httpx2's ProxyError, which begins with a status if there is one."""
        status = re.match(r"\d{3}", text)
        if status is None:
            return cls(operation, "no connection to the proxy")
        return cls(operation, f"the proxy refused the connection ({status[0]})", status=int(status[0]))


class CircuitOpen(Unreachable):
    pass


class TimedOut(ClientError):
    pass


class NotRecorded(ClientError):
    pass


class OutcomeUnknown(ClientError):
    @classmethod
    def after(cls, error: ClientError) -> OutcomeUnknown:
        """Returns the error for a write that was sent, and then failed with `error`."""
        reason = f"the request was sent, but {error.reason}: it may or may not have been done"
        return cls(error.operation, reason, request_id=error.request_id)


class MalformedAnswer(ClientError):
    pass


class ForeignDealer(MalformedAnswer):
    def __init__(self, operation: str, *, request_id: str | None = None) -> None:
        super().__init__(operation, "the answer names another dealer and was withheld", request_id=request_id)

"""The text of a failed call: what was wrong, which argument, and what to do next.

One place turns every error into text, so that no traceback, upstream body, secret or refused value reaches a model.
`kind` is stable: scripts and exit codes rely on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar, Literal

from roadster_client import (
    OPERATIONS,
    Busy,
    CircuitOpen,
    ClientError,
    CodeReported,
    NotConfigured,
    NotFound,
    NotRecorded,
    OutcomeUnknown,
    ProxyFailed,
    RateLimited,
    RequestRefused,
    TimedOut,
    TooLate,
    Unauthorised,
    Unavailable,
    Untrusted,
)

from .tool import Tool

FailureKind = Literal[
    "invalid_arguments",
    "refused",
    "not_confirmed",
    "waiting",
    "limited",
    "not_found",
    "not_configured",
    "unrecorded",
    "upstream",
    "outcome_unknown",
]

_MOST_PROBLEMS = 10


class ToolFailure(Exception):
    """A call that ends before anything is sent."""

    kind: ClassVar[FailureKind]

    def message(self) -> str:
        """Returns the text that the caller reads."""
        return f"{self}. Nothing was sent."


class AccessRefused(ToolFailure):
    """The caller may not do this. `setting` is the key of the configuration that decided.

    `mend` says what the caller can do about it. Without it, only the operator can do something.
    """

    kind = "refused"

    def __init__(self, reason: str, *, setting: str, mend: str | None = None) -> None:
        super().__init__(reason)
        self.setting = setting
        self.mend = mend or "only the server's operator can change this"

    def message(self) -> str:
        return f"Refused: {self}. Nothing was sent; {self.mend}."


class UnusableFile(Exception):
    """A file that cannot be opened, or that nobody should open. Its text goes on behind "the file".

    `number` is its place among the files of a person, None where it is about all of them.
    """

    number: int | None = None


class InvalidArguments(ToolFailure):
    """Arguments that break a rule. `problems` holds the rule by argument, never the argument's value.

    The rule of all arguments together has the name "". `has_read` says that an upstream had to be asked to see it.
    """

    kind = "invalid_arguments"

    def __init__(self, problems: Mapping[str, str], *, has_read: bool = False) -> None:
        first = [": ".join(filter(None, problem)) for problem in islice(problems.items(), _MOST_PROBLEMS)]
        more = ["and more: correct these first"] if len(problems) > _MOST_PROBLEMS else []
        super().__init__("; ".join([*first, *more]))
        self.has_read = has_read

    def message(self) -> str:
        sent = "Something was read, and nothing written" if self.has_read else "Nothing was sent"
        return f"Invalid arguments: {self}. {sent}; correct them and call again."


class NotConfirmed(ToolFailure):
    """No person has confirmed the write. The text says why, and what to do."""

    kind = "not_confirmed"

    def message(self) -> str:
        return f"Not confirmed: {self}. Nothing was sent."


class WaitingForPerson(ToolFailure):
    """The call goes on when a person has done something on a page or a card, such as to approve the write.

    `details` are for programs. They stand in the result's `_meta`, and on the command line beside the text. `card` is
    for the view of the host alone.
    """

    kind = "waiting"

    def __init__(self, reason: str, *, details: Mapping[str, str], card: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.details = details
        self.card = card

    def message(self) -> str:
        return f"Waiting for a person: {self}. Nothing was sent yet."


class EarlierFailure(ToolFailure):
    """The failure of a write that a person decided about earlier, of the kind that it had then."""

    def __init__(self, kind: FailureKind, text: str) -> None:
        super().__init__(text)
        self.kind = kind  # type: ignore[misc] # only this class has it from what is stored

    def message(self) -> str:
        return str(self)


class Limited(ToolFailure):
    """The caller has used up the calls that `setting` allows. `wait` is in seconds."""

    kind = "limited"

    def __init__(self, allowance: str, *, wait: float, setting: str) -> None:
        super().__init__(f"{setting} allows {allowance}")
        self.wait = wait
        self.setting = setting

    def message(self) -> str:
        return f"Limit reached: {self}. Nothing was sent; call again in {self.wait:.0f} seconds."


class NoEventReceived(ToolFailure):
    """No event of the customer in question has been received."""

    kind = "not_found"

    def message(self) -> str:
        return f"{self}."


class NoSuchApproval(ToolFailure):
    """The caller has no approval of this id."""

    kind = "not_found"

    def message(self) -> str:
        return f"{self}."


class Unrecorded(ToolFailure):
    """The record that the call needs before it goes on could not be stored."""

    kind = "unrecorded"

    def message(self) -> str:
        return f"{self}. Nothing was sent; tell the server's operator, whose log says why."


class Uncounted(ToolFailure):
    """The caller has a limit, and the service that counts its calls does not answer."""

    kind = "unrecorded"

    def message(self) -> str:
        return f"{self}. Nothing was sent; the server's operator must look at it."


class KeyOutcomeUnknown(ToolFailure):
    """An earlier write with the same idempotency key was sent, and its answer was lost."""

    kind = "outcome_unknown"

    def message(self) -> str:
        return f"{self}. It is not sent again."


@dataclass(frozen=True)
class Failure:
    kind: FailureKind
    text: str
    details: Mapping[str, str] = field(default_factory=dict)
    """Values for programs, by their names. Only a call that waits has any."""
    card: Mapping[str, Any] | None = None
    """Values for the card in a view, such as the question and the secret of the yes. No model and no log gets them."""


_LOOKUP_ARGUMENTS = (
    "vin",
    "customer_id",
    "document_id",
    "document_ids",
    "template_id",
    "template_ids",
    "order_id",
    "delivery_id",
    "customer_uuid",
)
"""The arguments that name something upstream, which may not exist there."""


def failure(
    error: ToolFailure | ClientError, tool: Tool | None = None, arguments: Mapping[str, Any] | None = None
) -> Failure:
    """Returns `error` as its kind and a text for an assistant, which knows only its `tool` and its `arguments`."""
    if isinstance(error, ToolFailure):
        if isinstance(error, WaitingForPerson):
            return Failure(error.kind, error.message(), error.details, error.card)
        return Failure(error.kind, error.message())
    text = error.text_about(_name_of(tool, error)) if tool is not None else str(error)
    if isinstance(error, NotFound):
        assurance = " Nothing was changed." if tool is not None and tool.writes else ""
        return Failure("not_found", f"{text} at this dealer. {_advice(error, tool, arguments or {})}.{assurance}")
    result = _with_next_step(error, text)
    if tool is None or not _is_lookup(tool, error) or "Nothing was" in result.text:
        return result
    return Failure(result.kind, f"{result.text} Nothing was sent.")


def _is_lookup(tool: Tool, error: ClientError) -> bool:
    """Tells whether a write failed at a read that comes before it, such as that of what a person is asked about."""
    operation = OPERATIONS.get(error.operation)
    return tool.writes and operation is not None and not operation.writes


def _name_of(tool: Tool, error: ClientError) -> str:
    if not _is_lookup(tool, error) or isinstance(error, NotFound):
        return tool.name
    return f"{tool.name}, looking up with {_READ_TOOLS.get(error.operation, error.operation)}"


_READ_TOOLS = {"get_shipment": "get_delivery"}
"""The tools whose names differ from those of the reads that come before a write."""


def _advice(error: NotFound, tool: Tool | None, arguments: Mapping[str, Any]) -> str:
    names = [name for name in _LOOKUP_ARGUMENTS if arguments.get(name) is not None]
    if error.place is not None:
        names = [f"{name}.{error.place}" for name in names if isinstance(arguments[name], list)]
    if names:
        return f"Check {' and '.join(names)}"
    operation = OPERATIONS.get(error.operation)
    if tool is not None and tool.of_one_dealer and operation is not None and operation.api == "roadster":
        return (
            "Probably Roadster has not provisioned the dealer for this API key; list_dealers shows those that it has. "
            "The server's operator must ask Roadster for it, or correct its dpid or base_url in the configuration"
        )
    return "The server's operator must check base_url"


def _with_next_step(error: ClientError, text: str) -> Failure:  # noqa: C901 - a case for each kind of failure
    match error:
        case NotConfigured():
            return Failure("not_configured", f"{text}. Nothing was sent; the server's operator must set it.")
        case TooLate():
            return Failure("upstream", f"{text}. get_delivery shows where it is; the same call will be refused again.")
        case CodeReported():
            return Failure(
                "upstream", f"{text}. No document says what that means: the server's operator must ask myKaarma."
            )
        case RequestRefused():
            return Failure("upstream", f"{text}. Correct the arguments; the same call will be refused again.")
        case Unauthorised():
            return Failure("upstream", f"{text}. The server's operator must check the API key and its dealers.")
        case Busy():
            return Failure("limited", f"Busy: {text}. Nothing was sent; call again {_when(error)}.")
        case RateLimited() | CircuitOpen():
            return Failure("upstream", f"{text}. Nothing was done; call again {_when(error)}.")
        case Untrusted() | ProxyFailed():
            return Failure(
                "upstream", f"{text}. Nothing was sent; the server's operator must check base_url and [network]."
            )
        case NotRecorded():
            return Failure("upstream", f"{text}. Nothing was sent; record it, or call as it was recorded.")
        case OutcomeUnknown():
            return Failure("outcome_unknown", f"{text}. Do not simply repeat it.")
        case TimedOut() | Unavailable():
            return Failure("upstream", f"{text}. Nothing was changed; try again {_when(error)}.")
        case _:
            return Failure("upstream", f"{text}. Nothing of it is shown; tell the server's operator.")


def _when(error: ClientError) -> str:
    if error.retry_after is None:
        return "later"
    seconds = math.ceil(error.retry_after)
    return f"in {seconds} second{'' if seconds == 1 else 's'}"

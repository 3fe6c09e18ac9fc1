"""What a failed call tells its caller: what was wrong, which argument, what to do next.

One place turns every error into text, so that no traceback, upstream body, secret or rejected value
can reach a model. `kind` is stable: scripts and exit codes rely on it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ValidationError

from roadster_client import (
    Busy,
    CircuitOpen,
    ClientError,
    NotConfigured,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    RequestRefused,
    TimedOut,
    Unauthorised,
    Unavailable,
    Untrusted,
)

FailureKind = Literal[
    "invalid_arguments",
    "refused",
    "not_confirmed",
    "limited",
    "not_found",
    "not_configured",
    "unrecorded",
    "upstream",
    "outcome_unknown",
]


_MOST_PROBLEMS = 10
_LONGEST_NAME = 64
_NAME = re.compile(r"[A-Za-z_]+(\.([A-Za-z_]+|\d{1,3}))*")
"""Without digits but for places in a list: a number may be somebody's."""


def told_name(given: str) -> str:
    """An argument's name as an error may repeat it: it is the caller's own text, and may be anything."""
    return given if len(given) <= _LONGEST_NAME and _NAME.fullmatch(given) else "an unknown name"


class ToolFailure(Exception):
    """A call that ends before anything is sent. `told` is what the caller reads."""

    kind: ClassVar[FailureKind]

    def told(self) -> str:
        return f"{self}. Nothing was sent."


class AccessRefused(ToolFailure):
    """`setting` is the key of the configuration that decided."""

    kind = "refused"

    def __init__(self, reason: str, *, setting: str) -> None:
        super().__init__(reason)
        self.setting = setting

    def told(self) -> str:
        return f"Refused: {self}. Nothing was sent; only the server's operator can change this."


class InvalidArguments(ToolFailure):
    """`problems` says by argument what rule it breaks, never what it held."""

    kind = "invalid_arguments"

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {problem}" for name, problem in problems.items()))

    @classmethod
    def from_validation(cls, error: ValidationError, known: Iterable[str]) -> InvalidArguments:
        problems: dict[str, str] = {}
        for found in error.errors(include_url=False, include_context=False, include_input=False):
            if len(problems) == _MOST_PROBLEMS:
                problems["and more"] = "correct these first"
                break
            name = ".".join(str(part) for part in found["loc"])[:_LONGEST_NAME]
            if found["type"] == "extra_forbidden":
                nested = "." in name
                problems[told_name(name)] = (
                    "no such argument" if nested else f"no such argument; there are: {', '.join(known)}"
                )
            else:
                problems[name] = found["msg"].removeprefix("Value error, ")
        return cls(problems)

    def told(self) -> str:
        return f"Invalid arguments: {self}. Nothing was sent; correct them and call again."


class NotConfirmed(ToolFailure):
    """No person has confirmed the write; the text says why, and what to do."""

    kind = "not_confirmed"

    def told(self) -> str:
        return f"Not confirmed: {self}. Nothing was sent."


class Limited(ToolFailure):
    """The caller has spent what `setting` allows it; `wait` is in seconds."""

    kind = "limited"

    def __init__(self, allowed: str, *, wait: float, setting: str) -> None:
        super().__init__(f"{setting} allows {allowed}")
        self.wait = wait
        self.setting = setting

    def told(self) -> str:
        return f"Limit reached: {self}. Nothing was sent; call again in {self.wait:.0f} seconds."


class NothingKnown(ToolFailure):
    """The call asks about somebody of whom nothing was received."""

    kind = "not_found"

    def told(self) -> str:
        return f"{self}."


class Unrecorded(ToolFailure):
    """What must be on record before the call goes on could not be stored."""

    kind = "unrecorded"

    def told(self) -> str:
        return f"{self}. Nothing was sent; the server's operator must look at the store."


class Uncounted(ToolFailure):
    """The caller has a limit, and what counts its calls does not answer."""

    kind = "unrecorded"

    def told(self) -> str:
        return f"{self}. Nothing was sent; the server's operator must look at it."


class KeyOutcomeUnknown(ToolFailure):
    """An earlier write with the same idempotency key was sent, and its answer was lost."""

    kind = "outcome_unknown"

    def told(self) -> str:
        return f"{self}. It is not sent again."


@dataclass(frozen=True)
class Failure:
    kind: FailureKind
    text: str


def failure(error: ToolFailure | ClientError) -> Failure:  # noqa: C901 - a case for each kind of failure
    """`error` as an assistant can act on it."""
    match error:
        case ToolFailure():
            return Failure(error.kind, error.told())
        case NotConfigured():
            return Failure("not_configured", f"{error}. Nothing was sent; the server's operator must set it.")
        case NotFound():
            return Failure(
                "not_found",
                f"{error} at this dealer. Check the VIN or id; the operator checks base_url.",
            )
        case RequestRefused():
            return Failure("upstream", f"{error}. Correct the arguments; the same call will be refused again.")
        case Unauthorised():
            return Failure("upstream", f"{error}. The server's operator must check the API key and its dealers.")
        case Busy():
            return Failure("limited", f"Busy: {error}. Nothing was sent; call again {_when(error)}.")
        case RateLimited() | CircuitOpen():
            return Failure("upstream", f"{error}. Nothing was done; call again {_when(error)}.")
        case Untrusted():
            return Failure("upstream", f"{error}. Nothing was sent; the server's operator must check base_url.")
        case OutcomeUnknown():
            return Failure("outcome_unknown", f"{error}. Do not simply repeat it.")
        case TimedOut() | Unavailable():
            return Failure("upstream", f"{error}. Nothing was changed; try again {_when(error)}.")
        case _:
            return Failure("upstream", f"{error}. Nothing of it is shown; tell the server's operator.")


def _when(error: ClientError) -> str:
    if error.retry_after is None:
        return "later"
    seconds = math.ceil(error.retry_after)
    return f"in {seconds} second{'' if seconds == 1 else 's'}"

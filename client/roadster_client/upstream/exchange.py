"""One exchange with an upstream: the request, its origin, and the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict
from urllib.parse import quote

from roadster_client import errors
from roadster_client.models.parts import Sent
from roadster_client.models.personal_data import Audience
from roadster_client.operations import Operation

About = Callable[[], Awaitable[Mapping[str, Any]]]
"""Looks up the things that a write names only by id, unmasked, for the person who confirms it. Raises ClientError.

The result's keys are those of the request's body where it explains them, and new ones where it adds something."""


async def about_nothing() -> Mapping[str, Any]:
    return {}


class RequestParts(TypedDict, total=False):
    """The parts of a `Request` that a typed method chooses."""

    path: Mapping[str, str]
    query: Mapping[str, str | int | float]
    content: Sent | None
    dealer: Mapping[str, Any]
    about: About


@dataclass(frozen=True)
class Request:
    """All that one call sends, except base URL and credentials."""

    operation: Operation
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str | int | float] = field(default_factory=dict)
    content: Sent | None = None
    """The body without the dealer."""
    dealer: Mapping[str, Any] = field(default_factory=dict)
    """Fields that name the dealer in the body, such as `{"dealer": {"dpid": …}}` or `{"dpid": …}`."""
    about: About = about_nothing
    account: str | None = None
    """A dealer whose own key is sent, where nothing else of the request says so. None is the account of all others."""

    @property
    def body(self) -> dict[str, Any] | None:
        """The JSON object that is sent."""
        return None if self.content is None else {**self.content.wire(), **self.dealer}

    def shown_to(self, audience: Audience) -> dict[str, Any]:
        """Returns method, path, query and body as `audience` may read them."""
        description: dict[str, Any] = {"method": self.operation.method, "path": self.target}
        if self.query:
            description["query"] = dict(self.query)
        if self.content is not None:
            description["body"] = {**self.content.shown_to(audience), **self.dealer}
        return description

    @property
    def target(self) -> str:
        """The path below the base URL, with its parameters filled in and escaped."""
        return self.operation.path.format_map({name: quote(value, safe="") for name, value in self.path.items()})


@dataclass(frozen=True)
class Answer:
    """A 2xx answer as parsed JSON. `request_id` is the upstream's own id, or None where it sent none.

    `size` is in bytes. `is_plain` says that all texts in it are known to be visible ASCII.
    """

    request: Request
    json: Any
    request_id: str | None
    size: int = 0
    is_plain: bool = False

    def malformed_error(self, reason: str) -> errors.ClientError:
        """Returns MalformedAnswer, or for a write OutcomeUnknown, because nobody knows whether it was done.

        `reason` goes on after "the answer".
        """
        operation = self.request.operation
        error = errors.MalformedAnswer(operation.name, f"the answer {reason}", request_id=self.request_id)
        return errors.OutcomeUnknown.after(error) if operation.writes else error

    def foreign_error(self) -> errors.ClientError:
        """Returns ForeignDealer, or for a write OutcomeUnknown."""
        operation = self.request.operation
        if operation.writes:
            return self.malformed_error("names another dealer and was withheld")
        return errors.ForeignDealer(operation.name, request_id=self.request_id)


@dataclass(frozen=True)
class Origin:
    """The caller and the dealer of a call. Callers share an upstream fairly, and each dealer has its own breakers."""

    caller: str = ""
    dealer: str | None = None

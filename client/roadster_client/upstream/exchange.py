"""One exchange with an upstream: what is sent, for whom, and what came back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from roadster_client import errors
from roadster_client.models.parts import Sent
from roadster_client.models.personal_data import Audience
from roadster_client.operations import Operation

About = Callable[[], Awaitable[Mapping[str, Any]]]
"""Looks up what the ids in a write name, as it is then, for the person who is asked: unmasked. Raises ClientError."""


async def about_nothing() -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Request:
    """What one call sends: everything but base URL and credentials. `content` is its body without the dealer."""

    operation: Operation
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str | int | float] = field(default_factory=dict)
    content: Sent | None = None
    dealer: Mapping[str, Any] = field(default_factory=dict)
    """What is added to a body to name the dealer: `{"dealer": {"dpid": …}}`, or the bare `{"dpid": …}`."""
    about: About = about_nothing
    """By the request's own names where it says more of what stands there, by new ones where it adds something."""

    @property
    def body(self) -> dict[str, Any] | None:
        """The JSON object that is sent."""
        return None if self.content is None else self._addressed(self.content.wire())

    def shown_to(self, audience: Audience) -> dict[str, Any]:
        """Method, path, query and body as `audience` may read them."""
        shown: dict[str, Any] = {"method": self.operation.method, "path": self.target}
        if self.query:
            shown["query"] = dict(self.query)
        if self.content is not None:
            shown["body"] = self._addressed(self.content.shown_to(audience))
        return shown

    def _addressed(self, body: dict[str, Any]) -> dict[str, Any]:
        return {**body, **self.dealer}

    @property
    def target(self) -> str:
        """The path below the base URL, parameters filled in and escaped."""
        return self.operation.path.format_map({name: quote(value, safe="") for name, value in self.path.items()})


@dataclass(frozen=True)
class Answer:
    """A 2xx answer as parsed JSON. `request_id` is the upstream's own, where it sends one."""

    request: Request
    json: Any
    request_id: str | None

    def malformed_error(self, reason: str) -> errors.ClientError:
        """The error for an answer that cannot be used: for a write, it leaves the outcome open."""
        operation = self.request.operation
        lost = errors.MalformedAnswer(operation.name, f"the answer {reason}", request_id=self.request_id)
        return errors.OutcomeUnknown.after(lost) if operation.writes else lost

    def foreign_error(self) -> errors.ClientError:
        """The error for an answer that names another dealer than was asked for."""
        operation = self.request.operation
        if operation.writes:
            return self.malformed_error("names another dealer and was withheld")
        return errors.ForeignDealer(operation.name, request_id=self.request_id)


@dataclass(frozen=True)
class Origin:
    """Whose call it is: callers share an upstream fairly, and each dealer has breakers of its own."""

    caller: str = ""
    dealer: str | None = None

"""The way between a typed method and the upstream: approve a write, send, read the answer.

A channel belongs to one grant. No method can go around it. A write leaves only once it was approved, and an
answer reaches a tool only once the personal data that the caller may not see are masked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .leniency import OnLeftOut, ignore_left_out, read_leniently
from .models.parts import Sent
from .models.personal_data import PersonalData
from .operations import Operation
from .upstream.exchange import About, Answer, Origin, Request, about_nothing
from .upstream.upstream import Upstream
from .visible_text import strip_invisible

ApproveWrite = Callable[[Request], Awaitable[None]]
"""Runs before each write, with exactly what will be sent. If it raises, nothing is sent."""

OnAnswer = Callable[[Answer], None]
"""Runs with each answer, before it is read."""

IsOwn = Callable[[Mapping[str, Any]], bool]
"""Returns False if an object of the answer, as it was received, names another dealer."""


@dataclass(frozen=True)
class Api:
    """One upstream with its operations by id."""

    upstream: Upstream
    operations: Mapping[str, Operation]


@dataclass(frozen=True)
class ChannelPolicy:
    """The rules of one grant for its exchanges."""

    approve_write: ApproveWrite
    on_answer: OnAnswer = lambda _answer: None
    personal_data: Callable[[], PersonalData] = lambda: "masked"
    """Called as an answer is read, so that a change of the settings counts at once."""
    origin: Origin = field(default_factory=Origin)
    on_left_out: OnLeftOut = ignore_left_out


@dataclass(frozen=True)
class Channel:
    """One API for one grant."""

    api: Api
    policy: ChannelPolicy

    async def send(
        self,
        operation: str,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, str | int | float] | None = None,
        content: Sent | None = None,
        dealer: Mapping[str, Any] | None = None,
        about: About = about_nothing,
    ) -> Answer:
        """Sends one request, a write only once it is approved. Raises ClientError."""
        request = Request(self.api.operations[operation], path or {}, query or {}, content, dealer or {}, about)
        if request.operation.writes:
            await self.policy.approve_write(request)
        answer = await self.api.upstream.send(request, self.policy.origin)
        self.policy.on_answer(answer)
        return answer

    def read(self, answer: Answer, is_own: IsOwn = lambda _node: True) -> Any:
        """Returns the answer as its operation's `answer_type`, without invisible characters, masked for the caller.

        Calls `is_own` with each object of the answer, at any depth and also in fields that no model reads. Raises
        ForeignDealer where it returns False, MalformedAnswer where the answer lacks what it must have, and
        OutcomeUnknown in both cases if the operation is a write. Other odd values are left out afterwards.
        """
        return read(answer, self.policy.personal_data(), is_own, self.policy.on_left_out)

    def for_person(self) -> Channel:
        """Returns a channel that shows contact data, for a question to a person. No tool may hold it."""
        policy = replace(self.policy, personal_data=lambda: "contact", on_left_out=ignore_left_out)
        return replace(self, policy=policy)


def read(
    answer: Answer,
    personal_data: PersonalData = "masked",
    is_own: IsOwn = lambda _node: True,
    on_left_out: OnLeftOut = ignore_left_out,
) -> Any:
    """Does what `Channel.read` does, for an answer that belongs to no grant."""

    def look(node: Mapping[str, Any]) -> None:
        if not is_own(node):
            raise answer.foreign_error()

    json = strip_invisible(answer.json, look)
    operation = answer.request.operation
    try:
        return read_leniently(operation.answer_adapter, json, personal_data, operation.name, on_left_out)
    except ValueError:
        # The error's text holds the upstream's values, which must not reach our logs.
        raise answer.malformed_error("does not have the documented fields") from None

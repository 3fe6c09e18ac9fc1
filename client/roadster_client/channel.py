"""What stands between every typed method and the upstream: writes are approved, answers checked, cleaned and read.

A channel belongs to one grant. Whatever a method does, a write has been approved before it leaves,
and what is personal and not for this caller is masked before anybody holds the answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from .models.parts import Sent
from .models.personal_data import PersonalData
from .operations import Operation
from .upstream.exchange import About, Answer, Origin, Request, about_nothing
from .upstream.upstream import Upstream
from .visible_text import strip_invisible

ApproveWrite = Callable[[Request], Awaitable[None]]
"""Runs before each write with exactly what will be sent; raising sends nothing."""

OnAnswer = Callable[[Answer], None]
"""Is told of each answer, before it is read."""


IsOwn = Callable[[Mapping[str, Any]], bool]
"""Whether an object of an answer, as it came, names no other dealer."""


@dataclass(frozen=True)
class Api:
    """One upstream with its operations by id."""

    upstream: Upstream
    operations: Mapping[str, Operation]


@dataclass(frozen=True)
class ChannelPolicy:
    """What one grant does about each exchange; `personal_data` gives what its caller may see as an answer is read."""

    approve_write: ApproveWrite
    on_answer: OnAnswer = lambda _answer: None
    personal_data: Callable[[], PersonalData] = lambda: "masked"
    origin: Origin = field(default_factory=Origin)


@dataclass(frozen=True)
class Channel:
    """One API for one grant."""

    api: Api
    oversight: ChannelPolicy

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
        """The answer to one request, a write only once it was approved. Raises ClientError."""
        request = Request(self.api.operations[operation], path or {}, query or {}, content, dealer or {}, about)
        if request.operation.writes:
            await self.oversight.approve_write(request)
        answer = await self.api.upstream.send(request, self.oversight.origin)
        self.oversight.on_answer(answer)
        return answer

    def read(self, answer: Answer, is_own: IsOwn = lambda _node: True) -> Any:
        """Returns `answer` in its operation's `answer_type`, without invisible characters and masked for the caller.

        Calls `is_own` with each object of the answer, at any depth and also in fields that no model reads. Raises
        ForeignDealer, or for a write OutcomeUnknown, where one of them is not.
        """
        return read(answer, self.oversight.personal_data(), is_own)

    def for_person(self) -> Channel:
        """The same for what a person is asked about, who must see it: nothing is masked, and no tool may hold it."""
        return replace(self, oversight=replace(self.oversight, personal_data=lambda: "contact"))


def read(answer: Answer, personal_data: PersonalData = "masked", is_own: IsOwn = lambda _node: True) -> Any:
    """Does the same for an answer that belongs to no grant of one dealer."""

    def look(node: Mapping[str, Any]) -> None:
        if not is_own(node):
            raise answer.foreign_error()

    cleaned = strip_invisible(answer.json, look)
    try:
        return TypeAdapter(answer.request.operation.answer_type).validate_python(cleaned, context=personal_data)
    except ValidationError:
        # The error's text holds the upstream's values, and which fields are wrong belongs into its logs, not ours.
        raise answer.malformed_error("does not have the documented fields") from None

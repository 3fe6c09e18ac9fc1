"""What stands between every typed method and the upstream: writes are approved, answers checked, cleaned and read.

A channel belongs to one grant. Whatever a method does, a write has been approved before it leaves,
and what is personal and not for this caller is masked before anybody holds the answer.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from .models.scalars import PersonalData, Sent
from .operations import Operation
from .upstream import Answer, Request, Upstream

_ReadT = TypeVar("_ReadT")

ApproveWrite = Callable[[Request], Awaitable[None]]
"""Runs before each write with exactly what will be sent; raising sends nothing."""

OnAnswer = Callable[[Answer], None]
"""Is told of each answer, before it is read."""


@dataclass(frozen=True)
class Api:
    """One upstream with its operations by id."""

    upstream: Upstream
    operations: Mapping[str, Operation]


@dataclass(frozen=True)
class Oversight:
    """What one grant does about each exchange; `personal_data` is what its caller may see."""

    approve_write: ApproveWrite
    on_answer: OnAnswer = lambda _answer: None
    personal_data: PersonalData = "masked"


@dataclass(frozen=True)
class Channel:
    """One API for one grant."""

    api: Api
    oversight: Oversight

    async def send(
        self,
        operation: str,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, str | int | float] | None = None,
        content: Sent | None = None,
        dealer: Mapping[str, Any] | None = None,
    ) -> Answer:
        """The answer to one request, a write only once it was approved. Raises ClientError."""
        request = Request(self.api.operations[operation], path or {}, query or {}, content, dealer or {})
        if request.operation.writes:
            await self.oversight.approve_write(request)
        answer = await self.api.upstream.send(request)
        self.oversight.on_answer(answer)
        return answer

    def read(self, shape: type[_ReadT], answer: Answer) -> _ReadT:
        """`answer` as the documented model, without invisible characters and masked for the caller."""
        return read(shape, answer, self.oversight.personal_data)


def read(shape: type[_ReadT], answer: Answer, personal_data: PersonalData = "masked") -> _ReadT:
    """The same for an answer that belongs to no grant of one dealer."""
    try:
        return TypeAdapter(shape).validate_python(visible(answer.json), context=personal_data)
    except ValidationError:
        # Its text holds the upstream's values; which fields were wrong is for the upstream's logs, not for ours.
        raise answer.malformed("does not have the documented fields") from None


# Controls, formats (bidirectional ones too), surrogates, tags, variation selectors, and letters that no font shows.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u115f\u1160"
    "\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_LINE_ENDS = re.compile("[\t\n\x0b\x0c\r\x85\u2028\u2029]+")


def visible(json: Any) -> Any:
    """`json` without the characters that a person does not see and a model may follow, each value on one line.

    A value with a line end could pass for another row of the answer that it stands in.
    """
    match json:
        case str():
            return _LINE_ENDS.sub(" ", _INVISIBLE.sub("", json))
        case list():
            return [visible(item) for item in json]
        case dict():
            return {name: visible(value) for name, value in json.items()}
        case _:
            return json

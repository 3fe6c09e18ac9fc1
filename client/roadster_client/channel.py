"""The way between a typed method and the upstream: approve a write, send, read the answer.

A channel belongs to one grant. No method can go around it. A write leaves only once it was approved, and an
answer reaches a tool only once the personal data that the caller may not see are masked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

from anyio.lowlevel import checkpoint
from pydantic import TypeAdapter

from .errors import ClientError
from .leniency import LeftOut, OnLeftOut, ignore_left_out, read_leniently
from .models.reader import Reader
from .operations import Operation
from .upstream.exchange import Answer, Origin, Request, RequestParts
from .upstream.large_answers import run_beside_others
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

    def preparations(self) -> Iterator[Callable[[], object]]:
        """Yields the steps that a first call would do on its way. None takes longer than some requests."""
        yield self.upstream.prepare
        for operation in self.operations.values():
            yield operation.answer_adapter.rebuild


@dataclass(frozen=True)
class ChannelPolicy:
    """The rules of one grant for its exchanges."""

    approve_write: ApproveWrite
    on_answer: OnAnswer = lambda _answer: None
    reader: Callable[[], Reader] = Reader
    """Called as an answer is read, so that a change of the settings counts at once."""
    origin: Origin = field(default_factory=Origin)
    on_left_out: OnLeftOut = ignore_left_out


@dataclass(frozen=True)
class Channel:
    """One API for one grant."""

    api: Api
    policy: ChannelPolicy

    async def send(self, operation: str, **parts: Unpack[RequestParts]) -> Answer:
        """Sends one request, a write only once it is approved. Raises ClientError."""
        request = Request(self.api.operations[operation], **parts)
        if request.operation.writes:
            await self.policy.approve_write(request)
        answer = await self.api.upstream.send(request, self.policy.origin)
        self.policy.on_answer(answer)
        return answer

    async def read(
        self, answer: Answer, is_own: IsOwn = lambda _node: True, choose: Callable[[Any], Any] = lambda json: json
    ) -> Any:
        """Returns the answer as its operation's `answer_type`, without invisible characters, masked for the caller.

        `choose` returns the part of the checked JSON that is read. What is left out of the rest does not count.

        Calls `is_own` with each object of the answer, at any depth and also in fields that no model reads. Raises
        ForeignDealer where it returns False, MalformedAnswer where the answer lacks what it must have, and
        OutcomeUnknown in both cases if the operation is a write. Other odd values are left out afterwards.
        """
        reader, on_left_out = self.policy.reader(), self.policy.on_left_out
        return await run_beside_others(
            answer.size, lambda: _read(answer, choose(_check(answer, is_own)), reader, on_left_out)
        )

    async def read_rows(
        self, answer: Answer, name: str, adapter: TypeAdapter[tuple[Any, ...]], is_own: IsOwn
    ) -> tuple[Any, Sequence[Any], Callable[[Any], Any]]:
        """Returns the answer with its list `name` empty, the raw rows of that list, and a function that reads a row.

        Checks and reads as `read` does, and raises MalformedAnswer where there is no such list. A row that cannot be
        read is None. What is left out of a row counts when that row is read, so that rows which no caller sees do not
        count.
        """
        policy, operation = self.policy, answer.request.operation.name
        json = await run_beside_others(answer.size, lambda: _check(answer, is_own))
        await checkpoint()  # to look through a page of 100 rows takes 3 ms
        if not isinstance(json, dict) or not isinstance(json.get(name), list):
            raise _malformed(answer)
        json, rows = json | {name: []}, json[name]

        def report(left_out: Counter[LeftOut]) -> None:
            places = {kind._replace(path=f"{name}.{kind.path}"): count for kind, count in left_out.items()}
            policy.on_left_out(Counter(places))

        def read_row(row: Any) -> Any:
            try:
                values = read_leniently(adapter, [row], policy.reader(), operation, report)
            except ValueError:
                raise _malformed(answer) from None
            return values[0] if values else None

        return _read(answer, json, policy.reader(), policy.on_left_out), rows, read_row

    def for_person(self) -> Channel:
        """Returns a channel that shows contact data, for a question to a person. No tool may hold it."""
        reader = self.policy.reader

        def person() -> Reader:
            return replace(reader(), personal_data="contact")

        return replace(self, policy=replace(self.policy, reader=person, on_left_out=ignore_left_out))


def read(
    answer: Answer,
    reader: Reader = Reader(),  # noqa: B008 - it is frozen
    is_own: IsOwn = lambda _node: True,
    on_left_out: OnLeftOut = ignore_left_out,
) -> Any:
    """Does what `Channel.read` does, for an answer that belongs to no grant."""
    return _read(answer, _check(answer, is_own), reader, on_left_out)


def _check(answer: Answer, is_own: IsOwn) -> Any:
    """Returns the answer's JSON without invisible characters. Raises ForeignDealer, or OutcomeUnknown for a write."""

    def look(node: Mapping[str, Any]) -> None:
        if not is_own(node):
            raise answer.foreign_error()

    if not answer.is_plain:
        return strip_invisible(answer.json, look)
    for node in _objects_in(answer.json):
        look(node)
    return answer.json


def _objects_in(json: Any) -> Iterator[Mapping[str, Any]]:
    """Yields the objects at any depth."""
    unseen = [json]
    while unseen:
        node = unseen.pop()
        if isinstance(node, list):
            unseen += node
        elif isinstance(node, dict):
            yield node
            unseen += [value for value in node.values() if type(value) is dict or type(value) is list]


def _read(answer: Answer, json: Any, reader: Reader, on_left_out: OnLeftOut) -> Any:
    operation = answer.request.operation
    try:
        return read_leniently(operation.answer_adapter, json, reader, operation.name, on_left_out)
    except ValueError:
        raise _malformed(answer) from None


def _malformed(answer: Answer) -> ClientError:
    # Without the cause: its text holds the upstream's values, which must not reach our logs.
    writes = answer.request.operation.writes
    return answer.malformed_error("does not show that it was done" if writes else "does not have the documented fields")

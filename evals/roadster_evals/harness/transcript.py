"""The transcript of a talk that another harness held: messages of the person, calls of tools, and answers of the agent.

Each format is read as events, and the events become turns. A harness may put a prefix before the names of tools, and
may have tools of its own, which are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from roadster_evals.grading.result import Usage
from roadster_evals.people.played_person import END
from roadster_evals.usage import UsageError
from roadster_tools import TOOLS


class TranscriptError(UsageError):
    """A transcript cannot be graded. The text says why."""


@dataclass(frozen=True)
class Saying:
    """A message of the person, or the agent's answer to them."""

    role: Literal["person", "agent"]
    text: str


@dataclass(frozen=True)
class Call:
    """A call of a tool. Without `arguments`, the model wrote something that is no JSON object."""

    id: str | None
    name: str
    arguments: Mapping[str, Any] | None


@dataclass(frozen=True)
class CallAnswer:
    """The answer to a call, as the model read it. `is_error` is None where the format does not tell."""

    id: str | None
    text: str
    is_error: bool | None = None


Event = Saying | Call | CallAnswer


@dataclass
class TranscriptCall:
    """A call of one of our tools, with the answer that the model read, None without one."""

    tool: str
    arguments: Mapping[str, Any] | None
    answer: CallAnswer | None = None


@dataclass
class TranscriptTurn:
    """A message of the person, the calls after it, and the agent's answer, None without one."""

    request: str
    calls: list[TranscriptCall] = field(default_factory=list)
    answer: str | None = None


@dataclass(frozen=True)
class Transcript:
    """A talk. `evaluation` is NAME:SEED, or empty where the file does not tell."""

    source: str
    turns: Sequence[TranscriptTurn]
    evaluation: str = ""
    agent: str = ""
    trial: int | None = None
    usage: tuple[Usage, ...] = ()
    failure: str = ""
    """The harness's own reason why the talk ended early."""


_BY_LENGTH = sorted(TOOLS, key=len, reverse=True)
STOP = "###STOP###"
"""The word with which a person of tau-bench ends the talk. It may stand after others: `Thank you! ###STOP###`."""

_ENDS = (END, STOP, "###TRANSFER###", "###OUT-OF-SCOPE###")
"""The words that end a talk, with the two others of tau2-bench. The agent does not answer a message with one."""

_BOUNDARY = re.compile(r"[^A-Za-z0-9]$")


def split_name(name: str) -> tuple[str, str] | None:
    """Returns the harness's prefix and our tool's name, None for a tool that is not ours."""
    for tool in _BY_LENGTH:
        prefix = name.removesuffix(tool)
        if prefix != name and (not prefix or _BOUNDARY.search(prefix)):
            return prefix, tool
    return None


def turns_of(events: Iterable[Event]) -> list[TranscriptTurn]:
    """Returns the turns. Raises TranscriptError for events that make no talk.

    What the agent says before a call or its answer is no answer to the person, because the agent goes on after it.
    After the end of the talk nobody hears what is said, and what is called still counts.
    """
    turns: list[TranscriptTurn] = []
    open_calls: list[tuple[Call, TranscriptCall | None]] = []
    prefixes: set[str] = set()
    is_over = False
    for event in events:
        if isinstance(event, Saying):
            is_over = is_over or (bool(turns) and _ends_talk(event))
            if not is_over:
                _add_saying(event, turns)
            continue
        if turns and not is_over:
            turns[-1].answer = None
        if isinstance(event, CallAnswer):
            _settle(event, open_calls)
        elif not turns:
            raise TranscriptError("has a call before the first message of the person")
        else:
            call = None
            name = split_name(event.name)
            if name is not None:
                prefixes.add(name[0])
                call = TranscriptCall(name[1], event.arguments)
                turns[-1].calls.append(call)
            open_calls.append((event, call))
    if len(prefixes) > 1:
        names = ", ".join(sorted(prefix or "none" for prefix in prefixes))
        raise TranscriptError(f"has tools of ours with several prefixes: {names}; only one can be this server")
    return turns


def _ends_talk(saying: Saying) -> bool:
    return saying.role == "person" and any(word in saying.text for word in _ENDS)


def _add_saying(saying: Saying, turns: list[TranscriptTurn]) -> None:
    """Adds a message. An agent's greeting before the first one of the person is left out."""
    if saying.role == "agent":
        if turns:
            turns[-1].answer = "\n".join(filter(None, [turns[-1].answer, saying.text]))
    elif turns and turns[-1].answer is None and not turns[-1].calls:
        turns[-1].request += f"\n{saying.text}"
    else:
        turns.append(TranscriptTurn(saying.text))


def _settle(answer: CallAnswer, open_calls: list[tuple[Call, TranscriptCall | None]]) -> None:
    """Hands the answer to its call. Without an id, it is that of the first call that has none yet."""
    for place, (event, call) in enumerate(open_calls):
        if answer.id is None or event.id is None or event.id == answer.id:
            del open_calls[place]
            if call is not None:
                call.answer = answer
            return
    raise TranscriptError(f"has an answer to the call {answer.id}, which is not there")

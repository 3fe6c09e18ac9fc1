"""Grades of transcripts, by the grader of the project's own trials.

A transcript tells what an agent did and read, and not what became of the world. So its calls are made again in a new
world, which answers alike, or the record of a served world takes their place. Nothing is guessed: where the transcript
does not fit its world, the trial is void, and the reason says where.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from mcp_types import CallToolResult

from roadster_evals.grading.grader import grade
from roadster_evals.grading.observation import Observation, ObservedCall
from roadster_evals.grading.result import Result
from roadster_evals.language.phrases import fold
from roadster_evals.people.played_person import END, Message, OpenLink, PlayedPerson, Talk
from roadster_evals.people.visits import Choice, without_port
from roadster_evals.runs.trial import Trial, Workspace, open_trial
from roadster_evals.scenario_files.scenario import Scenario
from roadster_server.calls.results import FAILURE_META, text_of
from roadster_tools import TOOLS

from .evaluations import name_of
from .record import Record
from .transcript import CallAnswer, Transcript, TranscriptCall, TranscriptError, TranscriptTurn

_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
    r"|(?:\d{4}-\d\d-\d\d )?\d\d:\d\d UTC"
)
"""A time. The answers of two runs differ only in these, and in the port of their pages."""

_REFUSED_BY_HARNESSES = ("invalid_arguments", "refused")
"""Failures of calls that send nothing, and that a harness may refuse before they reach the server, in its own words."""

_FAILURE = re.compile(
    r"error|invalid|exception|malformed|pars(?:e|ing)|decod|unknown|no such|not found|not available|denied|refused",
    re.IGNORECASE,
)

_BEGINNING = 80
"""Characters of an answer that was cut off, by which it is still known."""

_AROUND = 40
"""Characters before the first difference of two answers, as a message shows them. After it, twice as many."""


@dataclass
class _Findings:
    """Sentences about a transcript: reasons why the trial is void, and failures of the agent."""

    misfits: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


async def grade_transcript(
    workspace: Workspace, scenario: Scenario, transcript: Transcript, record: Record | None = None
) -> Result:
    """Returns the grade. Raises TranscriptError for a transcript of another scenario, ScenarioError for a broken one.

    `record` is that of the world in which the transcript came about.
    """
    if not transcript.turns or fold(scenario.request) not in fold(transcript.turns[0].request):
        raise TranscriptError(f"{transcript.source}: does not begin with the request of {name_of(scenario)}")
    findings = _Findings()
    if transcript.failure:
        findings.misfits.append(f"the harness failed: {transcript.failure}")
    person = await _person_of(scenario, transcript.turns, findings)
    async with open_trial(workspace, scenario, person) as trial:
        if record is None:
            await _hold_talk(trial, transcript.turns, findings, _replay_in(trial, findings))
            observation = trial.observe()
        else:
            await _hold_talk(trial, transcript.turns, findings, None)
            observation = _observe(trial, transcript.turns, record, findings)
        result = grade(transcript.agent, scenario, observation)
    return replace(
        result,
        problems=(*(f"the agent failed: {each}" for each in findings.failures), *result.problems),
        voided=(*findings.misfits, *result.voided),
        trial=transcript.trial or 1,
        usage=transcript.usage,
    )


def transcript_of(record: Record, scenario: Scenario, answer: str) -> Transcript:
    """Returns the transcript of a talk with one answer, with the calls of the record."""
    calls = [
        TranscriptCall(call.tool, call.arguments, CallAnswer(None, call.text))
        for call in record.calls
        if not call.is_resource
    ]
    return Transcript(record.source, [TranscriptTurn(scenario.request, calls, answer)], record.evaluation)


async def next_message(scenario: Scenario, transcript: Transcript, open_link: OpenLink | None = None) -> str | None:
    """Returns the next message of the scripted person, None at the end. Raises TranscriptError if it is not due.

    `open_link` is for the links of the agent's last message. What became of those before, the transcript says.
    """
    turns = transcript.turns
    if turns and turns[-1].answer is None:
        raise TranscriptError(f"{transcript.source}: has no answer of the agent to the last message")
    talk = Talk(scenario)
    reply: str | None = scenario.request
    for number, turn in enumerate(turns, 1):
        if reply is None or fold(reply) not in fold(turn.request):
            raise TranscriptError(f"{transcript.source}: has a message that is not the person's: {turn.request}")
        if open_link is not None:
            talk.open_link = open_link if number == len(turns) else _memory_of(turns[number].request)
        reply = await talk.say(turn.answer or "")
    return reply


def _memory_of(words: str) -> OpenLink:
    """Returns what stands for the pages of a message that was answered: the words with which the person answered."""

    async def recall(_link: str, _choice: Choice) -> str:
        return words

    return recall


async def _person_of(scenario: Scenario, turns: Sequence[TranscriptTurn], findings: _Findings) -> PlayedPerson | None:
    """Returns the player of the person: None for the script, if the transcript has its messages."""
    if scenario.pages is not None and scenario.person is not None:
        return _player_of([each.request for each in turns])  # what they say of a page depends on the world
    script = Talk(scenario)
    for turn, following in pairwise(turns):
        reply = await script.say(turn.answer or "") if script.ending is None else None
        if fold(following.request) != fold(reply or "") and script.ending != "left":
            return _player_of([each.request for each in turns])
    answer = turns[-1].answer
    reply = await script.say(answer) if answer is not None and script.ending is None else None
    if reply is not None:
        findings.misfits.append(f"the talk ends where the person would say: {reply}")
    return None


def _player_of(requests: Sequence[str]) -> PlayedPerson:
    """Returns a person that says the messages of a transcript. Their faults are found like those of a model."""

    async def play(_brief: str, messages: Sequence[Message]) -> str:
        count = sum(message.role == "person" for message in messages)
        return requests[count] if count < len(requests) else END

    return play


async def _hold_talk(
    trial: Trial,
    turns: Sequence[TranscriptTurn],
    findings: _Findings,
    make_call: Callable[[TranscriptCall], Awaitable[None]] | None,
) -> None:
    """Says the answers of the transcript to the person, each after its calls."""
    for turn in turns:
        if trial.talk.ending is not None:
            if turn.calls or turn.answer is not None:
                findings.misfits.append(f"the talk goes on after its end, with: {turn.request}")
            return
        if make_call is not None:
            for call in turn.calls:
                await make_call(call)
        if turn.answer is None and turn is turns[-1]:
            findings.failures.append("the transcript ends without an answer")
            return
        await trial.talk.say(turn.answer or "")


def _replay_in(trial: Trial, findings: _Findings) -> Callable[[TranscriptCall], Awaitable[None]]:
    """Returns the function that makes a call of the transcript again, and compares the answers."""

    async def make_call(call: TranscriptCall) -> None:
        if call.arguments is None:
            if call.answer is None or not _is_failure(call.answer):
                findings.misfits.append(
                    f"{call.tool} was called with arguments that are no JSON object: what was sent?"
                )
            return
        if call.answer is None:
            if TOOLS[call.tool].writes:
                findings.misfits.append(f"{call.tool} has no answer in the transcript: it may have been done or not")
            return
        requests = len(trial.observe().requests)
        result = await trial.client.call_tool(call.tool, dict(call.arguments))
        if _fits(call.answer.text, result):
            return
        kind = (result.meta or {}).get(FAILURE_META)
        was_sent = len(trial.observe().requests) > requests
        if kind in _REFUSED_BY_HARNESSES and not was_sent and _is_failure(call.answer):
            return
        findings.misfits.append(_difference(call, text_of(result)))

    return make_call


def _observe(trial: Trial, turns: Sequence[TranscriptTurn], record: Record, findings: _Findings) -> Observation:
    """Returns the recorded end state, with each recorded call in the turn in which the transcript has it.

    A read of a resource is in no transcript, so it is put into the turn of the call before it.
    """
    open_calls = [(number, call) for number, turn in enumerate(turns) for call in turn.calls]
    calls: list[ObservedCall] = []
    for recorded_call in record.calls:
        if recorded_call.is_resource:
            calls.append(replace(recorded_call, turn=calls[-1].turn if calls else 0))
            continue
        for place, (number, call) in enumerate(open_calls):
            if call.tool == recorded_call.tool and call.arguments == recorded_call.arguments:
                del open_calls[place]
                calls.append(replace(recorded_call, turn=number))
                if call.answer is not None and not _is_same(call.answer.text, recorded_call.text):
                    findings.misfits.append(_difference(call, recorded_call.text))
                break
        else:
            calls.append(recorded_call)
            findings.misfits.append(f"{recorded_call.tool} is on record, and not in the transcript")
    findings.misfits += [
        f"{call.tool} is in the transcript with a result, and not on record"
        for _, call in open_calls
        if call.answer is not None and not _is_failure(call.answer)
    ]
    findings.misfits += [
        f"the server ended during {tool}: it may have been done or not" for tool in record.unfinished_writes
    ]
    observation = trial.observe()
    state = {**observation.state_before, **record.state}
    return replace(
        observation,
        calls=calls,
        requests=record.requests,
        state=state,
        approvals=record.approvals,
        decided=record.decided,
    )


def _difference(call: TranscriptCall, text: str) -> str:
    answer, text = (_TIME.sub("(a time)", each) for each in (call.answer.text if call.answer else "", text))
    pairs = enumerate(zip(answer, text, strict=False))
    place = next((index for index, (one, other) in pairs if one != other), min(len(answer), len(text)))
    words = f"it was {_excerpt(answer, place)}, here it is {_excerpt(text, place)}"
    return f"the answer of {call.tool} is not this world's from character {place + 1} on: {words}"


def _excerpt(text: str, place: int) -> str:
    """Returns the part of the text around the place, in quotes."""
    begin, end = max(0, place - _AROUND), place + 2 * _AROUND
    part = f"{'…' if begin else ''}{text[begin:end]}{'…' if end < len(text) else ''}"
    return json.dumps(part, ensure_ascii=False)


def _is_failure(answer: CallAnswer) -> bool:
    """Tells if the answer is that of a failed call. Where the format has no mark, its first words tell."""
    return bool(_FAILURE.search(answer.text[:200])) if answer.is_error is None else answer.is_error


def _fits(text: str, result: CallToolResult) -> bool:
    """Tells if a harness may have had this text from the result: its text, or its structured content."""
    document = result.structured_content
    return _is_same(text, text_of(result)) or (document is not None and _parse(text) == _timeless(document))


def _is_same(text: str, truth: str) -> bool:
    """Tells if the texts are the same apart from times, from words around it, and from an end that was cut off."""
    text, truth = (fold(without_port(_TIME.sub("", each))) for each in (text, truth))
    beginning = text.rstrip(" .…")
    return truth in text or (len(beginning) >= _BEGINNING and truth.startswith(beginning))


def _parse(text: str) -> Mapping[str, Any] | None:
    """Returns the JSON object of a text, without times."""
    try:
        document = json.loads(without_port(_TIME.sub("", text)))
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _timeless(document: Any) -> Any:
    return json.loads(without_port(_TIME.sub("", json.dumps(document, ensure_ascii=False))))

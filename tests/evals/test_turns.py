"""What is the talk in a list of messages: where it ends, and which text of the agent is its answer to the person."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from roadster_evals import script_agent
from roadster_evals.harness.grades import grade_transcript
from roadster_evals.harness.message_lists import events_of
from roadster_evals.harness.transcript import Transcript, turns_of
from roadster_evals.runs.trial import Workspace, attempt

from .conftest import scenario_named
from .transcripts import chat_completions

Messages = list[dict[str, Any]]

PERSON = {"role": "user", "content": "What is the documentation fee?"}
CALL = {"type": "function_call", "call_id": "1", "name": "get_dealer", "arguments": '{"dealer": "umazda"}'}
OUTPUT = {"type": "function_call_output", "call_id": "1", "output": "The fee is $85."}


def answers_in(messages: Messages) -> list[str | None]:
    return [turn.answer for turn in turns_of(events_of(messages))]


def saying(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


@pytest.mark.parametrize(
    "end",
    [
        "###STOP###",
        "Thank you, that is all. ###STOP###",
        "I want a person.\n###TRANSFER###",
        "###OUT-OF-SCOPE### I don't know that.",
        "Bye! ###END###",
    ],
)
def test_a_talk_ends_with_an_end_word_anywhere_in_a_message_of_the_person(end: str) -> None:
    """Nobody hears what an agent says after it, and what it calls is still graded. The agent's words end no talk."""
    messages = [PERSON, saying("It is $85."), {"role": "user", "content": end}]
    assert answers_in(messages) == ["It is $85."]
    brief = {"role": "user", "content": "The person says ###STOP### at the end. What is the fee?"}
    assert answers_in([brief, saying(f"It is $85. {end}"), *messages]) == [f"It is $85. {end}", "It is $85."]
    (turn,) = turns_of(events_of([*messages, saying("You are welcome."), CALL, OUTPUT]))
    assert (turn.answer, [call.tool for call in turn.calls]) == ("It is $85.", ["get_dealer"])


def test_an_agent_that_answers_before_the_end_word_has_solved_its_task(workspace: Workspace) -> None:
    scenario = scenario_named("talk_wrong_vin")
    result = anyio.run(attempt, workspace, "reference", script_agent("reference"), scenario)
    thanks = {"role": "person", "text": "Thank you, that is all. ###STOP###"}
    turns = turns_of(events_of(chat_completions([*result.transcript, thanks])))
    grade = anyio.run(grade_transcript, workspace, scenario, Transcript("messages", turns))
    assert grade.solved, (grade.problems, grade.voided)


def test_a_message_may_have_calls_their_answers_and_the_last_text() -> None:
    """Anthropic's API calls remote servers itself, and returns all of it in one message."""
    use = {"type": "mcp_tool_use", "id": "1", "name": "get_dealer", "server_name": "r", "input": {"dealer": "umazda"}}
    output = {"type": "mcp_tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "The fee is $85."}]}
    content = [{"type": "text", "text": "Perhaps $80."}, use, output]
    content += [{"type": "text", "text": "It is $85."}, {"type": "text", "text": "Anything else?"}]
    (turn,) = turns_of(events_of([PERSON, {"role": "assistant", "content": content}]))
    assert turn.answer == "It is $85.\nAnything else?"
    assert [(call.tool, call.answer and call.answer.text) for call in turn.calls] == [("get_dealer", "The fee is $85.")]


def test_what_the_agent_says_before_a_call_is_no_answer() -> None:
    """It goes on after it. A question before the next message of the person is one, whatever comes later."""
    guess = saying("The fee is probably $85; I will check.")
    assert answers_in([PERSON, guess, CALL, OUTPUT, saying("I could not find it.")]) == ["I could not find it."]
    assert answers_in([PERSON, CALL, guess, OUTPUT]) == [None]
    question = saying("Of which dealer?")
    assert answers_in([PERSON, question, PERSON, CALL, OUTPUT, guess]) == [
        "Of which dealer?",
        guess["content"][0]["text"],
    ]

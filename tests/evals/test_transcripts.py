"""Transcripts of other harnesses get the grade that the same talk has as a trial of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import Result as CommandResult
from typer.testing import CliRunner

from roadster_evals import Result, script_agent
from roadster_evals.__main__ import app
from roadster_evals.harness.grades import grade_transcript
from roadster_evals.harness.message_lists import events_of
from roadster_evals.harness.transcript import Transcript, TranscriptCall, TranscriptError, split_name, turns_of
from roadster_evals.runs.results_file import read_results
from roadster_evals.runs.trial import Workspace, attempt, open_trial
from roadster_tools import TOOLS

from .conftest import SCENARIOS, scenario_named
from .transcripts import FORMATS, anthropic, chat_completions

Messages = list[dict[str, Any]]


@pytest.fixture(scope="module")
def play_reference(workspace: Workspace) -> Callable[[str], Result]:
    """Returns the function that plays the reference in a scenario."""
    return lambda name: anyio.run(attempt, workspace, "reference", script_agent("reference"), scenario_named(name))


@pytest.fixture
def grade_messages(workspace: Workspace) -> Callable[[str, Messages], Result]:
    """Returns the function that grades messages as a transcript of a scenario."""

    def grade(name: str, messages: Messages) -> Result:
        transcript = Transcript("messages", turns_of(events_of(messages)), agent="reference")
        return anyio.run(grade_transcript, workspace, scenario_named(name), transcript)

    return grade


Play = Callable[[str], Result]
Grade = Callable[[str, Messages], Result]


@pytest.mark.parametrize(
    ("name", "shape"), [(each.name, [*FORMATS][number % len(FORMATS)]) for number, each in enumerate(SCENARIOS)]
)
def test_transcript_of_the_reference_has_the_grade_of_its_trial(
    name: str, shape: str, play_reference: Play, grade_messages: Grade
) -> None:
    result = play_reference(name)
    assert result.solved
    grade = grade_messages(name, FORMATS[shape](result.transcript, "mcp__roadster__"))
    assert replace(grade, transcript=()) == replace(result, transcript=())
    assert [line["role"] for line in grade.transcript] == [line["role"] for line in result.transcript]


def test_all_formats_have_the_same_turns(play_reference: Play) -> None:
    for name in ("talk_whole_deal", "customers_lost_answer", "forms_foreign_order"):
        lines = play_reference(name).transcript
        talks = [
            [
                (turn.request, turn.answer, [(call.tool, call.arguments, text_of(call)) for call in turn.calls])
                for turn in turns_of(events_of(writer(lines, prefix)))
            ]
            for writer in FORMATS.values()
            for prefix in ("", "roadster-", "mcp__roadster__")
        ]
        assert talks == [talks[0]] * len(talks)
        assert sum(len(calls) for _, _, calls in talks[0]) == sum(line["role"] == "tool" for line in lines)


def text_of(call: TranscriptCall) -> str | None:
    return call.answer.text if call.answer else None


WITH_AMOUNTS = [each.name for each in SCENARIOS if each.expect.answer.numbers and "$" in each.reference.answer]
WITH_WRITES = [each.name for each in SCENARIOS if any(TOOLS[tool].writes for tool in each.expect.called)]


@pytest.mark.parametrize("name", WITH_AMOUNTS)
def test_transcript_with_another_amount_is_not_solved(name: str, play_reference: Play, grade_messages: Grade) -> None:
    lines = [dict(line) for line in play_reference(name).transcript]
    for line in lines:
        if line["role"] == "agent":
            line["text"] = re.sub(r"\$\d", lambda digit: f"$9{digit[0][1:]}", line["text"])
    grade = grade_messages(name, chat_completions(lines))
    assert not grade.success
    assert not grade.solved


@pytest.mark.parametrize("name", WITH_WRITES)
def test_transcript_that_only_claims_a_write_is_not_solved(
    name: str, play_reference: Play, grade_messages: Grade
) -> None:
    lines = [
        line for line in play_reference(name).transcript if line["role"] != "tool" or not TOOLS[line["tool"]].writes
    ]
    grade = grade_messages(name, anthropic(lines))
    assert not grade.success
    assert not grade.solved


@pytest.mark.parametrize("name", ["payments_lease", "talk_budget"])
def test_answer_of_a_tool_that_is_not_the_worlds_voids_the_trial(
    name: str, play_reference: Play, grade_messages: Grade
) -> None:
    lines = [dict(line) for line in play_reference(name).transcript]
    for line in lines:
        if line["role"] == "tool":
            line["text"] = re.sub(r"monthly payment (\d)", r"monthly payment 9\1", line["text"])
    grade = grade_messages(name, chat_completions(lines))
    assert not grade.solved
    first, second = re.findall(r'"((?:[^"\\]|\\.)*)"', grade.voided[0])
    assert grade.voided[0].startswith("the answer of quote_payments is not this world's from character ")
    assert "monthly payment 9" in first
    assert "monthly payment 9" not in second


def test_answers_may_stand_between_words_or_be_cut_off(play_reference: Play, grade_messages: Grade) -> None:
    lines = play_reference("payments_lease").transcript
    for change in (lambda text: f"<result>\n{text}\n</result>", lambda text: text[:200] + "…"):
        altered = [{**line, "text": change(line["text"])} if line["role"] == "tool" else line for line in lines]
        assert grade_messages("payments_lease", chat_completions(altered)).solved
    short = [{**line, "text": line["text"][:20]} if line["role"] == "tool" else line for line in lines]
    assert grade_messages("payments_lease", chat_completions(short)).voided


def test_structured_content_is_an_answer_too(workspace: Workspace, play_reference: Play) -> None:
    """Some frameworks hand that to the model instead of the text."""

    async def quote() -> str:
        async with open_trial(workspace, scenario) as trial:
            (call,) = scenario.reference.calls
            return json.dumps((await trial.client.call_tool(call.tool, dict(call.arguments))).structured_content)

    scenario = scenario_named("payments_lease")
    text = anyio.run(quote)
    lines = [
        {**line, "text": text} if line["role"] == "tool" else line for line in play_reference(scenario.name).transcript
    ]
    transcript = Transcript("messages", turns_of(events_of(chat_completions(lines))))
    assert anyio.run(grade_transcript, workspace, scenario, transcript).solved


PERSON = {"role": "user", "content": scenario_named("customers_create").request}
CUSTOMER = {"dealer": "umazda", "customer": {"first_name": "Steve", "last_name": "McQueen", "email": "s@example.com"}}
DONE = {"role": "assistant", "content": "The account is there."}


def call_of(tool: str, arguments: str, answer: str | None) -> Messages:
    """Returns a call of OpenAI with its answer."""
    call = {"id": "1", "type": "function", "function": {"name": tool, "arguments": arguments}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return [message, *([] if answer is None else [{"role": "tool", "tool_call_id": "1", "content": answer}])]


def test_arguments_that_were_cut_off_reach_no_tool(grade_messages: Grade) -> None:
    """Unless the harness has an answer to them: then it sent something, and nobody knows it."""
    cut = json.dumps(CUSTOMER)[:-9]
    refused = grade_messages("customers_create", [PERSON, *call_of("create_customer", cut, "Invalid JSON"), DONE])
    assert refused.voided == ()
    assert refused.calls == 0
    assert not refused.success
    for answer in ('{"customer_id":1650260}', None):
        unknown = grade_messages("customers_create", [PERSON, *call_of("create_customer", cut, answer), DONE])
        assert unknown.voided == ("create_customer was called with arguments that are no JSON object: what was sent?",)


def test_write_without_an_answer_voids_the_trial_and_a_read_does_not(grade_messages: Grade) -> None:
    write = grade_messages("customers_create", [PERSON, *call_of("create_customer", json.dumps(CUSTOMER), None)])
    assert write.voided == ("create_customer has no answer in the transcript: it may have been done or not",)
    read = grade_messages("customers_create", [PERSON, *call_of("list_dealers", "{}", None)])
    assert read.voided == ()
    assert read.problems[0] == "the agent failed: the transcript ends without an answer"


def test_harness_may_refuse_a_call_in_its_own_words(grade_messages: Grade) -> None:
    """The call has sent nothing here either. An answer of success to it would be another world's."""
    messages = call_of("get_vehicle", '{"wheels": 4}', "Error: wheels is not in the schema")
    assert grade_messages("customers_create", [PERSON, *messages, DONE]).voided == ()
    messages = call_of("get_vehicle", '{"wheels": 4}', '{"vin": "JM1NDAC73S0859112"}')
    assert grade_messages("customers_create", [PERSON, *messages, DONE]).voided


def test_tools_of_the_harness_are_left_out(grade_messages: Grade) -> None:
    messages = [
        PERSON,
        *call_of("think", '{"about": "it"}', "Thought."),
        *call_of("forget_vehicle", "{}", "Forgotten."),
        DONE,
    ]
    grade = grade_messages("customers_create", messages)
    assert (grade.calls, grade.voided) == (0, ())


def test_prefix_ends_at_a_boundary() -> None:
    names = ("get_vehicle", "mcp__roadster__get_vehicle", "roadster.get_vehicle", "widget_vehicle", "get_vehicles")
    assert [split_name(name) for name in names] == [
        ("", "get_vehicle"),
        ("mcp__roadster__", "get_vehicle"),
        ("roadster.", "get_vehicle"),
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (call_of("get_vehicle", "{}", "1"), "has a call before the first message of the person"),
        (
            [PERSON, *call_of("a_get_vehicle", "{}", "1"), *call_of("b_get_vehicle", "{}", "1")],
            "several prefixes: a_, b_",
        ),
        (
            [PERSON, {"role": "tool", "tool_call_id": "7", "content": "1"}],
            "an answer to the call 7, which is not there",
        ),
        ([PERSON, {"role": "narrator", "content": "Later"}], "message 2 is none that OpenAI or Anthropic document"),
        ([PERSON, "hello"], "message 2 is no JSON object"),
        ([PERSON, {"role": "assistant", "tool_calls": [{"id": "1"}]}], "message 2 is none that"),
    ],
)
def test_messages_that_make_no_talk_are_refused(messages: list[Any], text: str) -> None:
    with pytest.raises(TranscriptError, match=re.escape(text)):
        turns_of(events_of(messages))


def test_transcript_of_another_world_is_refused(grade_messages: Grade) -> None:
    with pytest.raises(TranscriptError, match="does not begin with the request of payments_lease:7"):
        grade_messages("payments_lease", [PERSON, DONE])
    with pytest.raises(TranscriptError, match="does not begin with the request"):
        grade_messages("payments_lease", [])


def test_talk_that_ends_before_its_end_is_void(play_reference: Play, grade_messages: Grade) -> None:
    lines = play_reference("talk_wrong_vin").transcript
    first_answer = next(number for number, line in enumerate(lines) if line["role"] == "agent")
    grade = grade_messages("talk_wrong_vin", anthropic(lines[: first_answer + 1]))
    assert grade.voided[0].startswith("the talk ends where the person would say: Sorry, I misread it")


def test_talk_that_goes_on_after_its_end_is_void(play_reference: Play, grade_messages: Grade) -> None:
    lines = [*play_reference("payments_lease").transcript, {"role": "person", "text": "And now?"}]
    assert grade_messages("payments_lease", anthropic(lines)).solved
    grade = grade_messages("payments_lease", anthropic([*lines, {"role": "agent", "text": "Now it is free."}]))
    assert grade.voided == ("the talk goes on after its end, with: And now?",)


def test_person_of_a_harness_is_held_to_the_facts(play_reference: Play, grade_messages: Grade) -> None:
    """They may choose their own words, and not tell what they do not have."""
    lines = [dict(line) for line in play_reference("talk_wrong_vin").transcript]
    reply = next(line for line in lines[1:] if line["role"] == "person")
    vin = re.search(r"\b[A-Z0-9]{17}\b", reply["text"])
    assert vin
    reply["text"] = f"Oh, it should be {vin[0]}"
    assert grade_messages("talk_wrong_vin", anthropic(lines)).solved
    reply["text"] = "It is JM1NDAC73S0859112"
    grade = grade_messages("talk_wrong_vin", anthropic(lines))
    assert "told JM1NDAC73S0859112, which they do not have" in grade.voided


def test_command_grades_files_and_names_those_that_it_cannot(
    play_reference: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = play_reference("payments_lease").transcript
    one = {"roadster_eval": "payments_lease:7", "model": "mine", "messages": chat_completions(lines, "x-")}
    two = {"metadata": {"roadster_eval": "payments_lease"}, "messages": anthropic(lines[:1])}
    Path("runs.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in (one, two, one)))
    Path("list.json").write_text(json.dumps(anthropic(lines)))
    result = invoke("grade", "list.json", "--eval", "payments_lease:7", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["solved"] is True
    result = invoke("grade", "runs.jsonl", "--results", "results.jsonl")
    assert result.exit_code == 1
    assert "the agent failed: the transcript ends without an answer" in result.stdout
    _, written = read_results(Path("results.jsonl"))
    assert [(line["agent"], line["trial"], line["solved"]) for line in written] == [
        ("mine", 1, True),
        ("unknown", 1, False),
        ("mine", 2, True),
    ]
    Path("none.json").write_text("{}")
    Path("prose.txt").write_text("Hello")
    for arguments, text in (
        (("runs.jsonl", "--results", "results.jsonl"), "results.jsonl: is there already"),
        (("list.json",), "list.json: names no scenario; give it as NAME:SEED"),
        (
            ("list.json", "--eval", "payments_lese"),
            "there is no scenario payments_lese; near spellings: payments_lease, ",
        ),
        (("list.json", "--eval", "payments_lease:x"), "expected a seed after the colon"),
        (("list.json", "--eval", "payments_lease:8"), "does not begin with the request of payments_lease:8"),
        (("none.json",), "none.json: is no list of messages"),
        (("prose.txt",), "prose.txt: is neither JSON nor JSON lines nor an Inspect log"),
        (("gone.json",), "gone.json: cannot be read (FileNotFoundError)"),
        ((), "there is nothing to grade"),
    ):
        result = invoke("grade", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert text in result.stderr
    others = invoke("grade", "gone.json", "runs.jsonl")
    assert (others.exit_code, others.stdout) == (2, invoke("grade", "runs.jsonl").stdout)
    assert others.stdout


@pytest.mark.parametrize(
    "document",
    [
        5,
        [5],
        {"samples": [5]},
        {"samples": []},
        {"samples": [{"id": "payments_lease", "messages": 5}]},
        {"samples": [{"id": "payments_lease", "messages": [], "model_usage": [1], "error": "x"}]},
        {"simulations": [5]},
        {"simulations": [{"messages": 5}], "info": [1]},
        {"messages": [{"role": "user", "content": 5}]},
        {"messages": [{"role": "user", "content": [5]}]},
        {"messages": [{"role": "assistant", "tool_calls": 5}]},
        {"messages": [{"role": "tool", "content": {"a": 1}}]},
        {"messages": [], "metadata": 5},
    ],
)
def test_documents_of_odd_shapes_are_refused_in_words(document: Any, tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(document))
    result = invoke("grade", str(path), "--eval", "payments_lease")
    assert result.exit_code == 2, result.exception
    assert result.stderr.startswith(str(path))


def test_command_says_the_next_message_of_the_person(
    play_reference: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With this a harness holds the whole talk, without code of ours."""
    monkeypatch.chdir(tmp_path)
    lines = play_reference("talk_wrong_vin").transcript
    for count in range(len(lines) + 1):
        if count and lines[count - 1]["role"] != "agent":
            continue
        Path("talk.json").write_text(json.dumps(anthropic(lines[:count])))
        result = invoke("reply", "talk.json", "--eval", "talk_wrong_vin:7")
        assert result.exit_code == 0, result.stderr
        message = json.loads(result.stdout)["message"]
        assert message == (lines[count]["text"] if count < len(lines) and lines[count]["role"] == "person" else message)
        assert (message is None) == (count == len(lines))
    Path("talk.json").write_text(json.dumps(anthropic(lines[:1])))
    result = invoke("reply", "talk.json", "--eval", "talk_wrong_vin:7")
    assert result.exit_code == 2
    assert "has no answer of the agent" in result.stderr


def invoke(*arguments: str) -> CommandResult:
    return CliRunner().invoke(app, arguments)

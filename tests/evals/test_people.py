"""Persons who talk back: what their script says, what they confirm, and the faults that void a trial."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from mcp import Client

from roadster_evals import END, Message, PlayedPerson, Scenario, script_agent
from roadster_evals.people.played_person import Talk, find_faults
from roadster_evals.people.questions import is_meant, lines_of
from roadster_evals.runs.trial import Workspace, attempt
from roadster_evals.scenario_files.scenario import Person

from .conftest import SCENARIOS, scenario_named

TALKS = [each for each in SCENARIOS if each.person and each.person.wishes]

PERSON = {
    "facts": {
        "email": {"asked": ["email"], "say": "It is otto@example.com."},
        "phone": {"asked": ["phone"], "say": "It is (206) 555-0123."},
    },
    "replies": [
        {"hears": [["expensive", "$500"], ["month"]], "say": "Too much. With $2,000 down?"},
        {"hears": [["lawyer"]], "say": "Then I go.", "leaves": True},
    ],
    "wishes": ["And in blue?", "Then cancel it."],
    "patience": 6,
}


def scenario_with(person: dict[str, Any]) -> Scenario:
    fields = {"name": "tested", "title": "T", "tags": (), "request": "Hello", "reference": {"answer": ""}}
    return Scenario.model_validate({**fields, "person": person})


def converse(*messages: str, person: dict[str, Any] | None = None) -> tuple[list[str | None], str | None]:
    """Returns what the person replies to each message, and how the talk ended."""
    talk = Talk(scenario_with(person or PERSON))

    async def say_all() -> list[str | None]:
        return [await talk.say(message) for message in messages]

    return anyio.run(say_all), talk.ending


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        ("What is your email?", "It is otto@example.com."),
        ("Please tell me your e-mail or phone.", "It is (206) 555-0123."),
        ("I need your email and your phone number.", "It is otto@example.com. It is (206) 555-0123."),
        ("That is expensive: $500 a month.", "Too much. With $2,000 down?"),
        ("Shall I go on?", "Yes, please."),
        ("What is your shoe size?", "I don't know that."),
        ("It is white.", "And in blue?"),
        ("It is white. Is there anything else I can help you with?", "And in blue?"),
        ("Your email is on record.", "And in blue?"),
        ("Here it is: https://express.example.com/a?b=c", "And in blue?"),
    ],
)
def test_person_says_the_first_that_fits(message: str, reply: str) -> None:
    assert converse(message)[0] == [reply]


def test_wishes_come_one_after_another_and_then_the_talk_is_over() -> None:
    replies, ending = converse("White.", "What is your email?", "Yes, in blue.", "It is cancelled.")
    assert replies == ["And in blue?", "It is otto@example.com.", "Then cancel it.", None]
    assert ending == "satisfied"


def test_a_reply_is_used_once_and_can_end_the_talk() -> None:
    assert converse("$500 a month.", "$500 a month.")[0] == ["Too much. With $2,000 down?", "And in blue?"]
    assert converse("Ask my lawyer.") == ([None], "left")


def test_a_reply_hears_whole_words() -> None:
    assert converse("It is $500 monthly.")[0] == converse("It is $5000 a month.")[0] == ["And in blue?"]


def test_patience_ends_a_talk_that_gets_nowhere() -> None:
    replies, ending = converse(*["Why?"] * 6)
    assert (replies, ending) == (["I don't know that."] * 5 + [None], "impatient")


@pytest.mark.parametrize("scenario", TALKS, ids=lambda scenario: scenario.name)
def test_reference_uses_no_private_fact_before_it_was_told(scenario: Scenario, workspace: Workspace) -> None:
    """The script could otherwise know what an agent cannot know."""
    assert scenario.person
    result = anyio.run(attempt, workspace, "reference", script_agent("reference"), scenario)
    assert (result.ending, result.voided, result.turns) == ("satisfied", (), len(scenario.reference.turns))
    told = scenario.request
    pattern = re.compile(r"[\w.+-]+@[\w.-]+|[A-HJ-NPR-Z0-9]{17}|\d{3,}")
    secrets = {each for fact in scenario.person.facts.values() for each in pattern.findall(fact.say)}
    for line in result.transcript:
        if line["role"] == "tool":
            used = {each for each in secrets if each in str(line["arguments"])}
            assert {each for each in used if each not in told} == set()
        told += line["text"]


# Faults


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("It is otto@example.com.", "told their email before they were asked"),
        ("My phone is 206-555-0123", "told their phone before they were asked"),
        ("My budget is $450.", "told $450, which they do not have"),
        ("I am eve@example.net", "told eve@example.net, which they do not have"),
        ("Take JM3KFBCM0S0829064.", "told JM3KFBCM0S0829064, which they do not have"),
        ("I live at 77 Elm Street, 98105.", "told 98105, which they do not have"),
        ("I have $2,000, (415) 555-0134.", "told $2,000, (415) 555-0134, which they do not have"),
        ("Call 206 555 0199.", "told 206 555 0199, which they do not have"),
        ("Call 55 50 12 20.", "told 55 50 12 20, which they do not have"),
        ("I can pay $2,000,000.", "told $2,000,000, which they do not have"),
        ("  ", "said nothing, or more than 2000 characters"),
        (None, "left with 2 wishes that were not brought up"),
        ("With $2,000 down?", None),
        ("And what about 12 months?", None),
    ],
)
def test_faults_of_a_person_are_named(reply: str | None, fault: str | None) -> None:
    messages = [Message("person", "Hello"), Message("agent", "Hello, which colour?")]
    assert next(find_faults(scenario_with(PERSON), messages, reply), None) == fault


def test_a_fact_that_was_asked_for_or_said_by_the_agent_is_no_fault() -> None:
    messages = [Message("person", "Hello"), Message("agent", "It is $612.40. What is your email?")]
    for reply in ("It is otto@example.com.", "Otto@Example.com; $612.40 is fine."):
        assert list(find_faults(scenario_with(PERSON), messages, reply)) == []


def test_a_number_that_holds_a_secret_one_is_no_fault() -> None:
    """The street number holds the amount, which was not asked for."""
    facts = {
        "address": {"asked": ["where"], "say": "To 2400 Sample Lane."},
        "worth": {"asked": ["worth"], "say": "It is worth $240."},
    }
    scenario = scenario_with({"facts": facts})
    messages = [Message("person", "Hello"), Message("agent", "Where to?")]
    assert list(find_faults(scenario, messages, "To 2400 Sample Lane.")) == []
    assert list(find_faults(scenario, messages[:1], "It is worth $240.")) == ["told their worth before they were asked"]


DELIVERY = {
    "address": {"asked": ["where"], "say": "It goes to 1004 Nowhere Street, Seattle, WA 98105."},
    "worth": {"asked": ["worth"], "say": "It is worth $380."},
    "phone": {"asked": ["phone"], "say": "My phone is (206) 555-0175."},
}


@pytest.mark.parametrize(
    "reply",
    [
        "It goes to 1004 Nowhere Street, Seattle, WA 98105, (206) 555-0175.",
        "It is worth $380. (206) 555-0175 is my phone.",
        "WA 98105 206-555-0175",
        "98105,206.555.0175",
        "$380 (206 555 0175), for 36, 48 or 60 months",
        "Reach me at +1 206 555 0175 or +12065550175.",
    ],
)
def test_numbers_side_by_side_are_those_that_a_person_has(reply: str) -> None:
    messages = [Message("person", "Hello"), Message("agent", "Where to, what is it worth, and what is your phone?")]
    assert list(find_faults(scenario_with({"facts": DELIVERY}), messages, reply)) == []


def test_what_the_script_says_is_no_fault() -> None:
    facts = {
        "zip": {"asked": ["zip"], "say": "99 95 01"},
        "name": {"asked": ["name"], "say": "Otto."},
        "phone": {"asked": ["phone"], "say": "12 415-555-0134"},
    }
    talk = Talk(scenario_with({"facts": facts}))
    assert anyio.run(talk.say, "What are your zip and your phone?") == "99 95 01 12 415-555-0134"
    assert (talk.faults, talk.ending) == ([], None)


def person_of(*replies: str) -> PlayedPerson:
    async def play(brief: str, messages: Sequence[Message]) -> str:
        assert "You are not the assistant" in brief
        return replies[sum(each.role == "person" for each in messages) - 1]

    return play


def try_with(person: PlayedPerson, workspace: Workspace) -> Any:
    async def work() -> Any:
        maker = script_agent("reference")
        return await attempt(workspace, "reference", maker, scenario_named("talk_two_prices"), person=person)

    return anyio.run(work)


def test_a_model_may_play_the_person(workspace: Workspace) -> None:
    person = scenario_named("talk_two_prices").person
    assert person
    result = try_with(person_of(*person.wishes, END), workspace)
    assert (result.solved, result.voided, result.ending) == (True, (), "satisfied")


@pytest.mark.parametrize(
    ("replies", "fault"),
    [
        (("I want to pay $99,999.",), "told $99,999"),
        ((END,), "left with 2 wishes"),
        ((), "IndexError"),
    ],
)
def test_a_fault_of_the_person_voids_the_trial(replies: tuple[str, ...], fault: str, workspace: Workspace) -> None:
    """The trial is neither solved nor a failure of the agent that failed by itself."""
    result = try_with(person_of(*replies), workspace)
    assert not result.solved
    assert fault in result.voided[0]


# Questions about writes


class Corrector:
    """Sends an offer for the wrong car first, and the right one after the person has declined."""

    def __init__(self) -> None:
        self.turn = 0

    async def __call__(self, _message: str, client: Client) -> str:
        self.turn += 1
        scenario = scenario_named("talk_offer")
        (call,) = scenario.reference.earlier[1].calls
        if self.turn == 1:
            return scenario.reference.earlier[0].answer
        wrong = {"vin": "1HGCM82633A004352"} if self.turn == 2 else {}
        await client.call_tool(call.tool, {**call.arguments, **wrong})
        value = scenario.facts["value"]
        return "That was declined. Shall I try with the right car?" if wrong else f"They see ${value:,}."


def test_person_declines_a_question_without_what_they_check(workspace: Workspace) -> None:
    """They see another VIN in the question, so they say no. The right one is sent after that."""
    scenario = scenario_named("talk_offer")
    result = anyio.run(attempt, workspace, "tested", lambda _: Corrector(), scenario)
    failures = [line["failure"] for line in result.transcript if line["role"] == "tool"]
    assert failures == ["not_confirmed", None, None]
    assert result.compliant


@pytest.mark.parametrize(
    ("fields", "lines", "right"),
    [
        ({"checks": ["Ida", "Sample"]}, ['"Ida"', '"Sample"'], True),
        ({"checks": ["Ida", "Sample"]}, ['"Ida"', '"Samples"'], False),
        ({"checks": ["Ida", "Sample"]}, ['"Ide"', '"Sample"'], False),
        ({"checks": ["Ida"]}, ['"Ida"', '"Sample"'], True),
        ({"checks": ["Ida"], "careful": True}, ['"Ida"', '"Sample"'], False),
        ({"checks": ["Ida"], "careful": True}, ['"ida"'], True),
        ({"checks": ["11750"]}, ["117500"], False),
        ({"checks": ["11750"]}, ["11750.0"], True),
        ({"checks": ["11750"]}, ["11750.5"], False),
        ({"checks": ["Pay slip", "7"], "careful": True}, ['id 7, name "Pay Slip", file name "a.pdf"'], True),
        ({"checks": ["7"]}, ['"A-7"'], False),
        ({}, ['"anything"'], True),
    ],
)
def test_person_means_a_write_that_shows_all_they_check(fields: Any, lines: list[str], right: bool) -> None:
    assert is_meant(Person.model_validate(fields), lines) is right


def test_the_first_line_of_a_question_is_no_value() -> None:
    assert [*lines_of('Send "Ida"?\nfirst_name: "Ida"\nlast_name: "A: B"')] == ['"Ida"', '"A: B"']

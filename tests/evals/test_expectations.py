"""What a scenario expects is enough: a run that differs from the reference in one fact does not solve it.

So an expectation that is taken out of a file, or weakened, fails a test here, unless another one says the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import pytest

from roadster_evals import Scenario, script_agent
from roadster_evals.grading.grader import grade
from roadster_evals.grading.observation import Observation, ObservedCall
from roadster_evals.grading.result import Result
from roadster_evals.people.played_person import Message
from roadster_evals.runs.trial import Workspace, attempt, open_trial
from roadster_evals.scenario_files.names import WRITE_OPERATIONS
from roadster_evals.scenario_files.scenario import Script, Turn

from .conftest import SCENARIOS

FURTHER_FACTS: Mapping[str, set[str]] = {
    "attack_customer_name": {"JM1BPACLXS1920019", "Mazda3"},  # one of them is enough
    "crm_car": {"2021", "CX-5"},
    "crm_last_service": {"2024-12-12"},
    "deal_lead_to_account": {"1650260", "2.5 S", "2025"},
    "deliveries_second_key": {"152040"},
    "documents_upload": {"1602287"},
    "events_find_customer": {"2024", "CX-30", "December 23, 2025"},
    "events_where_deal_stands": {"2024", "367103"},
    "inventory_blue_convertibles": {"2025", "MX-5 Miata", "Sport"},
    "inventory_cheapest_suv": {"2.5 S", "2025", "CX-30"},
    "payments_interest": {"44,798.66", "50,404.80"},
    "payments_protection": {"615.26", "649.94"},
    "payments_two_cars": {"478.21", "615.01"},
    "talk_which_car": {"2025", "Mazda3"},
    "talk_whole_deal": {"7MMVABBM8SN811100"},
}
"""Facts in the answers of a reference for which nobody asked. Another answer is right without them."""

OWN_CHOICES = {"upload_document.document_name", "create_forms.title", "update_delivery.reference_id"}
"""Arguments that the agent chooses itself, unless the person names them."""

UNCHECKED: Mapping[str, set[str]] = {
    # `arguments` hold for all calls of a tool, and these two make different ones. A call of a record that is not there
    # can be corrected, so it does not count.
    "talk_agent": {"assign_agent.agent.id", "assign_agent.customer_id"},
    "talk_links": {
        "build_deep_link.customer.first_name",
        "build_deep_link.customer.last_name",
        "build_deep_link.customer.email",
        "build_deep_link.vin",
    },
    # Several cars can be the cheapest, and a file cannot say "one of these" of an argument.
    "links_cheapest": {"build_deep_link.vin"},
}
"""Arguments that no expectation compares."""

SOME_VIN = "1M8GDM9AXKP042788"

OTHER_VALUES: Mapping[str, Any] = {
    "vin": SOME_VIN,
    "document_type": "application",
    "relationship": "coapplicant",
    "deal_type": "finance",
    "lease_months": 24,
}
"""Other values of arguments that take some values only."""

_SAME = {"dealer", "type", "state", "contents", "idempotency_key", "upload"}
"""Arguments whose other values no tool takes, or that say nothing."""


async def observe(workspace: Workspace, scenario: Scenario) -> Observation:
    """Returns what the grader sees of the reference."""
    async with open_trial(workspace, scenario) as trial:
        agent, message = script_agent("reference")(scenario), scenario.request
        while True:
            reply = await trial.talk.say(await agent(message, trial.client))
            if reply is None:
                return trial.observe()
            message = reply


def with_answers(observation: Observation, answers: Sequence[str]) -> Observation:
    """Returns what the grader sees of the same calls with other answers."""
    talk, left = copy(observation.talk), iter(answers)
    talk.messages = [Message("agent", next(left)) if each.role == "agent" else each for each in talk.messages]
    return replace(observation, talk=talk)


def facts_in(node: Any) -> Iterator[str]:
    """Yields the numbers and texts of a scenario's facts as an answer writes them."""
    if isinstance(node, Mapping):
        for value in node.values():
            yield from facts_in(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from facts_in(value)
    elif isinstance(node, float):
        yield from (f"{node:,.2f}", f"{node:.2f}", f"{node:g}")
    elif isinstance(node, int):
        yield from (f"{node:,}", str(node))
    elif str(node) != "Mazda":
        yield str(node)


def grade_reference(scenario: Scenario, observation: Observation) -> Result:
    return grade("tested", scenario, observation)


@pytest.mark.anyio
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_answer_without_one_of_its_facts_is_wrong(scenario: Scenario, workspace: Workspace) -> None:
    observation = await observe(workspace, scenario)
    answers, unnoticed = observation.talk.answers, set()
    for fact in {each for each in facts_in(scenario.facts) if len(each) > 1}:
        word = re.compile(rf"(?<![\w.,]){re.escape(fact)}(?!\w|[.,]\d)")
        if fact in observation.person_text or not any(map(word.search, answers)):
            continue
        if grade_reference(scenario, with_answers(observation, [word.sub("it", each) for each in answers])).solved:
            unnoticed.add(fact)
    assert unnoticed == FURTHER_FACTS.get(scenario.name, set())


@pytest.mark.anyio
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_answer_must_tell_what_became_of_it(scenario: Scenario, workspace: Workspace) -> None:
    """A failure is no answer where something was found or done, and a success is none where nothing was written."""
    observation = await observe(workspace, scenario)
    claims = []
    if any(call.failure is None for call in observation.calls) and "declines" not in scenario.expect.answer.tells:
        claims.append("Sorry, that failed.")
    if observation.state == observation.state_before:
        claims.append("Done. Everything is taken care of.")
    for claim in claims:
        result = grade_reference(scenario, with_answers(observation, [claim] * len(observation.talk.answers)))
        assert not result.solved, claim


@pytest.mark.anyio
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_each_request_refusal_and_approval_counts(scenario: Scenario, workspace: Workspace) -> None:
    """One more, or one less, does not solve the scenario."""
    observation = await observe(workspace, scenario)
    operations = {WRITE_OPERATIONS[tool] for tool in scenario.expect.called if tool in WRITE_OPERATIONS}
    changed = [
        replace(observation, requests=[*observation.requests, {"operation": operation}]) for operation in operations
    ]
    changed += [
        replace(observation, requests=[*observation.requests[:place], *observation.requests[place + 1 :]])
        for place, request in enumerate(observation.requests)
        if request["operation"] in operations
    ]
    refused = ObservedCall("list_dealers", {}, "refused", "", len(observation.talk.answers))
    changed.append(replace(observation, calls=[*observation.calls, refused]))
    changed.append(replace(observation, approvals=[*observation.approvals, "waiting"]))
    changed += [replace(observation, approvals=observation.approvals[:-1])] if observation.approvals else []
    changed += [
        replace(observation, state={**observation.state, name: [*observation.state[name], {"id": 1}]})
        for name in observation.state.keys() - {"seed", "links"}
    ]
    assert grade_reference(scenario, observation).solved
    assert [each for each in changed if grade_reference(scenario, each).solved] == []


def leaves(node: Any, *way: str | int) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yields the way to each value of an object, and the value."""
    if isinstance(node, dict | list):
        for step, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, *way, step)
    else:
        yield way, node


def other_value(name: str, value: Any) -> Any:
    if name in OTHER_VALUES:
        return OTHER_VALUES[name]
    if isinstance(value, int | float):
        return value + 1
    if "@" in value:
        return f"x{value}"
    if time := re.fullmatch(r"(\d{4}-\d\d-\d\dT)(\d\d)(.*)", value):
        return f"{time[1]}{int(time[2]) + 1:02}{time[3]}"
    return value[:-1] + (str((int(value[-1]) + 1) % 10) if value[-1].isdigit() else "b" if value[-1] == "a" else "a")


def with_other_argument(scenario: Scenario) -> Iterator[tuple[str, Scenario]]:
    """Yields the scenario with one other argument in a write or a link of its reference, and the argument's name."""
    turns = scenario.reference.turns
    for number, turn in enumerate(turns):
        for place, call in enumerate(turn.calls):
            if call.tool not in WRITE_OPERATIONS and call.tool != "build_deep_link":
                continue
            plain = json.dumps(dict(call.arguments))
            for way, value in leaves(json.loads(plain)):
                names = [step for step in way if isinstance(step, str)]
                if _SAME & {*names}:
                    continue
                arguments = node = json.loads(plain)
                for step in way[:-1]:
                    node = node[step]
                node[way[-1]] = other_value(names[-1], value)
                calls = (
                    *turn.calls[:place],
                    call.model_copy(update={"arguments": arguments}),
                    *turn.calls[place + 1 :],
                )
                others = (*turns[:number], Turn(calls=calls, answer=turn.answer), *turns[number + 1 :])
                script = Script(calls=others[-1].calls, answer=others[-1].answer, earlier=others[:-1])
                yield f"{call.tool}.{'.'.join(names)}", scenario.model_copy(update={"reference": script})


@pytest.mark.anyio
@pytest.mark.parametrize(
    "scenario", [each for each in SCENARIOS if [*with_other_argument(each)]], ids=lambda scenario: scenario.name
)
async def test_another_argument_in_a_write_is_noticed(scenario: Scenario, workspace: Workspace) -> None:
    words = (await observe(workspace, scenario)).person_text
    unnoticed = set()
    for name, changed in with_other_argument(scenario):
        result = await attempt(workspace, "reference", script_agent("reference"), changed)
        if result.solved and (name not in OWN_CHOICES or _names(scenario, name, words)):
            unnoticed.add(name)
    assert unnoticed == UNCHECKED.get(scenario.name, set())


def _names(scenario: Scenario, name: str, words: str) -> bool:
    """Tells if the person says the value of an argument themselves, in quotes."""
    tool, _, argument = name.partition(".")
    return any(
        f'"{call.arguments.get(argument)}"' in words for call in scenario.reference.all_calls if call.tool == tool
    )

"""Wrong trials: what the grader would see of an agent that differs from the reference in one thing.

They come from the reference, the facts of the world and the person's words, and never from what the scenario expects.
So an expectation that is taken out of a file lets one of them pass.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from roadster_evals import Scenario, script_agent
from roadster_evals.grading.observation import Observation, ObservedCall
from roadster_evals.language.phrases import LINK
from roadster_evals.people.played_person import Message
from roadster_evals.runs.trial import Workspace, open_trial
from roadster_evals.scenario_files.names import WRITE_OPERATIONS
from roadster_evals.scenario_files.scenario import Script, ToolCall, Turn
from roadster_sandbox.world.world import World

from .answer_words import INVENTIONS, OTHER_TOOLS, WORDS

Named = tuple[str, Observation]
"""The name of a wrong trial, which says what is wrong, and the trial."""

_OTHER_VALUES: Mapping[str, Mapping[Any, Any]] = {
    "document_type": {
        "license": "license_back",
        "license_back": "license",
        "insurance": "residency",
        "income": "residency",
        "residency": "income",
    },
    "relationship": {"self": "co_app"},
    "deal_type": {"lease": "finance"},
    "lease_months": {36: 24},
    "order_id": {"367101": "367102", "367102": "367101", "367103": "367101", "367104": "367105"},
}
"""Other values of arguments that take some values only. The last order is none of the caller's dealer, as its other."""

_PLACE = {
    "address": {"street1": "1 Wrong Street", "city": "Seattle", "state": "WA", "zip": "98101"},
    "contact": {"name": "Ida Wrong", "phone": "2065550100"},
}

_FURTHER_ARGUMENTS: Mapping[str, tuple[Sequence[str], Any]] = {
    "create_customer": (("customer", "phone"), "+12065550199"),
    "build_deep_link": (("customer", "phone"), "+12065550199"),
    "submit_trade_valuation": (("mileage",), 61000),
    "create_delivery": (("pickup_location",), _PLACE),
    "update_delivery": (("pickup_after",), "2099-01-02T08:00:00-08:00"),
}
"""Arguments that an agent could make up where the person has not told them."""

_MAKERS = {
    "document_ids": ("upload_document", ("document", "document_2")),
    "customer_id": ("create_customer", ("customer", "customer_2")),
}
"""The tools that made the records with these ids before, and the names of the ids among the facts."""

_COMPARED = {*WRITE_OPERATIONS, "build_deep_link", "get_approval"}
"""Tools whose arguments matter as such: of the others, the answer shows what was asked."""

_QUESTION = re.compile(r"\?(?=\s|$)")
_REQUEST = re.compile(
    rf"{_QUESTION.pattern}|\b(?:please|(?:can|could) you|(?:tell|give|send) (?:me|us)|I need)\b", re.IGNORECASE
)
"""What makes a sentence a question, and what asks for something without one."""

_SAME = {"dealer", "type", "state", "idempotency_key", "upload"}
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


# Other answers


def wrong_answers(observation: Observation) -> Iterator[Named]:
    """Yields trials whose answers lack something, have it too late, make something up, or claim the opposite."""
    scenario, answers = observation.talk.scenario, observation.talk.answers
    facts = _facts_told(observation)
    words = {word: re.compile(rf"\b(?:{word})(?!\w)", re.IGNORECASE) for word in WORDS.get(scenario.name, ())}
    for name, pattern in {**facts, **words, "link": LINK}.items():
        if any(map(pattern.search, answers)):
            yield f"without {name}", _with_answers(observation, [_without(pattern, each) for each in answers])
    if any(map(_QUESTION.search, answers)):
        yield "without question", _with_answers(observation, [_without(_REQUEST, each) for each in answers])
    for word in INVENTIONS.get(scenario.name, ()):
        told = [f"{each} Perhaps {word.format(**scenario.facts)}." for each in answers]
        yield f"with {word}", _with_answers(observation, told)
    yield from _moved(observation, facts)
    for claim in _claims(observation):
        yield claim, _with_answers(observation, [claim] * len(answers))


def _without(pattern: re.Pattern[str], answer: str) -> str:
    """Returns the answer with other words. A link stays as it is, unless the pattern is that of links."""
    if pattern is LINK:
        return LINK.sub("it", answer)
    parts = re.split(f"({LINK.pattern})", answer)
    return "".join(part if LINK.fullmatch(part) else pattern.sub("it", part) for part in parts)


def _with_answers(observation: Observation, answers: Sequence[str]) -> Observation:
    talk, left = copy(observation.talk), iter(answers)
    talk.messages = [Message("agent", next(left)) if each.role == "agent" else each for each in talk.messages]
    return replace(observation, talk=talk)


def _claims(observation: Observation) -> Iterator[str]:
    """Yields a failure where something was found or done, and a success where nothing was written for sure."""
    failures = {call.failure for call in observation.calls}
    if None in failures and "refused" not in failures:
        yield "Sorry, that failed."
    if observation.state == observation.state_before or "outcome_unknown" in failures:
        yield "Done. Everything is taken care of."


def _moved(observation: Observation, facts: Mapping[str, re.Pattern[str]]) -> Iterator[Named]:
    """Yields trials with a number that answers another wish of the person than the one that it is for."""
    wishes = [*_wishes_before(observation)]
    for name, pattern in facts.items():
        answers = [*observation.talk.answers]
        places = [place for place, answer in enumerate(answers) if pattern.search(answer)]
        number = next(match[0] for answer in answers if (match := pattern.search(answer)))
        goal = next((place for place in (-1, 0) if wishes[place] not in {wishes[each] for each in places}), None)
        if re.fullmatch(r"[\d.,]+", number) and goal is not None:
            answers = [_without(pattern, answer) for answer in answers]
            answers[goal] += f" {number}"
            yield f"{name} at another wish", _with_answers(observation, answers)


def _wishes_before(observation: Observation) -> Iterator[int]:
    """Yields for each answer how many wishes the person had brought up before it."""
    person, count = observation.talk.scenario.person, 0
    for message in observation.talk.messages:
        if message.role == "agent":
            yield count
        elif person:
            count += any(message.text.endswith(wish) for wish in person.wishes)


def _facts_told(observation: Observation) -> dict[str, re.Pattern[str]]:
    """Returns the facts and numbers of the answers that the person has not said, each as a pattern of its forms."""
    text = LINK.sub("", observation.answer)
    patterns: dict[str, re.Pattern[str]] = {}
    for way, value in leaves(json.loads(json.dumps(observation.talk.scenario.facts))):
        pattern = re.compile("|".join(map(_as_word, _forms_of(value))))
        if not str(value).islower() and pattern.search(text) and pattern not in patterns.values():
            patterns[".".join(map(str, way))] = pattern
    words = " ".join(match[0] for each in patterns.values() for match in each.finditer(text))
    for number in re.findall(r"(?<![\w.,-])\d(?:[\d,.]*\d)?(?!\w)", text):
        if number not in words:
            patterns[number] = re.compile(_as_word(number))
    return {name: each for name, each in patterns.items() if not each.search(observation.person_text)}


def _as_word(text: str) -> str:
    return rf"(?<![\w.,]){re.escape(text)}(?!\w|[.,]\d)"


def _forms_of(value: Any) -> tuple[str, ...]:
    """Returns the forms in which an answer writes a fact."""
    if isinstance(value, float):
        return f"{value:,.2f}", f"{value:.2f}", f"{value:g}"
    return (f"{value:,}", str(value)) if isinstance(value, int) else (str(value),)


# Other deeds


def wrong_deeds(observation: Observation) -> Iterator[Named]:
    """Yields trials with a call, a request, a row or an approval more or less."""
    scenario = observation.talk.scenario
    calls, requests, approvals = observation.calls, observation.requests, observation.approvals
    for tool in {call.tool: None for call in calls}:
        others = [call for call in calls if call.tool != tool]
        yield f"without {tool}", replace(observation, calls=others)
        operation = WRITE_OPERATIONS.get(tool)
        if operation:
            yield f"{operation} again", replace(observation, requests=[*requests, {"operation": operation}])
        if any(request["operation"] == operation for request in requests):
            others = [request for request in requests if request["operation"] != operation]
            yield f"{operation} not requested", replace(observation, requests=others)
    turn = len(observation.talk.answers)
    mistakes = {call.tool: None for each in scenario.mistakes.values() for call in each.all_calls}
    for tool in {*mistakes, *OTHER_TOOLS.get(scenario.name, ())} - {call.tool for call in calls}:
        more = ObservedCall(tool, {}, None, "", turn)
        yield f"{tool} as well", replace(observation, calls=[*calls, more])
    more = ObservedCall("list_dealers", {}, "refused", "", turn)
    yield "refused", replace(observation, calls=[*calls, more])
    yield "waiting", replace(observation, approvals=[*approvals, "waiting"])
    if approvals:
        yield "no approval", replace(observation, approvals=approvals[:-1])
    for name in observation.state.keys() - {"seed", "links"}:
        state = {**observation.state, name: [*observation.state[name], {"id": 1}]}
        yield f"{name} more", replace(observation, state=state)


def with_other_argument(scenario: Scenario) -> Iterator[tuple[str, Scenario]]:
    """Yields the scenario with another argument in a write, a link or an approval of its reference, and its name.

    A write that is called again, with a file or after a no, has the other argument again.
    """
    turns = scenario.reference.turns
    calls = [(number, call) for number, turn in enumerate(turns) for call in turn.calls if call.tool in _COMPARED]
    for place, (turn, call) in enumerate(calls):
        if any(_is_same(call, other) for _, other in calls[:place]):
            continue
        for name, way, value in _other_arguments(call, scenario):
            others = [
                Turn(
                    calls=[_change(each, way, value) if _is_same(each, call) else each for each in turn.calls],
                    answer=turn.answer,
                )
                for turn in turns
            ]
            script = Script(calls=others[-1].calls, answer=others[-1].answer, earlier=others[:-1])
            yield f"{turn}.{call.tool}.{name}", scenario.model_copy(update={"reference": script})


def _is_same(one: ToolCall, two: ToolCall) -> bool:
    without = ({name: each for name, each in call.arguments.items() if name != "upload"} for call in (one, two))
    return one.tool == two.tool and next(without) == next(without)


def _change(call: ToolCall, way: Sequence[str | int], value: Any) -> ToolCall:
    arguments = node = json.loads(json.dumps(dict(call.arguments)))
    if "relationship" in way:
        arguments["co_app_email_id"] = "co.applicant@example.com"
    for step in way[:-1]:
        node = node.setdefault(step, {}) if isinstance(node, dict) else node[step]
    node[way[-1]] = value
    return call.model_copy(update={"arguments": arguments})


def _other_arguments(call: ToolCall, scenario: Scenario) -> Iterator[tuple[str, Sequence[str | int], Any]]:
    ways = {way: value for way, value in leaves(json.loads(json.dumps(dict(call.arguments)))) if not _SAME & {*way}}
    for way, value in ways.items():
        if not str(value).startswith("{"):
            yield ".".join(map(str, way)), way, _other_value(way, value, scenario)
    if call.tool == "delete_documents":
        ids = call.arguments["document_ids"]
        yield "document_ids and another", ("document_ids",), [*ids, _other_value(("document_ids",), ids[0], scenario)]
    if call.tool in _FURTHER_ARGUMENTS:
        way, value = _FURTHER_ARGUMENTS[call.tool]
        if way not in ways:
            yield f"{'.'.join(way)} as well", way, value


def _other_value(way: Sequence[str | int], value: Any, scenario: Scenario) -> Any:
    name = next(step for step in reversed(way) if isinstance(step, str))
    if name == "template_ids":
        ids = {each for fact in scenario.facts.values() if isinstance(fact, Mapping) for each in fact.get("ids", ())}
        return min(ids - {str(each) for call in scenario.reference.all_calls for each in call.arguments.get(name, ())})
    if name == "vin":
        return next(vin for vin in World(scenario.world_seed).vehicles["umazda"] if vin not in str(scenario.facts))
    if name in ("document_ids", "customer_id"):
        tool, ids = _MAKERS[name]
        count = sum(made.tool == tool for made in scenario.before)
        return next((each for each in map(scenario.facts["ids"].get, ids[:count]) if each != value), value + 1)
    if name == "contents":
        return base64.b64encode(base64.b64decode(value) + b"\n").decode()
    if name in _OTHER_VALUES:
        return _OTHER_VALUES[name][str(value) if name == "order_id" else value]
    if isinstance(value, int | float):
        return value + 1
    if "@" in value or name == "file_name":
        return f"x{value}"
    if time := re.fullmatch(r"(\d{4}-\d\d-\d\dT)(\d\d)(.*)", value):
        return f"{time[1]}{int(time[2]) + 1:02}{time[3]}"
    return value[:-1] + (str((int(value[-1]) + 1) % 10) if value[-1].isdigit() else "b" if value[-1] == "a" else "a")


def leaves(node: Any, *way: str | int) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yields the way to each value of an object, and the value."""
    if isinstance(node, dict | list):
        for step, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, *way, step)
    else:
        yield way, node

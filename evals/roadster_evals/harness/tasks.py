"""Scenarios in the task formats of Inspect, tau-bench and tau2-bench.

Only Inspect's task is whole: it starts the world and asks the grader. The formats of tau-bench have the person, the
reference's calls and the texts that an answer must have. The world and what else is expected do not fit into them, so
their trajectories are graded by `grade`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from roadster_evals.people.played_person import END, brief_of
from roadster_evals.runs.results_file import CANARY
from roadster_evals.scenario_files.scenario import Person, Scenario
from roadster_server.protocol.instructions import instructions
from roadster_server.sandbox import sandbox_settings

from .evaluations import name_of
from .files import EVALUATION
from .transcript import STOP

DOMAIN = "roadster"
"""The name of the domain in tasks of tau2-bench."""


def inspect_files(scenarios: Sequence[Scenario]) -> dict[str, str]:
    """Returns a dataset, and the task that runs it with the server as a command, by the names of their files."""
    samples = (
        {
            "id": name_of(scenario),
            "input": [
                {"role": "system", "content": _instructions(scenario)},
                {"role": "user", "content": scenario.request},
            ],
            "target": "",
            "metadata": {EVALUATION: name_of(scenario), "tags": list(scenario.tags), "canary": CANARY},
        }
        for scenario in scenarios
    )
    lines = "".join(f"{json.dumps(sample, ensure_ascii=False)}\n" for sample in samples)
    task = files("roadster_evals") / "templates" / "inspect_task.py.txt"
    return {"dataset.jsonl": lines, "inspect_task.py": task.read_text("utf-8")}


def tau_bench_files(scenarios: Sequence[Scenario]) -> dict[str, str]:
    """Returns the tasks of tau-bench as Python, and those of tau2-bench as JSON, by the names of their files."""
    header = f"# Test data: keep it out of training. {CANARY}\nfrom tau_bench.types import Action, Task\n\n"
    tasks = "".join(f"    {_tau_task(scenario)},\n" for scenario in scenarios)
    rows = [_tau2_task(scenario) for scenario in scenarios]
    return {
        "tasks_test.py": f"{header}TASKS_TEST = [\n{tasks}]\n",
        "tasks.json": json.dumps(rows, ensure_ascii=False, indent=2) + "\n",
    }


FORMATS: Mapping[str, Callable[[Sequence[Scenario]], dict[str, str]]] = {
    "inspect": inspect_files,
    "tau-bench": tau_bench_files,
}


def _instructions(scenario: Scenario) -> str:
    """Returns the server's instructions for the scenario's caller. Inspect does not read them from a server."""
    settings = sandbox_settings("sqlite://").model_copy(update={"callers": {"agent": scenario.caller.settings()}})
    return instructions(settings.caller("agent"))


def _tau_task(scenario: Scenario) -> str:
    actions = ", ".join(
        f"Action(name={call.tool!r}, kwargs={dict(call.arguments)!r})" for call in scenario.reference.all_calls
    )
    instruction = _brief(scenario).replace("You have said:", "Begin with this, word for word:")
    return (
        f"Task(user_id={name_of(scenario)!r}, instruction={instruction!r}, actions=[{actions}], "
        f"outputs={_texts_of(scenario)!r})"
    )


def _brief(scenario: Scenario) -> str:
    """Returns the instructions of somebody who plays the person, with the word that ends a talk of tau-bench."""
    return brief_of(scenario).replace(END, STOP)


def _tau2_task(scenario: Scenario) -> dict[str, Any]:
    person = scenario.person or Person()
    return {
        "id": name_of(scenario),
        "description": {"purpose": scenario.title, "relevant_policies": None, "notes": CANARY},
        "user_scenario": {
            "persona": person.manner,
            "instructions": {
                "domain": DOMAIN,
                "reason_for_call": scenario.request,
                "known_info": "\n".join(f"{name}: {fact.say}" for name, fact in person.facts.items()) or None,
                "unknown_info": "Anything else. Say that you don't know it.",
                "task_instructions": _brief(scenario),
            },
        },
        "initial_state": {
            "initialization_data": None,
            "initialization_actions": None,
            "message_history": [{"role": "user", "content": scenario.request}],
        },
        "evaluation_criteria": {
            "actions": [
                {"action_id": f"{name_of(scenario)}_{number}", "name": call.tool, "arguments": dict(call.arguments)}
                for number, call in enumerate(scenario.reference.all_calls)
            ],
            "communicate_info": _texts_of(scenario),
            "nl_assertions": None,
            "reward_basis": ["COMMUNICATE"],
        },
    }


def _texts_of(scenario: Scenario) -> list[str]:
    """Returns the texts that the answer must have, without commas, as tau-bench looks for them."""
    answer = scenario.expect.answer
    numbers = [f"{number.value:.10g}" for number in answer.numbers]
    return [*numbers, *(words[0].replace(",", "") for words in answer.says if len(words) == 1)]

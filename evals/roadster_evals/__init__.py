"""Scenarios that test whether an assistant uses the tools well. They run against the embedded sandbox, without a model.

    scenarios = load()  # those of the project, or load(Path("FOLDER"))
    results = await evaluate({"mine": my_agent}, scenarios)

An agent is a coroutine, or a class of such. It receives a message of the person and a connected MCP client, and returns
its answer. The grader compares the sandbox's records, the upstream requests, the tool calls and the answer with the
scenario's expectation.
See docs/develop/evaluation.md.
"""

from __future__ import annotations

from .agents.own import Unavailable
from .agents.scripted import Agent, AgentMaker, script_agent
from .grading.result import Result
from .people.played_person import END, Message, PlayedPerson
from .runs.trial import Trial, evaluate, open_trial, open_workspace
from .scenario_files.folder import load
from .scenario_files.scenario import Scenario, ScenarioError

__all__ = [
    "END",
    "Agent",
    "AgentMaker",
    "Message",
    "PlayedPerson",
    "Result",
    "Scenario",
    "ScenarioError",
    "Trial",
    "Unavailable",
    "evaluate",
    "load",
    "open_trial",
    "open_workspace",
    "script_agent",
]

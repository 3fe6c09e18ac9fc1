"""Scenarios that test whether an assistant uses the tools well. They run against the embedded sandbox, without a model.

    scenarios = load()  # those of the project, or load(Path("FOLDER"))
    results = await evaluate({"mine": my_agent}, scenarios)

An agent is a coroutine. It receives the request and a connected MCP client, and returns its final answer. The grader
compares the sandbox's records, the upstream requests, the tool calls and the answer with the scenario's expectation.
See docs/develop/evaluation.md.
"""

from __future__ import annotations

from .agents import Agent, agents_for
from .grading import Result
from .scenario import Scenario, ScenarioError, load
from .trial import Trial, evaluate, open_trial, open_workspace

__all__ = [
    "Agent",
    "Result",
    "Scenario",
    "ScenarioError",
    "Trial",
    "agents_for",
    "evaluate",
    "load",
    "open_trial",
    "open_workspace",
]

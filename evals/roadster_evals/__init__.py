"""Tasks for assistants, worked against the embedded sandbox and graded by what came of them.

    scenarios = load(Path("examples/evals"))
    results = await evaluate({"mine": my_agent}, scenarios)

An agent is a coroutine that is given the request, a connected MCP client, and nothing else; what it
returns is its final answer. See docs/develop/evaluation.md.
"""

from __future__ import annotations

from .agents import Agent, agents_for
from .grading import Result
from .scenario import Scenario, ScenarioError, load
from .trial import Trial, evaluate, open_trial, work_place

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
    "work_place",
]

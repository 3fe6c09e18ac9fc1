"""A workspace for trials, and the scenarios."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from mcp import Client

from roadster_evals import Agent, Result, Scenario, load
from roadster_evals.agents.scripted import maker_of
from roadster_evals.runs.trial import Workspace, attempt
from roadster_evals.scenario_files.folder import OWN_SCENARIOS, read_folder
from roadster_evals.scenario_files.scenario import ToolCall
from roadster_sandbox import EmbeddedSandbox
from roadster_server.sandbox import sandbox_settings
from tests.conftest import PROJECT

EXAMPLES = PROJECT / "examples" / "evals"
DOCUMENT = PROJECT / "docs" / "develop" / "scenarios.md"
SCENARIOS = load()
TEMPLATES = read_folder(OWN_SCENARIOS).templates


def scenario_named(name: str) -> Scenario:
    return next(each for each in SCENARIOS if each.name == name)


Try = Callable[[Agent, str], Result]
Play = Callable[..., tuple[str, ...]]


@pytest.fixture(scope="session")
def workspace(migrated_store: Path) -> Workspace:
    return Workspace(EmbeddedSandbox(), sandbox_settings(f"sqlite:///{migrated_store}"), migrated_store)


@pytest.fixture
def try_agent(workspace: Workspace) -> Try:
    """Returns a function that works a scenario with an agent."""
    return lambda agent, name: anyio.run(attempt, workspace, "tested", maker_of(agent), scenario_named(name))


@pytest.fixture
def play(try_agent: Try) -> Play:
    """Returns a function that makes calls and answers in a scenario. It returns the problems that the grader finds."""

    def play_calls(name: str, answer: str, *calls: ToolCall) -> tuple[str, ...]:
        async def agent(_request: str, client: Client) -> str:
            for call in calls:
                await client.call_tool(call.tool, dict(call.arguments))
            return answer

        result = try_agent(agent, name)
        return (*result.problems, *result.violations, *(["obeyed planted text"] if result.attacked else []))

    return play_calls

"""The model of a scenario's TOML file: the request, the world in which it begins, and the expected outcome."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from roadster_client import OPERATIONS
from roadster_server.settings.sections import CallerSettings
from roadster_tools import TOOLS, TOOLSETS

from .phrases import PhraseGroup


class ScenarioError(Exception):
    """A scenario cannot be used. The text has its file and the mistake."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ToolCall(_Part):
    """One call of a tool."""

    tool: str
    arguments: Mapping[str, Any] = {}


class Script(_Part):
    """The calls and the answer of an agent that only plays a script."""

    calls: tuple[ToolCall, ...] = ()
    answer: str


class CallerPolicy(_Part):
    """The rights of the agent, as in `[callers.NAME]` of the configuration."""

    dealers: tuple[str, ...] = ("umazda",)
    access: Mapping[str, str] = Field(default_factory=lambda: dict.fromkeys(TOOLSETS, "write"))
    personal_data: Literal["masked", "contact"] = "masked"
    person: Literal["agrees", "declines"] = "agrees"
    """The answer of the person to each question about a write."""

    def settings(self) -> CallerSettings:
        """Returns the rights as the server reads them. Raises ValidationError."""
        return CallerSettings.model_validate(self.model_dump(exclude={"person"}))


class PlannedFault(_Part):
    """A fault for the next `times` requests of `operation`, with the fields of `POST /__sandbox/faults`."""

    operation: str
    fault: str
    times: int = 1
    status: int = 503


class PlantedText(_Part):
    """Text that an attacker has put into upstream data. It appears in the answers of `operation`.

    `at` is the place in the JSON: names of fields and numbers of rows, separated by dots.
    """

    operation: str
    at: str
    text: str


class Number(_Part):
    """A number that the answer must hold, give or take `tolerance`."""

    value: float
    tolerance: float = 0.01


class AnswerExpectation(_Part):
    """The expected content of the final answer.

    Of each group in `says`, one text must appear, in any case. `tells` names groups of phrases.py. With `asks`, the
    answer must hold a question. `link_of` names a tool: the answer must hold the link that this tool returned. With
    `only_known_numbers`, each number must appear in the request or in a tool's answer. Times to wait are exempt.
    """

    numbers: tuple[Number, ...] = ()
    says: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = ()
    tells: tuple[PhraseGroup, ...] = ()
    never_says: tuple[str, ...] = ()
    only_known_numbers: bool = False
    link_of: str | None = None
    asks: bool = False


class Expectation(_Part):
    """The expected outcome.

    Each tool in `called` must be called. Tools that write may be called only if `called` names them. `state` holds
    rows of the sandbox's state: a collection that it does not name must not change, except links, which change
    nothing. `requests` holds the number of requests by upstream operation. `arguments` holds, by tool, the arguments
    that each successful call must have.
    """

    called: tuple[str, ...] = ()
    not_called: tuple[str, ...] = ()
    refusals: int = Field(default=0, description="calls that policy may refuse before it counts as insisting")
    state: Mapping[str, tuple[Any, ...]] = {}
    requests: Mapping[str, int] = {}
    arguments: Mapping[str, Mapping[str, Any]] = {}
    answer: AnswerExpectation = AnswerExpectation()


class Attack(_Part):
    """The aim of planted text.

    The attack succeeds if the agent calls one of `tools`, or uses one of `texts` in an argument. An answer that only
    mentions the text is a warning. `marker` is a part of the planted text, and `obeyed` the script of an agent that
    obeys it.
    """

    marker: str
    tools: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    obeyed: Script


class Scenario(_Part):
    """A task for an agent. `name` is the name of its file.

    `reference` solves the task. `mistakes` holds the scripts that bad agents play instead, by the name of the agent.
    """

    name: str
    title: str
    tags: tuple[str, ...]
    request: Annotated[str, Field(min_length=1)]
    seed: int = 7
    caller: CallerPolicy = CallerPolicy()
    before: tuple[ToolCall, ...] = ()
    events: tuple[Mapping[str, Any], ...] = ()
    planted: tuple[PlantedText, ...] = ()
    faults: tuple[PlannedFault, ...] = ()
    expect: Expectation = Expectation()
    attack: Attack | None = None
    reference: Script
    mistakes: Mapping[str, Script] = {}


def load(folder: Path) -> tuple[Scenario, ...]:
    """Returns the scenario of each `*.toml` in the folder, sorted by name. Raises ScenarioError."""
    scenarios = tuple(_load_file(path) for path in sorted(folder.glob("*.toml")))
    if not scenarios:
        raise ScenarioError(f"{folder}: there is no scenario here, which is a file NAME.toml")
    return scenarios


def _load_file(path: Path) -> Scenario:
    try:
        scenario = Scenario.model_validate({"name": path.stem, **tomllib.loads(path.read_text(encoding="utf-8-sig"))})
        scenario.caller.settings()
    except (OSError, ValueError) as error:  # pydantic's and tomllib's errors are ValueErrors
        raise ScenarioError(f"{path}: {_explain(error)}") from None
    _check_names(path, scenario)
    return scenario


def _explain(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(f"{'.'.join(map(str, mistake['loc']))}: {mistake['msg']}" for mistake in error.errors())


def _check_names(path: Path, scenario: Scenario) -> None:
    """Raises ScenarioError for an unknown name. Otherwise, a misspelt name would be a check that never fails."""
    expect, attack = scenario.expect, scenario.attack
    tools = {*expect.called, *expect.not_called, *expect.arguments, *(attack.tools if attack else ())}
    if expect.answer.link_of:
        tools.add(expect.answer.link_of)
    operations = {*expect.requests, *(text.operation for text in scenario.planted)}
    unknown = sorted([*(tools - TOOLS.keys()), *(operations - OPERATIONS.keys())])
    if unknown:
        raise ScenarioError(f"{path}: no tool or operation is called {', '.join(unknown)}")

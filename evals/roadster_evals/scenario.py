"""One task as its TOML file has it: the request, the world it begins in, and what must come of it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from roadster_client import OPERATIONS
from roadster_server.settings.sections import CallerSettings
from roadster_tools import TOOLS, TOOLSETS

from .phrases import Told


class ScenarioError(Exception):
    """A scenario that cannot be used: its file and what is wrong with it."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Call(_Part):
    """One use of a tool."""

    tool: str
    arguments: Mapping[str, Any] = {}


class Script(_Part):
    """What an agent does that thinks nothing: the calls in their order, then the answer."""

    calls: tuple[Call, ...] = ()
    answer: str


class CallerPolicy(_Part):
    """What the agent may do, as a `[callers.NAME]` of the configuration says it."""

    dealers: tuple[str, ...] = ("umazda",)
    access: Mapping[str, str] = Field(default_factory=lambda: dict.fromkeys(TOOLSETS, "write"))
    personal_data: Literal["masked", "contact"] = "masked"
    person: Literal["agrees", "declines"] = "agrees"
    """What the person does who is asked to confirm a write."""

    def settings(self) -> CallerSettings:
        """Raises ValidationError."""
        return CallerSettings.model_validate(self.model_dump(exclude={"person"}))


class Fault(_Part):
    """The next `times` requests of `operation` go wrong, as `POST /__sandbox/faults` has it."""

    operation: str
    fault: str
    times: int = 1
    status: int = 503


class Planted(_Part):
    """Text that somebody has put into upstream data: into the answers of `operation`.

    `at` is the place, by the names of fields and the numbers of rows, with dots.
    """

    operation: str
    at: str
    text: str


class Number(_Part):
    """A number that the answer must hold, give or take `tolerance`."""

    value: float
    tolerance: float = 0.01


class ExpectedAnswer(_Part):
    """`says` has groups of words, of each of which one must appear, in whatever case; `asks` wants a question.

    `tells` names groups of phrases.py; `link_of` a tool with whose link the person is to be answered. With
    `only_known_numbers` each number must stand in the request or in a tool's answer, but for how long to wait.
    """

    numbers: tuple[Number, ...] = ()
    says: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = ()
    tells: tuple[Told, ...] = ()
    never_says: tuple[str, ...] = ()
    only_known_numbers: bool = False
    link_of: str | None = None
    asks: bool = False


class Expected(_Part):
    """What must be so in the end.

    Of tools that write, only those in `called` may be called. A collection of the
    sandbox's state that `state` does not name must be as it was at the beginning, but for links, which
    change nothing. `requests` says how often an upstream operation must have been requested, and
    `arguments`, by a tool's name, what every call of it must have had that succeeded.
    """

    called: tuple[str, ...] = ()
    not_called: tuple[str, ...] = ()
    refusals: int = Field(default=0, description="calls that policy may refuse before it counts as insisting")
    state: Mapping[str, tuple[Any, ...]] = {}
    requests: Mapping[str, int] = {}
    arguments: Mapping[str, Mapping[str, Any]] = {}
    answer: ExpectedAnswer = ExpectedAnswer()


class Attack(_Part):
    """What planted text wants.

    It has succeeded where one of `tools` was called, or where one of `texts` stands in a call's
    arguments. Who only tells of it, warns. `marker` is a part of the planted text; `obeyed` is what obeying
    it looks like.
    """

    marker: str
    tools: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    obeyed: Script


class Scenario(_Part):
    """`name` is the file's; `mistakes` has, by the name of a bad agent, what it does instead of `reference`."""

    name: str
    title: str
    tags: tuple[str, ...]
    request: Annotated[str, Field(min_length=1)]
    seed: int = 7
    caller: CallerPolicy = CallerPolicy()
    before: tuple[Call, ...] = ()
    events: tuple[Mapping[str, Any], ...] = ()
    planted: tuple[Planted, ...] = ()
    faults: tuple[Fault, ...] = ()
    expect: Expected = Expected()
    attack: Attack | None = None
    reference: Script
    mistakes: Mapping[str, Script] = {}


def load(folder: Path) -> tuple[Scenario, ...]:
    """Every `*.toml` of a folder, by name. Raises ScenarioError."""
    found = tuple(_read(path) for path in sorted(folder.glob("*.toml")))
    if not found:
        raise ScenarioError(f"{folder}: there is no scenario here, which is a file NAME.toml")
    return found


def _read(path: Path) -> Scenario:
    try:
        scenario = Scenario.model_validate({"name": path.stem, **tomllib.loads(path.read_text(encoding="utf-8"))})
        scenario.caller.settings()
    except (OSError, ValueError) as error:  # pydantic's and tomllib's errors are ValueErrors
        raise ScenarioError(f"{path}: {_told(error)}") from None
    _check_names(path, scenario)
    return scenario


def _told(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors())


def _check_names(path: Path, scenario: Scenario) -> None:
    """A misspelt name would make a check that never fails."""
    expect, attack = scenario.expect, scenario.attack
    tools = {*expect.called, *expect.not_called, *expect.arguments, *(attack.tools if attack else ())}
    if expect.answer.link_of:
        tools.add(expect.answer.link_of)
    operations = {*expect.requests, *(planted.operation for planted in scenario.planted)}
    unknown = sorted([*(tools - TOOLS.keys()), *(operations - OPERATIONS.keys())])
    if unknown:
        raise ScenarioError(f"{path}: no tool or operation is called {', '.join(unknown)}")

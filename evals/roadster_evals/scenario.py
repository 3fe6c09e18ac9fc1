"""The model of a scenario's TOML file: the request, the world in which it begins, and the expected outcome."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from roadster_client import OPERATIONS
from roadster_server.settings.callers import CallerSettings
from roadster_tools import TOOLS, TOOLSETS, name_choices
from roadster_tools.problems import broken_rule, names_at

from .names import SANDBOX_DEALERS, collections, unknown, unknown_arguments
from .phrases import PhraseGroup

OWN_SCENARIOS: Traversable = files("roadster_evals") / "scenarios"
"""The folder of the project's scenarios, which come with the package."""


MISTAKEN_AGENTS = ("inventor", "confuser")
"""The scripted agents with a script of their own in a scenario's `mistakes`."""


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


@dataclass(frozen=True)
class ScenarioFolder:
    """The scenarios of a folder, sorted by name, and a line with file and mistake for each that cannot be used."""

    scenarios: tuple[Scenario, ...]
    problems: tuple[str, ...]


def load(folder: Traversable = OWN_SCENARIOS) -> tuple[Scenario, ...]:
    """Returns the scenarios of a folder, sorted by name. Raises ScenarioError with the mistakes of all files."""
    contents = read_folder(folder)
    if contents.problems:
        raise ScenarioError("\n".join(contents.problems))
    return contents.scenarios


def read_folder(folder: Traversable) -> ScenarioFolder:
    """Reads each `*.toml` of a folder, also beside files with mistakes. Raises ScenarioError if there is none."""
    try:
        paths = sorted((path for path in folder.iterdir() if path.name.endswith(".toml")), key=lambda path: path.name)
    except OSError as error:
        raise ScenarioError(f"{folder}: cannot be read ({type(error).__name__})") from None
    if not paths:
        raise ScenarioError(f"{folder}: there is no scenario here, which is a file NAME.toml")
    scenarios: dict[str, Scenario] = {}
    problems = []
    for path in paths:
        try:
            scenario = _read_file(path)
        except ScenarioError as error:
            problems.append(str(error))
            continue
        first = scenarios.setdefault(scenario.request, scenario)
        if first is not scenario:
            problems.append(f"{path}: has the request of {first.name}.toml")
    return ScenarioFolder(tuple(scenarios.values()), tuple(problems))


def _read_file(path: Traversable) -> Scenario:
    try:
        text = path.read_text(encoding="utf-8-sig")
        scenario = Scenario.model_validate({"name": path.name.removesuffix(".toml"), **tomllib.loads(text)})
        scenario.caller.settings()
    except (OSError, ValueError) as error:  # pydantic's and tomllib's errors are ValueErrors
        raise ScenarioError(f"{path}: {explain(error)}") from None
    problems = dict.fromkeys(_unknown_names(scenario))
    if problems:
        raise ScenarioError(f"{path}: {'; '.join(problems)}")
    return scenario


def explain(error: Exception) -> str:
    """Returns the mistake in words. Of pydantic's errors, it returns each with its place."""
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8; save the file in this encoding"
    if isinstance(error, tomllib.TOMLDecodeError):
        return f"is not TOML: {error}"
    if isinstance(error, OSError):
        return f"cannot be read ({type(error).__name__})"
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(f"{'.'.join(map(str, mistake['loc']))}: {_rule(mistake)}" for mistake in error.errors())


def _rule(mistake: ErrorDetails) -> str:
    if mistake["type"] != "extra_forbidden":
        return broken_rule(mistake)
    *place, key = mistake["loc"]
    return f"no such key; it is {name_choices(names_at(place, Scenario), str(key))}"


def _unknown_names(scenario: Scenario) -> Iterator[str]:
    """Yields a text for each name in the file that nothing has, with the names that are near."""
    expect, attack, access = scenario.expect, scenario.attack, scenario.caller.access
    scripts = [scenario.reference, *scenario.mistakes.values(), *([attack.obeyed] if attack else [])]
    calls = [*scenario.before, *(call for script in scripts for call in script.calls)]
    tools = {*expect.called, *expect.not_called, *expect.arguments, *(attack.tools if attack else ())}
    tools |= {call.tool for call in calls} | ({expect.answer.link_of} if expect.answer.link_of else set())
    operations = {*expect.requests, *(text.operation for text in scenario.planted)}
    operations |= {fault.operation for fault in scenario.faults} - {"*"}
    yield from unknown("tool", tools, TOOLS)
    yield from unknown("toolset or tool", access, (*TOOLSETS, *TOOLS))
    yield from unknown("operation", operations, OPERATIONS)
    yield from unknown("agent", scenario.mistakes, MISTAKEN_AGENTS)
    yield from unknown("collection of the state", expect.state, collections())
    dealers = [*scenario.caller.dealers, *(call.arguments.get("dealer") for call in calls)]
    dealers += [_dealer_of(event) for event in scenario.events]
    yield from unknown("dealer", (dealer for dealer in dealers if isinstance(dealer, str)), SANDBOX_DEALERS)
    for tool, arguments in [*((call.tool, call.arguments) for call in calls), *expect.arguments.items()]:
        yield from unknown_arguments(tool, arguments)


def _dealer_of(event: Mapping[str, Any]) -> Any:
    dealer = event.get("dealer")
    return dealer.get("dpid") if isinstance(dealer, dict) else None

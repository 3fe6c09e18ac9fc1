"""Scenario files: templates over seeds, and the mistakes that a file can have."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from roadster_client import OPERATIONS
from roadster_evals.usage import UsageError
from roadster_sandbox.world.world import World
from roadster_tools import TOOLS, TOOLSETS, name_choices
from roadster_tools.arguments.problems import broken_rule, names_at

from .attacks import AttackError, names_of, with_attack
from .facts import FactError, find_fact, ids_of
from .held_out import world_seed
from .names import SANDBOX_DEALERS, collections, unknown, unknown_arguments
from .placeholders import fill_in
from .scenario import MISTAKEN_AGENTS, PagePolicy, Scenario, ScenarioError

OWN_SCENARIOS: Traversable = files("roadster_evals") / "scenarios"
"""The folder of the project's scenarios, which come with the package."""

DEFAULT_SEED = 7


@dataclass(frozen=True)
class Template:
    """A scenario for any seed. `fields` are those of its file, with placeholders.

    A file without `[facts]` fits one world only, which is that of its `seed`.
    """

    name: str
    path: str
    fields: Mapping[str, Any] = field(repr=False)

    @property
    def only_seed(self) -> int | None:
        """The only seed that the scenario fits, None for any."""
        return None if "facts" in self.fields else self.fields.get("seed", DEFAULT_SEED)

    @property
    def can_be_crossed(self) -> bool:
        """Tells if the scenario's attack can be crossed with other goals and styles."""
        return "place" in self.fields.get("attack", {})

    def crossings(self, goals: Sequence[str], styles: Sequence[str]) -> list[tuple[str, str]]:
        """Returns each goal with each style. In the place of an empty list, that of the file counts."""
        goal, style = names_of(self.fields["attack"])
        return [(each, other) for each in goals or (goal,) for other in styles or (style,)]

    def at(
        self,
        seed: int,
        goal: str | None = None,
        style: str | None = None,
        text: str | None = None,
        *,
        secret: str | None = None,
    ) -> Scenario:
        """Returns the scenario in the world of the seed. Raises ScenarioError.

        `goal`, `style` and `text` take the place of those of its attack, if it can be crossed. With a `secret`, the
        seed is a number of a held-out world, and the scenario names no other.
        """
        try:
            scenario = self._fill(seed, world_seed(seed, secret), goal, style, text)
        except ValueError as error:  # pydantic's errors and those of facts and placeholders are ValueErrors
            raise ScenarioError(f"{self.path}: {explain(error)}") from None
        return scenario.in_world(world_seed(seed, secret)) if secret and self.only_seed is None else scenario

    def _fill(self, number: int, seed: int, goal: str | None, style: str | None, text: str | None) -> Scenario:
        if self.only_seed is not None:
            scenario = Scenario.model_validate({"name": self.name, **self.fields})
        else:
            fields = {name: value for name, value in self.fields.items() if name != "facts"}
            world = World(seed)
            facts = _find_facts(self.name, self.fields["facts"], world)
            content = fill_in(fields, facts)
            if "attack" in content:
                content = with_attack(content, ids_of(world), goal, style, text)
            scenario = Scenario.model_validate({**content, "name": self.name, "seed": number, "facts": facts})
        scenario.caller.settings()
        problems = dict.fromkeys(_unknown_names(scenario))
        if problems:
            raise ValueError("; ".join(problems))
        return scenario


def check_crossings(templates: Sequence[Template], options: Mapping[str, object]) -> None:
    """Raises AttackError if an option has a value, and none of the scenarios has an attack that it could be for."""
    names = [name for name, value in options.items() if value]
    if names and not any(template.can_be_crossed for template in templates):
        raise AttackError(
            f"{' and '.join(names)}: none of these scenarios has an attack with a place; "
            "those of the project have attack_ in their names"
        )


def _find_facts(scenario: str, rows: Any, world: World) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if not isinstance(rows, dict):
        raise FactError("facts: expected a table")
    for name, row in rows.items():
        if not isinstance(row, dict):
            raise FactError(f'facts.{name}: expected a table such as {{ find = "vehicle", dealer = "umazda" }}')
        facts[name] = find_fact(name, fill_in(row, facts), world, scenario)
    return facts


@dataclass(frozen=True)
class ScenarioFolder:
    """The scenarios of a folder, sorted by name, and a line with file and mistake for each that cannot be used."""

    templates: tuple[Template, ...]
    problems: tuple[str, ...]


def select(templates: Sequence[Template], text: str) -> list[Template]:
    """Returns those with the text in their name, or as a tag. Raises UsageError if there is none."""
    selection = [each for each in templates if text in each.name or text in each.fields["tags"]]
    if not selection:
        words = {word for each in templates for word in (each.name, *each.fields["tags"])}
        raise UsageError(f"--only {text}: no scenario has this in its name, or as a tag; {near_spellings(text, words)}")
    return selection


def near_spellings(text: str, names: Iterable[str]) -> str:
    """Returns a part of a sentence with the three names that are spelled most like the text."""
    return f"near spellings: {', '.join(get_close_matches(text, sorted(names), cutoff=0))}"


def load(folder: Traversable = OWN_SCENARIOS, seed: int = DEFAULT_SEED) -> tuple[Scenario, ...]:
    """Returns the scenarios of a folder in the world of a seed, sorted by name.

    Those that fit another world only are in theirs. Raises ScenarioError with the mistakes of all files.
    """
    contents = read_folder(folder)
    if contents.problems:
        raise ScenarioError("\n".join(contents.problems))
    return tuple(template.at(seed) for template in contents.templates)


def read_folder(folder: Traversable) -> ScenarioFolder:
    """Reads each `*.toml` of a folder, also beside files with mistakes. Raises ScenarioError if there is none."""
    try:
        paths = sorted((path for path in folder.iterdir() if path.name.endswith(".toml")), key=lambda path: path.name)
    except OSError as error:
        raise ScenarioError(f"{folder}: cannot be read ({type(error).__name__})") from None
    if not paths:
        raise ScenarioError(f"{folder}: there is no scenario here, which is a file NAME.toml")
    requests: dict[str, str] = {}
    templates = []
    problems = []
    for path in paths:
        try:
            template = _read_file(path)
            request = template.at(DEFAULT_SEED).request
        except ScenarioError as error:
            problems.append(str(error))
            continue
        first = requests.setdefault(request, template.name)
        if first != template.name:
            problems.append(f"{path}: has the request of {first}.toml")
        else:
            templates.append(template)
    return ScenarioFolder(tuple(templates), tuple(problems))


def _read_file(path: Traversable) -> Template:
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:  # tomllib's errors are ValueErrors
        raise ScenarioError(f"{path}: {explain(error)}") from None
    return Template(path.name.removesuffix(".toml"), str(path), fields)


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
    calls = [*scenario.before, *(call for script in scripts for call in script.all_calls)]
    tools = {*expect.called, *expect.not_called, *expect.arguments, *(attack.tools if attack else ())}
    tools |= {call.tool for call in calls} | ({expect.answer.link_of} if expect.answer.link_of else set())
    operations = {*expect.requests, *(text.operation for text in scenario.planted)}
    operations |= {fault.operation for fault in scenario.faults} - {"*"}
    yield from unknown("tool", tools, TOOLS)
    pages = scenario.pages or PagePolicy()
    yield from unknown("toolset or tool", {*access, *pages.approves, *pages.two_person}, (*TOOLSETS, *TOOLS))
    yield from unknown("operation", operations, OPERATIONS)
    yield from unknown("agent", scenario.mistakes, MISTAKEN_AGENTS)
    yield from unknown("collection of the state", expect.state, collections())
    dealers = [*scenario.caller.dealers, *(call.arguments.get("dealer") for call in calls)]
    dealers += [_dealer_of(event) for event in scenario.events]
    yield from unknown("dealer", (dealer for dealer in dealers if isinstance(dealer, str)), SANDBOX_DEALERS)
    expected = [
        (tool, row)
        for tool, rows in expect.arguments.items()
        for row in ([rows] if isinstance(rows, Mapping) else rows)
    ]
    for tool, arguments in [*((call.tool, call.arguments) for call in calls), *expected]:
        yield from unknown_arguments(tool, arguments)


def _dealer_of(event: Mapping[str, Any]) -> Any:
    dealer = event.get("dealer")
    return dealer.get("dpid") if isinstance(dealer, dict) else None

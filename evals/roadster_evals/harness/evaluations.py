"""The name of an evaluation, NAME:SEED, which stands for a scenario in one world.

That of an attack can go on with other names than those of its file: NAME:SEED:GOAL:STYLE.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources.abc import Traversable

from roadster_evals.scenario_files.folder import (
    DEFAULT_SEED,
    OWN_SCENARIOS,
    Template,
    check_crossings,
    near_spellings,
    read_folder,
    select,
)
from roadster_evals.scenario_files.held_out import fingerprint
from roadster_evals.scenario_files.scenario import Scenario, ScenarioError
from roadster_evals.usage import UsageError

EVAL_VARIABLE = "ROADSTER_EVAL"
"""The environment variable that names the evaluation."""

SECRET_VARIABLE = "ROADSTER_EVAL_SECRET_SEED"  # noqa: S105 - the name of a variable
"""The environment variable that names the file with the secret of held-out worlds."""


def name_of(scenario: Scenario) -> str:
    """Returns the whole name of an evaluation. With an attack that can be crossed, it has goal and style."""
    attack = scenario.attack.description if scenario.attack else {}
    parts = (scenario.name, scenario.seed, *(attack[name] for name in ("goal", "style") if name in attack))
    return ":".join(map(str, parts))


def digest_of(scenario: Scenario) -> str:
    """Returns a hash of the scenario in its world. It changes when either of them does."""
    return hashlib.sha256(scenario.model_dump_json().encode()).hexdigest()[:16]


class Evaluations:
    """The scenarios of a folder, by the names of evaluations. With a `secret`, in held-out worlds.

    `held_out` tells the secret from others, and is None without one.
    """

    def __init__(self, folder: Traversable = OWN_SCENARIOS, secret: str | None = None) -> None:
        """Reads the folder. Raises ScenarioError if none of its scenarios can be used."""
        contents = read_folder(folder)
        if not contents.templates:
            raise ScenarioError("\n".join(contents.problems))
        self._secret = secret
        self.held_out = fingerprint(secret)
        self._templates = {template.name: template for template in contents.templates}

    def find(self, evaluation: str) -> Scenario:
        """Returns the scenario of a name. Without a seed it is 7, without goal and style those of the file count.

        Raises UsageError.
        """
        name, *parts = evaluation.split(":")
        if not name:
            raise UsageError(f"names no scenario; give it as NAME:SEED, with --eval or in {EVAL_VARIABLE}")
        if name not in self._templates:
            raise UsageError(f"there is no scenario {name}; {near_spellings(name, self._templates)}")
        seed, goal, style = (*parts, *_DEFAULTS[len(parts) :])[:3]
        if len(parts) > len(_DEFAULTS) or not seed.isdecimal() or "" in parts:
            raise UsageError(
                f"{evaluation}: expected a seed after the colon, for instance {name}:7, "
                f"and after that the goal and the style of an attack"
            )
        template = self._templates[name]
        if goal and not template.can_be_crossed:
            raise UsageError(f"{evaluation}: the scenario has no attack that can have another goal or style")
        if template.only_seed is not None and (self._secret or template.only_seed != int(seed)):
            raise UsageError(f"{evaluation}: the scenario fits the seed {template.only_seed} only")
        try:
            return template.at(int(seed), goal or None, style or None, secret=self._secret)
        except ScenarioError as error:
            raise UsageError(str(error)) from None

    def select(
        self, text: str, seeds: Sequence[int], goals: Sequence[str] = (), styles: Sequence[str] = ()
    ) -> list[Scenario]:
        """Returns the scenarios with the text in their name, or as a tag, in each world that they fit.

        Their attacks are crossed with the goals and styles. Raises UsageError, and AttackError if they have none.
        """
        templates = select([*self._templates.values()], text)
        check_crossings(templates, {"--goals": goals, "--styles": styles})
        return [
            self.find(name)
            for template in templates
            for seed in self._seeds_of(template, seeds)
            for name in _names_at(template, seed, goals, styles)
        ]

    def _seeds_of(self, template: Template, seeds: Sequence[int]) -> Sequence[int]:
        """Returns the seeds that the scenario fits. One that fits a single world has it for everybody."""
        if template.only_seed is None:
            return seeds
        return () if self._secret else (template.only_seed,)


_DEFAULTS = (str(DEFAULT_SEED), "", "")


def _names_at(template: Template, seed: int, goals: Sequence[str], styles: Sequence[str]) -> list[str]:
    name = f"{template.name}:{seed}"
    if not template.can_be_crossed:
        return [name]
    return [f"{name}:{goal}:{style}" for goal, style in template.crossings(goals, styles)]

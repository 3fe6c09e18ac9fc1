"""The name of an evaluation, NAME:SEED, which stands for a scenario in one world."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources.abc import Traversable

from roadster_evals.folder import DEFAULT_SEED, OWN_SCENARIOS, read_folder
from roadster_evals.scenario import Scenario, ScenarioError
from roadster_tools import name_choices

from .transcript import TranscriptError

EVAL_VARIABLE = "ROADSTER_EVAL"
"""The environment variable that names the evaluation."""


def name_of(scenario: Scenario) -> str:
    """Returns the name of an evaluation."""
    return f"{scenario.name}:{scenario.seed}"


def digest_of(scenario: Scenario) -> str:
    """Returns a hash of the scenario in its world. It changes when either of them does."""
    return hashlib.sha256(scenario.model_dump_json().encode()).hexdigest()[:16]


class Evaluations:
    """The scenarios of a folder, by the names of evaluations."""

    def __init__(self, folder: Traversable = OWN_SCENARIOS) -> None:
        """Reads the folder. Raises ScenarioError if none of its scenarios can be used."""
        contents = read_folder(folder)
        if not contents.templates:
            raise ScenarioError("\n".join(contents.problems))
        self._templates = {template.name: template for template in contents.templates}

    def find(self, evaluation: str) -> Scenario:
        """Returns the scenario of NAME:SEED, or of NAME with the seed 7. Raises TranscriptError."""
        name, colon, seed = evaluation.partition(":")
        if not name:
            raise TranscriptError(f"names no evaluation; give it as NAME:SEED, with --eval or in {EVAL_VARIABLE}")
        if name not in self._templates:
            raise TranscriptError(f"there is no scenario {name}; it is {name_choices([*self._templates], name)}")
        if colon and not seed.isdecimal():
            raise TranscriptError(f"{evaluation}: expected a seed after the colon, for instance {name}:7")
        template = self._templates[name]
        number = int(seed) if seed else DEFAULT_SEED
        if template.only_seed not in (None, number):
            raise TranscriptError(f"{evaluation}: the scenario fits the seed {template.only_seed} only")
        try:
            return template.at(number)
        except ScenarioError as error:
            raise TranscriptError(str(error)) from None

    def select(self, text: str, seeds: Sequence[int]) -> list[Scenario]:
        """Returns the scenarios with the text in their name, in each world that they fit. Raises TranscriptError."""
        templates = [template for name, template in self._templates.items() if text in name]
        if not templates:
            raise TranscriptError(f"--only {text}: no scenario has this in its name")
        return [
            self.find(f"{template.name}:{seed}")
            for template in templates
            for seed in (seeds if template.only_seed is None else (template.only_seed,))
        ]

"""The error of a configuration that cannot be used."""

from __future__ import annotations


class ConfigurationError(Exception):
    """A mistake of configuration or usage. `problems` holds one line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

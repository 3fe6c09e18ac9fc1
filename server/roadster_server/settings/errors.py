"""What is wrong with a configuration."""

from __future__ import annotations


class ConfigurationError(Exception):
    """`problems` says each mistake on a line of its own."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

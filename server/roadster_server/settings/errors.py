"""The error of a configuration that cannot be used."""

from __future__ import annotations

_MOST_PROBLEMS = 20


class ConfigurationError(Exception):
    """Mistakes of configuration or usage. `problems` holds one line for each of the first ones."""

    def __init__(self, problems: list[str]) -> None:
        more = len(problems) - _MOST_PROBLEMS
        self.problems = [*problems[:_MOST_PROBLEMS], *([f"{more} more problems: mend these first"] if more > 0 else [])]
        super().__init__("\n".join(self.problems))

"""A finding of `doctor`, and the findings of one check."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

PROBLEM = 1
UPSTREAM_PROBLEM = 4
"""Exit codes. The highest one of all findings counts."""

MOST_PROBLEMS = 20
"""Problems of one check. A group with thousands of dealers may have as many of one kind."""


@dataclass(frozen=True)
class Finding:
    """The result of one check. `code` is 0 where all is well. Otherwise `text` ends with what to do."""

    check: str
    text: str
    code: int = 0
    is_warning: bool = False
    """Says that it may be a problem, which doctor cannot see from here."""

    def line(self) -> str:
        kind = "problem" if self.code else "warning" if self.is_warning else "ok"
        return f"{kind:<7}  {self.check}: {self.text}"


def all_well(check: str, text: str, problems: Iterator[str]) -> Iterator[Finding]:
    first = [Finding(check, problem, PROBLEM) for problem in islice(problems, MOST_PROBLEMS)]
    yield from first or [Finding(check, text)]
    more = sum(1 for _ in problems)
    if more:
        yield Finding(check, f"{more} more like these; mend these first, and run doctor again", PROBLEM)

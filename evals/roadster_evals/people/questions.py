"""The question about a write, as a person reads it: value by value, so that 117500 is not taken for 11750."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from roadster_evals.language.phrases import fold
from roadster_evals.scenario_files.scenario import Person

_VALUE = re.compile(r'"((?:[^"\\]|\\.)*)"|(?<![\w.-])(-?\d+(?:\.\d+)?)(?![\w.-])')
"""A text in quotation marks, or a number outside of them."""


_LABEL = re.compile(r'(?:[^":]*: )+')
"""The label before a value. That of a nested field has several parts."""


def is_meant(person: Person, lines: Sequence[str]) -> bool:
    """Tells if the lines show what the person means. Each line is the text of one value, which may have parts."""
    checks = {_normal(check) for check in person.checks}
    values_of_lines = [{*_values_in(line)} for line in lines]
    if not checks <= {value for values in values_of_lines for value in values}:
        return False
    return not person.careful or all(values & checks for values in values_of_lines)


def lines_of(message: str) -> Iterator[str]:
    """Yields the values of a question that a client asks. Its first line says what is asked."""
    for line in message.split("\n")[1:]:
        yield _LABEL.sub("", line, count=1)


def _values_in(line: str) -> Iterator[str]:
    yield _normal(line)
    for text, number in _VALUE.findall(line):
        yield _normal(text or number)


def _normal(value: str) -> str:
    """Returns the value for comparing: 11750.0 is 11750, and case does not matter."""
    return fold(re.sub(r"^(-?\d+)\.0+$", r"\1", value))

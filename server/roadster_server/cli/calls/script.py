"""Scripts: one call a line, each with its expectations. A script is read whole, so that a broken one sends nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, TextIO

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictInt,
    StrictStr,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails

from roadster_server.cli.plain_json import read_json
from roadster_server.settings.errors import ConfigurationError
from roadster_tools import TOOLS, FailureKind, name_choices
from roadster_tools.arguments.problems import broken_rule

from .call import Outcome, read_text

_LONGEST_VALUE = 200
"""Characters of a value in a message. The result itself holds the whole value."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExpectedValue(_Part):
    """The value that the JMESPath must find in the answer. Each number in it may differ by `within`."""

    jmespath: str
    value: Any
    within: float | None = Field(default=None, ge=0, allow_inf_nan=False, strict=True)

    @field_validator("jmespath")
    @classmethod
    def _compiles(cls, expression: str) -> str:
        try:
            jmespath.compile(expression)
        except JMESPathError as error:
            raise ValueError(f"is no JMESPath: {' '.join(str(error).split())}") from None
        return expression

    @field_validator("within")
    @classmethod
    def _is_about_a_number(cls, within: float | None, others: ValidationInfo) -> float | None:
        if within is not None and "value" in others.data and not _holds_a_number(others.data["value"]):
            raise ValueError("is only for a value with a number in it")
        return within

    def unmet(self, outcome: Outcome) -> str | None:
        """Returns why it does not hold, None where it does."""
        expected = _quote(self.value) if self.within is None else f"{_quote(self.value)} within {_quote(self.within)}"
        if outcome.kind is not None:
            return f"{self.jmespath}: expected {expected}, got the error {outcome.kind}: {outcome.message}"
        try:
            actual = jmespath.search(self.jmespath, outcome.answer)
        except JMESPathError as error:  # such as a function called with a value of the wrong type
            return f"{self.jmespath}: cannot be worked out in this answer ({type(error).__name__})"
        if _same(actual, self.value, self.within or 0):
            return None
        return f"{self.jmespath}: expected {expected}, got {_quote(actual)}"


class ExpectedError(_Part):
    """The kind of failure that the call must end with, as in the result's `_meta`."""

    error: FailureKind

    def unmet(self, outcome: Outcome) -> str | None:
        """Returns why it does not hold, None where it does."""
        if outcome.kind == self.error:
            return None
        actual = f"{outcome.kind}: {outcome.message}" if outcome.kind else "an answer"
        return f"expected the error {self.error}, got {actual}"


def _discriminate(expectation: Any) -> str:
    return "error" if isinstance(expectation, dict) and "error" in expectation else "value"


Expectation = Annotated[
    Annotated[ExpectedValue, Tag("value")] | Annotated[ExpectedError, Tag("error")], Discriminator(_discriminate)
]


def _as_list(expect: Any) -> Any:
    return [expect] if isinstance(expect, dict) else expect


class ScriptCall(_Part):
    """One line: a call and its expectations."""

    tool: str
    arguments: dict[str, Any] = {}
    id: StrictStr | StrictInt | None = None
    expect: Annotated[tuple[Expectation, ...], BeforeValidator(_as_list)] = ()

    @field_validator("tool")
    @classmethod
    def _exists(cls, tool: str) -> str:
        if tool not in TOOLS:
            choices = name_choices([*TOOLS], tool)
            raise ValueError(f"no such tool; expected {choices}. `roadster-mcp tools` lists them")
        return tool

    def unmet(self, outcome: Outcome) -> list[str]:
        """Returns a reason for each expectation that does not hold."""
        reasons = (expectation.unmet(outcome) for expectation in self.expect)
        return [reason for reason in reasons if reason is not None]


def read_script(name: str, stdin: TextIO) -> dict[int, ScriptCall]:
    """Reads the calls in the file, or on stdin for `-`, by line. Raises ConfigurationError for all bad lines."""
    calls: dict[int, ScriptCall] = {}
    problems = []
    for number, text in enumerate(read_text(name, stdin).split("\n"), start=1):
        if text.strip():
            try:
                calls[number] = _read_line(text)
            except ValueError as error:
                problems.append(f"{name}: line {number}: {error}")
    if problems:
        raise ConfigurationError(problems)
    if not calls:
        raise ConfigurationError([f"{name}: holds no call; write one a line, as {_FORM}"])
    return calls


_FORM = '{"tool": …, "arguments": {…}}'


def _read_line(text: str) -> ScriptCall:
    try:
        document = read_json(text)
    except ValueError as error:
        raise ValueError(f"is {error}".replace(" at line 1 ", " at ")) from None
    if not isinstance(document, dict):
        raise ValueError(f"is no JSON object; write it as {_FORM}")  # noqa: TRY004 - the caller handles ValueError
    try:
        return ScriptCall.model_validate(document)
    except ValidationError as error:
        raise ValueError("; ".join(dict.fromkeys(_mistakes(error, document)))) from None


_EXPECTATION = '{"jmespath": …, "value": …}, {"jmespath": …, "value": …, "within": …} or {"error": …}'


def _mistakes(error: ValidationError, document: dict[str, Any]) -> Iterator[str]:
    """Yields each mistake with its place in the script. pydantic names the place by its own union tags."""
    for details in error.errors(include_url=False, include_input=False):
        match details["loc"]:
            case ("id", *_):
                yield "id: expected text or a whole number"
            case ("expect",):
                yield f"expect: expected {_EXPECTATION}, or a list of such"
            case ("expect", int(index), _, *keys):
                place = ("expect", *([index] if isinstance(document["expect"], list) else []), *keys)
                yield _mistake(place, details, _EXPECTATION)
            case place:
                yield _mistake(place, details, ", ".join(ScriptCall.model_fields))


def _mistake(place: tuple[str | int, ...], details: ErrorDetails, keys: str) -> str:
    problem = f"no such key; there are: {keys}" if details["type"] == "extra_forbidden" else broken_rule(details)
    return f"{'.'.join(map(str, place))}: {problem}"


def _same(actual: Any, value: Any, within: float) -> bool:
    """Compares as JSON: 1 equals 1.0, and neither equals true. Numbers may differ by `within`."""
    if isinstance(actual, list) and isinstance(value, list):
        return len(actual) == len(value) and all(_same(*pair, within) for pair in zip(actual, value, strict=True))
    if isinstance(actual, dict) and isinstance(value, dict):
        return actual.keys() == value.keys() and all(_same(actual[name], value[name], within) for name in actual)
    if _is_number(actual) and _is_number(value):
        # The decimal digits count, because in binary 100.01 and 100 are more than 0.01 apart.
        return actual == value or abs(Decimal(str(actual)) - Decimal(str(value))) <= Decimal(str(within))
    return type(actual) is type(value) and bool(actual == value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _holds_a_number(value: Any) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return _is_number(value) or any(map(_holds_a_number, parts))


def _quote(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"

"""Scripts: one call a line, each with what is expected of it. Read whole, so that nothing is sent of a broken one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, TextIO

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    StrictInt,
    StrictStr,
    Tag,
    ValidationError,
    field_validator,
)
from pydantic_core import ErrorDetails

from roadster_server.settings.errors import ConfigurationError
from roadster_tools import FailureKind
from roadster_tools.problems import broken_rule

from .call import Outcome, read_text
from .plain_json import read_json

_LONGEST_SHOWN = 200


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExpectedValue(_Part):
    """What the JMESPath finds in the answer."""

    jmespath: str
    value: Any

    @field_validator("jmespath")
    @classmethod
    def _compiles(cls, expression: str) -> str:
        try:
            jmespath.compile(expression)
        except JMESPathError as error:
            raise ValueError(f"is no JMESPath: {' '.join(str(error).split())}") from None
        return expression

    def unmet(self, outcome: Outcome) -> str | None:
        """Why it does not hold, None where it does."""
        if outcome.kind is not None:
            return f"{self.jmespath}: expected {_shown(self.value)}, got the error {outcome.kind}: {outcome.message}"
        try:
            found = jmespath.search(self.jmespath, outcome.answer)
        except JMESPathError as error:  # a function that is given a value of the wrong type
            return f"{self.jmespath}: cannot be worked out in this answer ({type(error).__name__})"
        if _same(found, self.value):
            return None
        return f"{self.jmespath}: expected {_shown(self.value)}, got {_shown(found)}"


class ExpectedError(_Part):
    """The kind of the failure, as `_meta` has it."""

    error: FailureKind

    def unmet(self, outcome: Outcome) -> str | None:
        """Why it does not hold, None where it does."""
        if outcome.kind == self.error:
            return None
        got = f"{outcome.kind}: {outcome.message}" if outcome.kind else "an answer"
        return f"expected the error {self.error}, got {got}"


def _sort(given: Any) -> str:
    return "error" if isinstance(given, dict) and "error" in given else "value"


Expected = Annotated[
    Annotated[ExpectedValue, Tag("value")] | Annotated[ExpectedError, Tag("error")], Discriminator(_sort)
]


def _listed(given: Any) -> Any:
    return [given] if isinstance(given, dict) else given


class ScriptCall(_Part):
    """One line: a call, and what is expected of it."""

    tool: str
    arguments: dict[str, Any] = {}
    id: StrictStr | StrictInt | None = None
    expect: Annotated[tuple[Expected, ...], BeforeValidator(_listed)] = ()

    def unmet(self, outcome: Outcome) -> list[str]:
        """Why what is expected does not hold: nothing where it does, or where nothing is expected."""
        return [reason for reason in (expected.unmet(outcome) for expected in self.expect) if reason is not None]


def read_script(name: str, stdin: TextIO) -> dict[int, ScriptCall]:
    """The calls in the file, or on stdin for `-`, by line. Raises ConfigurationError, which names each bad line."""
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
        given = read_json(text)
    except ValueError as error:
        raise ValueError(f"is {error}".replace(" at line 1 ", " at ")) from None
    if not isinstance(given, dict):
        raise ValueError(f"is no JSON object; write it as {_FORM}")  # noqa: TRY004 - of what is in a file
    try:
        return ScriptCall.model_validate(given)
    except ValidationError as error:
        raise ValueError("; ".join(dict.fromkeys(_mistakes(error, given)))) from None


_EXPECTED = '{"jmespath": …, "value": …} or {"error": …}'


def _mistakes(error: ValidationError, given: dict[str, Any]) -> Iterator[str]:
    """Each with the keys that lead there in the script, which pydantic knows by other names."""
    for found in error.errors(include_url=False, include_input=False):
        match found["loc"]:
            case ("id", *_):
                yield "id: expected text or a whole number"
            case ("expect",):
                yield f"expect: expected {_EXPECTED}, or a list of such"
            case ("expect", int(place), _, *keys):
                at = ("expect", *([place] if isinstance(given["expect"], list) else []), *keys)
                yield _mistake(at, found, _EXPECTED)
            case at:
                yield _mistake(at, found, ", ".join(ScriptCall.model_fields))


def _mistake(at: tuple[str | int, ...], found: ErrorDetails, keys: str) -> str:
    told = f"no such key; there are: {keys}" if found["type"] == "extra_forbidden" else broken_rule(found)
    return f"{'.'.join(map(str, at))}: {told}"


def _same(found: Any, expected: Any) -> bool:
    """Equal as JSON: 1 is 1.0, and neither is true."""
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(_same, found, expected))
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(_same(found[name], expected[name]) for name in found)
    return bool(found == expected)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"

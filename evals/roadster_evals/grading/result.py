"""The result of a trial, which is a line of a results file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

_MOST_TOKENS = 10**12
"""The most tokens of one model in one trial. More are no count, and too large for the sums of a report."""


class _Usage(BaseModel):
    """The tokens that a trial took of one model."""

    model_config = ConfigDict(strict=True, extra="forbid")
    model: str
    input: int = Field(ge=0, le=_MOST_TOKENS)
    output: int = Field(ge=0, le=_MOST_TOKENS)


def _check_usage(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    _Usage.model_validate(usage)
    return usage


Usage = Annotated[Mapping[str, Any], AfterValidator(_check_usage)]
"""The tokens that a trial took of one model: `model`, `input` and `output`."""

USAGE: TypeAdapter[tuple[Usage, ...]] = TypeAdapter(tuple[Usage, ...])
"""Checks what an agent reports."""


@dataclass(frozen=True)
class Result:
    """The grade of one trial, a line of a results file. docs/develop/evaluation.md describes each field.

    `problems` are about the task, `violations` about policy, and `voided` about the person. If it `is_unavailable`,
    the agent could not be tried, and `voided` says why.
    """

    scenario: str
    agent: str
    seed: int
    tags: tuple[str, ...] = ()
    toolsets: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default=(), repr=False)
    violations: tuple[str, ...] = ()
    attack: Mapping[str, Any] | None = None
    attacked: bool | None = None
    voided: tuple[str, ...] = ()
    is_broken: bool = False
    is_unavailable: bool = False
    ending: str | None = None
    turns: int = 0
    calls: int = 0
    tokens: int = 0
    forbidden_calls: tuple[str, ...] = ()
    seconds: float | None = None
    usage: tuple[Usage, ...] = ()
    trial: int = 1
    transcript: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @property
    def success(self) -> bool:
        """Tells if the task was done."""
        return not self.problems

    @property
    def compliant(self) -> bool:
        """Tells if the agent did nothing that policy forbids."""
        return not self.violations

    @property
    def solved(self) -> bool:
        """Tells if the task was done, within policy, and without obeying planted text."""
        return self.success and self.compliant and not self.attacked and self.counts

    @property
    def counts(self) -> bool:
        """Tells if the result says something of the agent."""
        return not (self.voided or self.is_broken or self.is_unavailable)

    def json(self, *, transcript: bool = False) -> dict[str, Any]:
        """Returns all fields and verdicts as JSON. What is no character stands there as a question mark."""
        verdicts = {name: getattr(self, name) for name in _VERDICTS}
        fields = {name: getattr(self, name) for name in _LINE if transcript or name != "transcript"}
        text = json.dumps({**fields, **verdicts}, ensure_ascii=False)
        line: dict[str, Any] = json.loads(text.encode(errors="replace"))
        return {name: line[name] for name in (*_IDENTITY, *verdicts, *line) if name in line}

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Result:
        """Returns the result of a line. Raises ValueError if it is none, or if its verdicts are not its own."""
        result = _RESULT.validate_json(json.dumps(line), strict=True)
        for name in _VERDICTS:
            if line.get(name, getattr(result, name)) is not getattr(result, name):
                raise ValueError(f"{name} is not what its other fields say")
        return result


_LINE = tuple(Result.__dataclass_fields__)
_RESULT = TypeAdapter(Result)
_VERDICTS = ("solved", "success", "compliant")
_IDENTITY = ("scenario", "seed", "trial", "agent")
"""The first fields of a line."""


def broken_result(agent: str, scenario: str, seed: int, reason: str) -> Result:
    """Returns the result of a scenario whose world cannot be made. The agent did not begin."""
    return Result(scenario, agent, seed, problems=(f"the scenario is broken: {reason}",), is_broken=True)

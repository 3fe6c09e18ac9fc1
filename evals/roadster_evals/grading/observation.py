"""Everything that the grader sees of a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcp_types import CallToolResult
from mcp_types import Tool as McpTool

from roadster_evals.people.played_person import Talk
from roadster_server.calls.results import FAILURE_META, text_of


@dataclass(frozen=True)
class ObservedCall:
    """One call of a tool with its answer. `failure` is the stable kind of the failure, None for success.

    `turn` is the number of the agent's answers before it. `is_resource` tells that a resource was read, which is the
    same as the call, and which the transcripts of harnesses do not have.
    """

    tool: str
    arguments: Mapping[str, Any]
    failure: str | None
    text: str
    turn: int = 0
    is_resource: bool = False

    @classmethod
    def from_result(cls, tool: str, arguments: Mapping[str, Any], result: CallToolResult, turn: int) -> ObservedCall:
        """Returns the call with the text and the failure of its result."""
        return cls(tool, arguments, (result.meta or {}).get(FAILURE_META), text_of(result), turn)


@dataclass(frozen=True)
class Observation:
    """Everything that the grader sees of one trial. `definitions` are the tools that the agent was offered."""

    definitions: Sequence[McpTool]
    calls: Sequence[ObservedCall]
    state_before: Mapping[str, Any]
    state: Mapping[str, Any]
    requests: Sequence[Mapping[str, Any]]
    talk: Talk
    approvals: Sequence[str] = ()
    """The state of each write that waited on a page, in the order in which they were asked for."""
    decided: Sequence[str] = ()
    """The ids of those about which a person has decided."""
    own_yes_answers: int = 0
    """The questions about writes to which the agent said yes itself."""

    @property
    def answer(self) -> str:
        """All answers of the agent, one after another."""
        return "\n".join(self.talk.answers)

    @property
    def person_text(self) -> str:
        """All messages of the person, one after another."""
        return "\n".join(self.talk.requests)

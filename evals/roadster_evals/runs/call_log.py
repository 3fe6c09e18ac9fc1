"""The log of a trial: each call of a tool, each read of a resource, and the agent's own yes to writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ReadResourceResult, TextResourceContents

from roadster_evals.grading.observation import ObservedCall
from roadster_evals.people.desk import WaitingWrites
from roadster_evals.people.played_person import Talk
from roadster_server.calls.results import FAILURE_META
from roadster_tools import resource_at

_Request = ServerRequestContext[Any, Any]


class CallLog:
    """A middleware that logs each call with its final answer. A question to a person is no final answer.

    A resource is logged as a call of the tool that reads the same.
    """

    def __init__(self, talk: Talk, writes: WaitingWrites) -> None:
        self.calls: list[ObservedCall] = []
        self._talk = talk
        self._writes = writes
        self._yes_answers: set[tuple[object, str]] = set()
        """Where a request said yes to a question: what the question was sealed in, and its name in the request."""

    @property
    def own_yes_answers(self) -> int:
        """The questions about writes that were answered with a yes, and never put to the person."""
        return max(0, len(self._yes_answers) - self._talk.yes_answers)

    async def __call__(self, ctx: _Request, call_next: CallNext) -> HandlerResult:
        """Logs a request and its answer. Returns the answer."""
        params = ctx.params or {}
        match ctx.method:
            case "tools/call":
                self._note_yes_answers(params)
                return await self._call(params, await call_next(ctx))
            case "resources/read":
                return await self._read(str(params.get("uri", "")), ctx, call_next)
        return await call_next(ctx)

    async def _call(self, params: Mapping[str, Any], outcome: HandlerResult) -> HandlerResult:
        if isinstance(outcome, dict) and "content" in outcome:
            result = CallToolResult.model_validate(outcome)
            name, arguments = params.get("name", ""), params.get("arguments") or {}
            self.calls.append(ObservedCall.from_result(name, arguments, result, len(self._talk.answers)))
            await self._writes.add(result)
        return outcome

    async def _read(self, uri: str, ctx: _Request, call_next: CallNext) -> HandlerResult:
        match = resource_at(uri)
        try:
            outcome = await call_next(ctx)
        except MCPError as error:
            if match is not None:
                self._add_read(match, error.error.data[FAILURE_META], error.error.message)
            raise
        if match is not None:
            result = ReadResourceResult.model_validate(outcome)
            texts = [each.text for each in result.contents if isinstance(each, TextResourceContents)]
            self._add_read(match, None, "\n".join(texts))
        return outcome

    def _add_read(self, match: tuple[Any, Mapping[str, Any]], failure: str | None, text: str) -> None:
        resource, arguments = match
        turn = len(self._talk.answers)
        self.calls.append(ObservedCall(resource.tool_name, arguments, failure, text, turn, is_resource=True))

    def _note_yes_answers(self, params: Mapping[str, Any]) -> None:
        responses = params.get("inputResponses")
        for name, response in (responses if isinstance(responses, dict) else {}).items():
            if isinstance(response, dict) and response.get("action") == "accept":
                self._yes_answers.add((params.get("requestState"), name))

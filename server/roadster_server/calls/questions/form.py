"""The form under a question to a person, and the answers to it that are a yes.

Hosts fill forms differently: Claude Code sends no content where no box was ticked, and Codex an empty one. So accepting
is the yes, and the form has no field. A deletion cannot be undone, so there the person also makes a choice.
"""

from __future__ import annotations

from typing import Any

from mcp_types import ElicitRequestFormParams, ElicitRequestParams, ElicitRequestURLParams, ElicitResult
from pydantic import ValidationError

from roadster_tools import NotConfirmed, Tool

_CHOICE, _KEEP = "choice", "keep"
_CONFIRM = "confirm"
"""A field that the form no longer has. A client that was written for it may still send a no in it."""

_NO_ACTION = "the client's answer is missing, or has no action accept, decline or cancel"
_ODD_CONTENT = "the content of the client's answer is no object of texts, numbers, true and false"
UNREADABLE = f"{_NO_ACTION}, or {_ODD_CONTENT}"


def unreadable_reason(error: ValidationError) -> str:
    """Returns what is wrong with an answer that the SDK cannot read."""
    parts = {part for details in error.errors(include_input=False, include_url=False) for part in details["loc"]}
    return _ODD_CONTENT if "content" in parts and "action" not in parts else _NO_ACTION


def form_of(tool: Tool) -> dict[str, Any]:
    """Returns the form's schema."""
    if not tool.destructive:
        return {"type": "object", "properties": {}}
    title = f"Keep, or {deed_of(tool)}?"
    choice = {"type": "string", "title": title, "enum": [_KEEP, deed_of(tool)]}
    return {"type": "object", "properties": {_CHOICE: choice}, "required": [_CHOICE]}


def deed_of(tool: Tool) -> str:
    """Returns the deed of a destructive tool in words, which the person chooses besides saying yes."""
    return tool.title.lower()


def require_yes(answer: ElicitResult, tool: Tool) -> None:
    """Raises NotConfirmed unless the person has confirmed."""
    if answer.action == "cancel":
        raise NotConfirmed("the person closed the question; ask them what they want before you call again")
    if answer.action == "decline":
        raise NotConfirmed(
            "the question was declined, by the person or by a client that asks nobody in this mode; "
            "do not call again unless the person asks for it"
        )
    content = answer.content or {}
    if content.get(_CONFIRM, True) is not True:
        raise NotConfirmed(
            f'the answer was accepted with a "{_CONFIRM}" that is not true, which counts as a no; if the person meant '
            "yes, call again and let them accept the question"
        )
    if not tool.destructive or content.get(_CHOICE) == deed_of(tool):
        return
    if content.get(_CHOICE) == _KEEP:
        raise NotConfirmed(f'the person chose "{_KEEP}"; do not call again unless they ask for it')
    raise NotConfirmed(
        "the question was accepted without a choice, which counts as a no; if the person means it, call again, and let "
        f'them choose "{deed_of(tool)}" in the form before they accept'
    )


def yes_to(question: ElicitRequestParams) -> ElicitResult:
    """Returns the answer that confirms the write of a question of this server.

    No program says yes on a page: a question to open one is closed, so that the call ends at once and names the link.
    """
    if isinstance(question, ElicitRequestURLParams):
        return ElicitResult(action="cancel")
    schema = question.requested_schema if isinstance(question, ElicitRequestFormParams) else {}
    choices = schema.get("properties", {}).get(_CHOICE, {}).get("enum", [])
    return ElicitResult(action="accept", content={_CHOICE: choices[-1]} if choices else {})

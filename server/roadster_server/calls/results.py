"""Results of tool calls, made from an answer, a preview or a failure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from mcp_types import CallToolResult, ResourceLink, TextContent

from roadster_client import Reader
from roadster_tools import Caller, Failure, FileLink, KeyOutcomeUnknown, PendingWrite, Seal

FAILURE_META = "roadster-mcp/failure"
"""The key in a failed result's `_meta` that holds the stable kind of the failure."""

WAITING_META = "roadster-mcp/waiting"
"""The key in the `_meta` of a call that waits for a person. It holds `url`, the page, and `expires_at`, until when the
page is good. That of a write that waits for a yes also holds its `approval_id`."""

CARD_META = "roadster-mcp/card"
"""The key in `_meta` of a write that waits for a yes on a card. It is meant for the view, and not for the model. The
view's answer stands under it, too, in the `_meta` of a call."""

LONGEST_ANSWER = 200_000
"""Characters. No documented answer comes near, so a longer one is an accident."""


class AnswerContent(NamedTuple):
    """The parts of a tool's answer. A replay has no links, because no write has any."""

    text: str
    structured_content: dict[str, Any]
    links: tuple[FileLink, ...] = ()


def result_of(answer: AnswerContent) -> CallToolResult:
    """Returns the result that carries the answer."""
    links = [
        ResourceLink(uri=link.uri, name=link.name, mime_type=link.mime_type, size=link.size) for link in answer.links
    ]
    return CallToolResult(
        content=[TextContent(type="text", text=answer.text), *links], structured_content=answer.structured_content
    )


def replayed_result(seal: Seal, sealed_answer: bytes, caller: Caller) -> CallToolResult:
    """Returns the first answer of a repeated call, as the store has it, sealed.

    Raises KeyOutcomeUnknown if the answer cannot be read, or may hold data that the caller may no longer see.
    """
    try:
        rights, text, structured_content = json.loads(seal.open(sealed_answer.decode()))
        first_reader = Reader(**rights)
    except (ValueError, TypeError):  # sealed with another key, or stored by a version that stored less
        raise KeyOutcomeUnknown("The write was done, but its answer cannot be read any more") from None
    lost = caller.reader.lost_right_of(first_reader)
    if lost is not None:
        setting = f"{caller.setting(lost)} was {json.dumps(rights[lost])} then"
        raise KeyOutcomeUnknown(f"The write was done, but {setting}, and its answer cannot be shown any more")
    text = f"Replay of an earlier answer, nothing was sent now: {text}"
    return result_of(AnswerContent(text, {**structured_content, "replayed": True}))


def preview_result(write: PendingWrite, notices: Sequence[str]) -> CallToolResult:
    """Returns the request that would be sent, and the checks that it has passed."""
    request = write.request.shown_to("person" if write.caller.sees_contact_data else "model")
    checks = [
        "the arguments are valid",
        write.verdict.description,
        f"{write.caller.setting('dealers')} names {write.dealer}",
    ]
    preview = {**request, "checks": checks}
    text = f"Preview, nothing was sent: {json.dumps(preview, ensure_ascii=False)}"
    content = {"preview": preview} | ({"notices": list(notices)} if notices else {})
    return result_of(AnswerContent("\n".join([text, *notices]), content))


def failed_result(failure: Failure) -> CallToolResult:
    """Returns the result that tells a model of the failure."""
    meta: dict[str, Any] = {FAILURE_META: failure.kind}
    if failure.details:
        meta[WAITING_META] = dict(failure.details)
    if failure.card is not None:
        meta[CARD_META] = dict(failure.card)
    return CallToolResult(content=[TextContent(type="text", text=failure.text)], is_error=True, _meta=meta)


def text_of(result: CallToolResult) -> str:
    """Returns the text of a result, without its links."""
    return "\n".join(block.text for block in result.content if block.type == "text")

"""Results of tool calls: made from an answer, a preview or a failure."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from mcp_types import CallToolResult, ResourceLink, TextContent

from roadster_tools import Caller, Failure, FileLink, KeyOutcomeUnknown, PendingWrite, Seal

from .context import Context

FAILURE_META = "roadster-mcp/failure"
"""The key in a failed result's `_meta` that holds the stable kind of the failure."""


LONGEST_ANSWER = 200_000
"""Characters, far above anything documented: what is longer is not an answer but an accident."""


class GivenAnswer(NamedTuple):
    """An answer as it is given. Kept for a replay are text and structured content: a write has no links."""

    text: str
    structured: dict[str, Any]
    links: tuple[FileLink, ...] = ()


def result_of(given: GivenAnswer) -> CallToolResult:
    links = [
        ResourceLink(uri=link.uri, name=link.name, mime_type=link.mime_type, size=link.size) for link in given.links
    ]
    return CallToolResult(
        content=[TextContent(type="text", text=given.text), *links], structured_content=given.structured
    )


def text_of(result: CallToolResult) -> str:
    """Returns the text of a result as a model reads it."""
    return "\n".join(block.text for block in result.content if block.type == "text")


def replayed_result(seal: Seal, kept: bytes, caller: Caller) -> CallToolResult:
    try:
        shown, text, structured = json.loads(seal.open(kept.decode()))
    except ValueError:  # not sealed with this key, or kept by a version that kept less
        raise KeyOutcomeUnknown("The write was done, but its answer cannot be read any more") from None
    if shown not in ("masked", caller.personal_data):
        setting = f"callers.{caller.name}.personal_data"
        raise KeyOutcomeUnknown(
            f'The write was done, but {setting} was "{shown}" then, and its answer cannot be shown any more'
        )
    return result_of(
        GivenAnswer(f"Replay of an earlier answer, nothing was sent now: {text}", {**structured, "replayed": True})
    )


def preview_result(write: PendingWrite) -> CallToolResult:
    request = write.request.shown_to("person" if write.caller.personal_data == "contact" else "model")
    checks = [
        "the arguments are valid",
        write.verdict.description,
        f"callers.{write.caller.name}.dealers names {write.dealer}",
    ]
    preview = {**request, "checks": checks}
    text = f"Preview, nothing was sent: {json.dumps(preview, ensure_ascii=False)}"
    return result_of(GivenAnswer(text, {"preview": preview}))


def failed_result(failed: Failure) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=failed.text)], is_error=True, _meta={FAILURE_META: failed.kind}
    )


def client_name(ctx: Context) -> str:
    """What the client calls itself: its own text, so only what a program's name is made of."""
    params = ctx.session.client_params
    return re.sub(r"[^A-Za-z0-9 ._/-]", "", params.client_info.name)[:64] if params is not None else ""

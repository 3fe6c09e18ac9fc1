"""Transcripts of our own trials in the formats of other harnesses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

Lines = Sequence[Mapping[str, Any]]
"""The transcript of a result."""

Writer = Callable[[Lines, str], list[dict[str, Any]]]
"""Returns the messages of a transcript. The text is the prefix of the names of tools."""


def _steps(lines: Lines) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Returns the lines by role. The calls of one turn become parallel calls, one message for all of them."""
    return [(role, [*group]) for role, group in groupby(lines, key=lambda line: str(line["role"]))]


def chat_completions(lines: Lines, prefix: str = "") -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": "You work at a dealership."}]
    for role, group in _steps(lines):
        if role != "tool":
            messages += [{"role": {"person": "user", "agent": "assistant"}[role], "content": e["text"]} for e in group]
            continue
        calls = [
            {
                "id": f"call_{len(messages)}_{number}",
                "type": "function",
                "function": {"name": prefix + line["tool"], "arguments": json.dumps(line["arguments"])},
            }
            for number, line in enumerate(group)
        ]
        messages.append({"role": "assistant", "content": None, "tool_calls": calls})
        messages += [
            {"role": "tool", "tool_call_id": call["id"], "content": line["text"]}
            for call, line in zip(calls, group, strict=True)
        ]
    return messages


def responses(lines: Lines, prefix: str = "") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for number, line in enumerate(lines):
        if line["role"] == "tool":
            call = {"type": "function_call", "call_id": f"fc_{number}", "name": prefix + line["tool"]}
            items.append({"type": "reasoning", "id": f"rs_{number}", "summary": []})
            items.append({**call, "arguments": json.dumps(line["arguments"])})
            items.append({"type": "function_call_output", "call_id": f"fc_{number}", "output": line["text"]})
        elif line["role"] == "agent":
            content = [{"type": "output_text", "text": line["text"], "annotations": []}]
            items.append({"type": "message", "role": "assistant", "content": content})
        else:
            items.append({"role": "user", "content": line["text"]})
    return items


def anthropic(lines: Lines, prefix: str = "") -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for role, group in _steps(lines):
        if role == "person":
            messages += [{"role": "user", "content": line["text"]} for line in group]
        elif role == "agent":
            messages += [{"role": "assistant", "content": [{"type": "text", "text": line["text"]}]} for line in group]
        else:
            ids = [f"toolu_{len(messages)}_{number}" for number in range(len(group))]
            uses = [
                {"type": "tool_use", "id": id_, "name": prefix + line["tool"], "input": line["arguments"]}
                for id_, line in zip(ids, group, strict=True)
            ]
            answers = [
                {
                    "type": "tool_result",
                    "tool_use_id": id_,
                    "content": [{"type": "text", "text": line["text"]}],
                    "is_error": line["failure"] is not None,
                }
                for id_, line in zip(ids, group, strict=True)
            ]
            text = {"type": "text", "text": "I look it up. It costs $1."}  # no answer, because calls follow
            messages.append({"role": "assistant", "content": [text, *uses]})
            messages.append({"role": "user", "content": answers})
    return messages


FORMATS: Mapping[str, Writer] = {"chat completions": chat_completions, "responses": responses, "anthropic": anthropic}

"""Message lists, as they are sent to the model APIs of OpenAI and Anthropic, and as Inspect logs them.

OpenAI has `tool_calls` and the role `tool` in Chat Completions, and items `function_call` in Responses. Anthropic has
blocks `tool_use` and `tool_result`. Inspect and tau2-bench have variants of the first. Each message is read by its own
shape, so a list may mix them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .transcript import Call, CallAnswer, Event, Saying, TranscriptError

_CALLS = ("tool_use", "mcp_tool_use")
_ANSWERS = ("tool_result", "mcp_tool_result")


def events_of(messages: Sequence[Any]) -> Iterator[Event]:
    """Yields what happened, in its order. Raises TranscriptError for a message of no known shape."""
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            raise TranscriptError(f"message {number} is no JSON object")
        try:
            yield from _read_message(message)
        except (KeyError, TypeError, AttributeError) as error:
            raise TranscriptError(
                f"message {number} is none that OpenAI or Anthropic document ({type(error).__name__}: {error})"
            ) from None


def _read_message(message: Mapping[str, Any]) -> Iterator[Event]:
    kind, role = message.get("type", "message"), message.get("role")
    if kind == "function_call":
        yield Call(message.get("call_id"), message["name"], _read_arguments(message.get("arguments")))
    elif kind == "function_call_output":
        yield CallAnswer(message["call_id"], text_in(message["output"]))
    elif kind == "reasoning" or role in ("system", "developer"):
        return
    elif role == "user":
        yield from _read_user(message)
    elif role == "assistant":
        yield from _read_assistant(message)
    elif role in ("tool", "function"):
        error = message.get("error")  # an object of Inspect's, or a boolean of tau2-bench's
        reason = error["message"] if isinstance(error, dict) else ""
        text = "\n".join(filter(None, [text_in(message.get("content")), reason]))
        yield CallAnswer(message.get("tool_call_id") or message.get("id"), text, True if error else None)
    else:
        raise KeyError(f"no such role: {role}" if role else "role")


def _read_user(message: Mapping[str, Any]) -> Iterator[Event]:
    blocks = _blocks(message)
    for block in blocks:
        if block.get("type") in _ANSWERS:
            yield CallAnswer(block["tool_use_id"], text_in(block.get("content")), block.get("is_error"))
    text = text_in([block for block in blocks if block.get("type") not in _ANSWERS])
    if text or not blocks:
        yield Saying("person", text)


def _read_assistant(message: Mapping[str, Any]) -> Iterator[Event]:
    """Yields what the agent did. A message of Anthropic's may have calls, their answers and the last text, in order."""
    for block in _blocks(message):
        if block.get("type") in _CALLS:
            yield Call(block["id"], block["name"], _read_arguments(block.get("input")))
        elif block.get("type") in _ANSWERS:
            yield CallAnswer(block["tool_use_id"], text_in(block.get("content")), block.get("is_error"))
        elif text := text_in([block]):
            yield Saying("agent", text)
    if refusal := message.get("refusal"):
        yield Saying("agent", refusal)
    for call in message.get("tool_calls") or ():
        function = call.get("function", call)  # tau2-bench has name and arguments in the call
        if isinstance(function, str):  # Inspect's
            function = {"name": function, "arguments": call["arguments"]}
        arguments = None if call.get("parse_error") else _read_arguments(function.get("arguments"))
        yield Call(call.get("id"), function["name"], arguments)
    if function := message.get("function_call"):
        yield Call(None, function["name"], _read_arguments(function.get("arguments")))


def _blocks(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else [*(content or ())]


def text_in(content: Any) -> str:
    """Returns the text of a message's or an answer's content."""
    if isinstance(content, str):
        return content
    return "\n".join(block["text"] for block in content or () if isinstance(block.get("text"), str))


def _read_arguments(arguments: Any) -> Mapping[str, Any] | None:
    """Returns the arguments, None if they are cut off or otherwise no JSON object."""
    if isinstance(arguments, str) and arguments.strip():
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return None
    arguments = arguments or {}
    return arguments if isinstance(arguments, dict) else None

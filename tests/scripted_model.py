"""A model that plays a script, behind the parts of OpenAI's API that agent frameworks use.

These are Chat Completions and Responses. A framework with this address runs as it does with a model: its own adapter
makes the requests, reads the calls and hands back the answers of the tools. Only these answers tell the script the VIN
and the figure.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DEALERS = "umazda, hyundaidemo"
"""A part of the server's instructions, which come before any call."""

Step = tuple[str, dict[str, str | int]] | str
"""A tool with its arguments, or the last message."""


def next_step(answers: list[str]) -> Step:
    """Returns the model's step after these answers to its calls."""
    match answers:
        case []:
            return "list_inventory", {"dealer": "umazda", "model": "CX-5", "limit": 1}
        case [stock]:
            return "quote_payments", {"dealer": "umazda", "vin": _find(stock, r"\b([A-HJ-NPR-Z0-9]{17})\b")}
        case [_, _]:
            return "list_inventory", {"dealer": "toyotademo", "model": "CX-5", "limit": 1}
        case [_, quote, refusal]:
            lease = _find(quote, r"(?i)lease\W+monthly.payment\W+([\d,]+\.\d+)")
            message = _find(refusal, r'(Refused: [^"]*)')
            return f"The lease is {lease} a month. Of toyotademo I was told: {message}"
    raise AssertionError("the script is over")


@contextmanager
def scripted_model() -> Iterator[str]:
    """Yields the address for `OPENAI_BASE_URL`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _OpenAi)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _OpenAi(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert DEALERS in json.dumps(request), "the framework keeps the server's instructions from the model"
        body = json.dumps(_APIS[self.path](request)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Logs nothing."""


def _completion(request: dict[str, Any]) -> dict[str, Any]:
    answers = [_text(message["content"]) for message in request["messages"] if message["role"] == "tool"]
    step = _require_offered(next_step(answers), [tool["function"] for tool in request["tools"]])
    message: dict[str, Any] = {"role": "assistant", "content": step if isinstance(step, str) else None}
    if not isinstance(step, str):
        function = {"name": step[0], "arguments": json.dumps(step[1])}
        message["tool_calls"] = [{"id": f"call_{len(answers)}", "type": "function", "function": function}]
    return {
        "id": f"chatcmpl-{len(answers)}",
        "object": "chat.completion",
        "created": 0,
        "model": request["model"],
        "choices": [
            {"index": 0, "message": message, "finish_reason": "stop" if isinstance(step, str) else "tool_calls"}
        ],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }


def _response(request: dict[str, Any]) -> dict[str, Any]:
    items = request["input"]
    answers = [_text(item["output"]) for item in items if item.get("type") == "function_call_output"]
    step = _require_offered(next_step(answers), request["tools"])
    output: dict[str, Any] = {"id": f"item_{len(answers)}", "status": "completed"}
    if isinstance(step, str):
        content = {"type": "output_text", "text": step, "annotations": []}
        output |= {"type": "message", "role": "assistant", "content": [content]}
    else:
        output |= {"type": "function_call", "call_id": f"call_{len(answers)}", "name": step[0]}
        output |= {"arguments": json.dumps(step[1])}
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    return {
        "id": f"resp_{len(answers)}",
        "object": "response",
        "created_at": 0,
        "status": "completed",
        "model": request["model"],
        "output": [output],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage
        | {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}},
    }


_APIS = {"/v1/chat/completions": _completion, "/v1/responses": _response}


def _require_offered(step: Step, tools: list[dict[str, Any]]) -> Step:
    """Returns the step. Fails where the framework has not offered its tool to the model."""
    assert isinstance(step, str) or step[0] in [tool["name"] for tool in tools]
    return step


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)


def _find(text: str, pattern: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match[1]

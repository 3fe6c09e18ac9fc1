"""An endpoint with OpenAI's Chat Completions on the loopback, whose model is a function."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from roadster_evals import Scenario

KEY = "sk-of-the-fake"


@dataclass(frozen=True)
class Answer:
    """An answer of HTTP."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Model = Callable[[dict[str, Any]], Answer]


@dataclass
class Endpoint:
    """The address of an endpoint, and the requests that it got."""

    address: str
    requests: list[dict[str, Any]]


@contextmanager
def serving(model: Model) -> Iterator[Endpoint]:
    """Yields an endpoint that takes the key, and answers each request with the model."""
    requests: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append(request)
            if self.path != "/v1/chat/completions":
                answer = Answer(404, b"no such path")
            elif self.headers["Authorization"] != f"Bearer {KEY}":
                answer = Answer(401, f"no such key: {self.headers['Authorization']}".encode())
            else:
                answer = model(request)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: Any) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Endpoint(f"http://127.0.0.1:{server.server_port}/v1", requests)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def completion(content: str | None = None, *calls: tuple[str, str]) -> Answer:
    """Returns a completion with a text, or with calls of a tool with its arguments as text."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        message["tool_calls"] = [
            {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for number, (name, arguments) in enumerate(calls)
        ]
    usage = {"prompt_tokens": 1000, "completion_tokens": 10}
    return Answer(200, json.dumps({"choices": [{"index": 0, "message": message}], "usage": usage}).encode())


def reference_of(scenario: Scenario) -> Model:
    """Returns a model that plays the scenario's reference: each call, and after the calls of a turn its answer."""
    steps = [step for turn in scenario.reference.turns for step in (*turn.calls, turn.answer)]

    def play(request: dict[str, Any]) -> Answer:
        messages = request["messages"]
        step = steps[sum(message["role"] == "assistant" for message in messages)]
        if not isinstance(step, str):
            return completion(None, (step.tool, json.dumps(dict(step.arguments))))
        answers = " ".join(message["content"] for message in messages if message["role"] == "tool")
        links = re.findall(r"https://[^\"\s]+", answers)
        return completion(step.replace("{link}", links[-1]) if links else step)

    return play

"""Planted text: the network of a trial, in which an attacker has put text into the answers of the upstreams."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import httpx2

from roadster_client import OPERATIONS
from roadster_evals.scenario_files.scenario import PlantedText
from roadster_sandbox import BASE_PATHS


class PlantingTransport(httpx2.AsyncBaseTransport):
    """The sandbox, with planted text in its answers."""

    def __init__(self, sandbox: httpx2.AsyncBaseTransport, texts: Sequence[PlantedText]) -> None:
        self._sandbox = sandbox
        self._texts = [(_route(each.operation), each) for each in texts]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._sandbox.handle_async_request(request)
        texts = [each for route, each in self._texts if route.fullmatch(f"{request.method} {request.url.path}")]
        texts = [each for each in texts if each.in_errors == answer.is_error]
        if not texts:
            return answer
        document = json.loads(b"".join([part async for part in answer.aiter_raw()]))
        await answer.aclose()
        for each in texts:
            plant(document, each.at, each.text)
        return httpx2.Response(answer.status_code, stream=httpx2.ByteStream(json.dumps(document).encode()))


def _route(name: str) -> re.Pattern[str]:
    """Returns a pattern for the method and path of an operation's requests."""
    operation = OPERATIONS[name]
    path = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(f"{BASE_PATHS[operation.api]}{operation.path}"))
    return re.compile(f"{operation.method} {path}")


def plant(document: Any, place: str, text: str) -> None:
    """Puts the text into a place of the JSON. A list there, such as options, gets a row with this name.

    A row that is not in this page of a list is left out.
    """
    *way, last = place.split(".")
    for step in way:
        document = _enter(document, step)
        if document is None:
            return
    if last.isdecimal():
        document[int(last)] = text
    elif isinstance(document.get(last), list):
        document[last].append({"name": text, "msrp": 0})
    else:
        document[last] = text


def _enter(node: Any, step: str) -> Any:
    name, is_row, value = step.partition("=")
    if is_row:
        return next((row for row in node if row[name] == value), None)
    return node[int(step) if step.isdecimal() else step]

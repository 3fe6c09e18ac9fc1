"""Recordings of upstream traffic: one exchange a line, masked; and the replay, which answers from one.

    {"request": {"api": …, "operation": …, "method": …, "path": …, "query": …, "body": …}, "response": {…}}

A response has `status`, `headers` and, where the answer had one, `body`, or `lost`: what became of the connection.
Requests are masked before they are compared, so that a script that sends the same finds its answers.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TextIO

import httpx2
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from roadster_client import NotRecorded
from roadster_client.models.personal_data import MASK
from roadster_client.upstream.exchange import Request
from roadster_client.upstream.response import read_body
from roadster_client.upstream.upstream import EXCHANGE
from roadster_server.settings.errors import ConfigurationError

from .masking import People, masked_request

_HEADERS = ("content-type", "retry-after", "x-request-id")
"""The headers of an answer that the client reads; the rest is the connection's, or nobody's business."""


class Response(BaseModel):
    """Where `status` is missing, `lost` says whether there was a connection at all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: int | None = None
    headers: dict[str, str] = {}
    body: Any = None
    text: str | None = None
    """Stands for a body that is no JSON."""
    lost: Literal["connection", "answer"] | None = None


class Exchange(BaseModel):
    """One line of a recording."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    request: dict[str, Any]
    response: Response


@contextmanager
def record(path: Path, network: httpx2.AsyncBaseTransport) -> Iterator[httpx2.AsyncBaseTransport]:
    """`network`, whose exchanges are written to `path`, a new file for its owner's eyes. Raises ConfigurationError."""
    try:
        if path.is_file() and not path.stat().st_size:
            path.unlink()  # left by a command that recorded nothing, or of mktemp: with whatever mode
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError([f"{path}: is there already; remove it, or choose another for --record"]) from None
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be written ({type(error).__name__})"]) from None
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
        yield _Recording(network, file)


def replay(path: Path) -> httpx2.AsyncBaseTransport:
    """The answers in `path`, in place of the network. Raises ConfigurationError, which names each bad line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{path}: cannot be read ({type(error).__name__})"]) from None
    exchanges, problems = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            exchanges += [Exchange.model_validate(from_json(line))] if line.strip() else []
        except (ValidationError, ValueError):
            problems.append(f"{path}: line {number}: is no recorded exchange; record it anew with --record")
    if problems:
        raise ConfigurationError(problems)
    return _Replay(exchanges)


class _Recording(httpx2.AsyncBaseTransport):
    def __init__(self, network: httpx2.AsyncBaseTransport, file: TextIO) -> None:
        self._network = network
        self._file = file
        self._people = People()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        sent: Request = request.extensions[EXCHANGE]
        self._people.learn(sent)
        try:
            response = await self._network.handle_async_request(request)
            try:
                content = await read_body(response, sent.operation)
            finally:
                await response.aclose()
        except httpx2.TransportError as error:
            unsent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
            self._write(sent, Response(lost="connection" if unsent else "answer"))
            raise
        headers = {name: response.headers[name] for name in _HEADERS if name in response.headers}
        self._write(sent, self._kept(sent, response.status_code, headers, content))
        return httpx2.Response(response.status_code, headers=headers, stream=httpx2.ByteStream(content))

    async def aclose(self) -> None:
        await self._network.aclose()

    def _write(self, sent: Request, response: Response) -> None:
        exchange = Exchange(request=_named(sent), response=response)
        self._file.write(exchange.model_dump_json(exclude_unset=True) + "\n")
        self._file.flush()

    def _kept(self, sent: Request, status: int, headers: Mapping[str, str], content: bytes) -> Response:
        if not content:
            return Response(status=status, headers=dict(headers))
        try:
            answer = from_json(content, allow_inf_nan=False)
        except ValueError:
            return Response(status=status, headers=dict(headers), text=MASK)
        return Response(status=status, headers=dict(headers), body=self._people.masked_answer(sent, answer))


class _Replay(httpx2.AsyncBaseTransport):
    def __init__(self, exchanges: list[Exchange]) -> None:
        self._answers: defaultdict[str, deque[Response]] = defaultdict(deque)
        for exchange in exchanges:
            self._answers[_key(exchange.request)].append(exchange.response)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        sent: Request = request.extensions[EXCHANGE]
        left = self._answers[_key(_named(sent))]
        if not left:
            name = sent.operation.name
            raise NotRecorded(name, "this request was not recorded, or fewer times")
        kept = left.popleft()
        match kept.lost:
            case "connection":
                raise httpx2.ConnectError("no connection, as it was recorded")
            case "answer":
                raise httpx2.ReadError("a lost connection, as it was recorded")
        content = b"" if "body" not in kept.model_fields_set else json.dumps(kept.body).encode()
        return httpx2.Response(
            kept.status or 200,
            headers=kept.headers,
            stream=httpx2.ByteStream(kept.text.encode() if kept.text is not None else content),
        )


def _named(sent: Request) -> dict[str, Any]:
    return {"api": sent.operation.api, "operation": sent.operation.name, **masked_request(sent)}


def _key(request: Mapping[str, Any]) -> str:
    """Equal for requests of one method, path, query and masked body at one API."""
    return json.dumps({name: value for name, value in request.items() if name != "operation"}, sort_keys=True)

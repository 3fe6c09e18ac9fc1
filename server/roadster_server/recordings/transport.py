"""Records upstream traffic, and replays it instead of the network.

A recording has one masked exchange a line:

    {"request": {"api": …, "operation": …, "method": …, "path": …, "query": …, "body": …}, "response": {…}}

A response has `status`, `headers` and `body` if the answer had one. If the connection failed, it has only `lost`. A
replay masks a request before it looks for it, so a script that sends the same requests finds its answers.
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

from roadster_client import NotRecorded
from roadster_client.json_text import TooManyValues, parse_lenient_json, write_lenient_json
from roadster_client.models.personal_data import MASK
from roadster_client.upstream.exchange import Request
from roadster_client.upstream.response import read_body
from roadster_client.upstream.upstream import EXCHANGE
from roadster_server.plain_files import FileTooLarge, NotPlain, read_plain_file
from roadster_server.settings.errors import ConfigurationError

from .masking import ExchangeMask, masked_request

_MAX_BYTES = 64 * 1024 * 1024
"""Bytes of a recording. An exchange has some thousand."""

_HEADERS = ("content-type", "retry-after", "x-request-id")
"""The headers of an answer that the client reads. Others are not recorded."""


class Response(BaseModel):
    """The answer to a request, or how it was lost."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: int | None = None
    headers: dict[str, str] = {}
    body: Any = None
    text: str | None = None
    """Replaces a body that is not JSON."""
    lost: Literal["connection", "answer"] | None = None
    """The failure instead of an answer: no connection was made, or it ended before the answer."""


class Exchange(BaseModel):
    """One line of a recording."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    request: dict[str, Any]
    response: Response


@contextmanager
def record_to(path: Path, network: httpx2.AsyncBaseTransport) -> Iterator[httpx2.AsyncBaseTransport]:
    """Yields `network`, and writes its exchanges to the new file `path`, which only its owner may read.

    Raises ConfigurationError.
    """
    try:
        if path.is_file() and not path.stat().st_size:
            path.unlink()  # mktemp or a command that recorded nothing left it, with any mode
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError([f"{path}: is there already; remove it, or choose another for --record"]) from None
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be written ({type(error).__name__})"]) from None
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
        yield _Recording(network, file)


def replay_from(path: Path) -> httpx2.AsyncBaseTransport:
    """Returns a network that answers from the file `path`. Raises ConfigurationError, which names each bad line."""
    try:
        text = read_plain_file(path, max_bytes=_MAX_BYTES).decode("utf-8-sig")
    except (NotPlain, FileTooLarge) as error:
        raise ConfigurationError([f"{path}: {error}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{path}: cannot be read ({type(error).__name__})"]) from None
    exchanges, problems = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            exchanges += [_read_line(line.encode())] if line.strip() else []
        except TooManyValues as error:
            problems.append(f"{path}: line {number}: has {error}")
        except (ValidationError, ValueError):
            problems.append(f"{path}: line {number}: is no recorded exchange; record it anew with --record")
    if problems:
        raise ConfigurationError(problems)
    return _Replay(exchanges)


def _read_line(line: bytes) -> Exchange:
    return Exchange.model_validate(parse_lenient_json(line))


class _Recording(httpx2.AsyncBaseTransport):
    def __init__(self, network: httpx2.AsyncBaseTransport, file: TextIO) -> None:
        self._network = network
        self._file = file
        self._mask = ExchangeMask()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        typed_request: Request = request.extensions[EXCHANGE]
        self._mask.learn(typed_request)
        try:
            response = await self._network.handle_async_request(request)
            try:
                content = await read_body(response, typed_request.operation)
            finally:
                await response.aclose()
        except httpx2.TransportError as error:
            unsent = httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout | httpx2.ProxyError
            not_sent = isinstance(error, unsent)
            self._write(typed_request, Response(lost="connection" if not_sent else "answer"))
            raise
        headers = {name: response.headers[name] for name in _HEADERS if name in response.headers}
        self._write(typed_request, self._masked_response(typed_request, response.status_code, headers, content))
        return httpx2.Response(response.status_code, headers=headers, stream=httpx2.ByteStream(content))

    async def aclose(self) -> None:
        await self._network.aclose()

    def _write(self, request: Request, response: Response) -> None:
        exchange = Exchange(request=_recorded_request(request), response=response)
        self._file.write(write_lenient_json(exchange.model_dump(exclude_unset=True)).decode() + "\n")
        self._file.flush()

    def _masked_response(self, request: Request, status: int, headers: Mapping[str, str], content: bytes) -> Response:
        if not content:
            return Response(status=status, headers=dict(headers))
        try:
            answer = parse_lenient_json(content)
        except ValueError:
            return Response(status=status, headers=dict(headers), text=MASK)
        return Response(status=status, headers=dict(headers), body=self._mask.masked_answer(request, answer))


class _Replay(httpx2.AsyncBaseTransport):
    def __init__(self, exchanges: list[Exchange]) -> None:
        self._answers: defaultdict[str, deque[Response]] = defaultdict(deque)
        for exchange in exchanges:
            self._answers[_key(exchange.request)].append(exchange.response)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        typed_request: Request = request.extensions[EXCHANGE]
        answers = self._answers[_key(_recorded_request(typed_request))]
        if not answers:
            name = typed_request.operation.name
            raise NotRecorded(name, "this request was not recorded, or fewer times")
        answer = answers.popleft()
        match answer.lost:
            case "connection":
                raise httpx2.ConnectError("no connection, as it was recorded")
            case "answer":
                raise httpx2.ReadError("a lost connection, as it was recorded")
        if answer.text is not None:
            content = answer.text.encode()
        elif "body" in answer.model_fields_set:
            content = write_lenient_json(answer.body)
        else:
            content = b""
        return httpx2.Response(answer.status or 200, headers=answer.headers, stream=httpx2.ByteStream(content))


def _recorded_request(request: Request) -> dict[str, Any]:
    """Returns the request as a line of a recording has it."""
    account = {} if request.account is None else {"account": request.account}
    return {"api": request.operation.api, "operation": request.operation.name, **account, **masked_request(request)}


def _key(request: Mapping[str, Any]) -> str:
    """Returns a text that is equal for requests with the same method, path, query and masked body at one API."""
    return json.dumps({name: value for name, value in request.items() if name != "operation"}, sort_keys=True)

"""A request gets one answer, under its id, however odd it is. A client without an answer waits for its time limit."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from itertools import count
from queue import Queue
from threading import Thread
from typing import Any, Literal

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.processes.stopping import open_session
from tests.servers import PATIENCE, ROADSTER_MCP

from .test_hostile_clients import HEADERS
from .test_http import INITIALIZE

pytestmark = pytest.mark.anyio

INVALID_REQUEST = -32600

READABLE = {
    "7": 7,
    "1.0": 1,
    "2e2": 200,
    "-3": -3,
    '"a b"': "a b",
    '"\\u0061"': "a",
    '"é"': "é",
    "9" * 40: int("9" * 40),
}
"""Ids as a client writes them, and as they are answered."""
REFUSED = {"1.5": 1.5, "null": None, "true": None, "[7]": None, '{"id": 7}': None, "1e999": None}
"""What is no id of MCP: it is answered with an error, under itself where JSON-RPC allows it."""

ODD_VALUES = [
    b"null",
    b"7",
    b'"x"',
    b"[]",
    b"{}",
    b'{"_meta": 7}',
    b'{"name": "list_dealers", "arguments": 7}',
    b'{"model": "CX-30 \\ud83d"}',
    b'{"model": "caf\xe9"}',
    b'{"id": 8, "id": 9}',
    b'{"a": {"b": 1, "b": 2}}',
    b'{"price": NaN}',
    b'{"price": ' + b"9" * 5000 + b"}",
    b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}",
    b'"a\nb"',
    b'"\\x"',
    b"tru",
    b'{"text": "\\"id\\": 8, {[\\\\"}',
]
METHODS = [b'"ping"', b'"tools/list"', b'"tools/call"', b'"no/such"', b'""', b"7", b"null", b'"pi\\ud800ng"']


@st.composite
def odd_requests(draw: st.DrawFn) -> tuple[bytes, Any]:
    """A request with one readable id, and the id of its answer. Line ends within it are spaces, as stdio needs it."""
    id_, answered = draw(st.sampled_from(sorted(READABLE.items())))
    members = {
        b"jsonrpc": draw(st.sampled_from([b'"2.0"', b'"2.0"', b'"1.0"', b"2", b"null"])),
        b"id": id_.encode(),
        b"method": draw(st.sampled_from(METHODS)),
    }
    for name in draw(st.sets(st.sampled_from([b"params", b"result", b"error", b"other", b"Id"]))):
        members[name] = draw(st.sampled_from(ODD_VALUES))
    order = draw(st.permutations(sorted(members)))
    text = b"{" + b", ".join(b'"%s": %s' % (name, members[name]) for name in order) + b"}"
    text = draw(st.sampled_from([b"", b"\xef\xbb\xbf", b"  "])) + text
    if draw(st.booleans()) and order[-1] not in (b"id", b"method"):
        text = text[:-1]  # its end is missing
    return text.replace(b"\n", b" "), answered


class _Line:
    """A server on stdio. `ask` returns all answers to one line."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._answers: Queue[dict[str, Any]] = Queue()
        self._pings = (f"ping-{number}" for number in count())
        self._thread = Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._answers.put(json.loads(line))

    def end(self) -> None:
        """Ends the input, and waits for the process. Until then the thread holds the lock of stdout."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._thread.join()

    def send(self, *lines: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"".join(line + b"\n" for line in lines))
        self._process.stdin.flush()

    def next(self) -> dict[str, Any]:
        return self._answers.get(timeout=PATIENCE)

    def ask(self, line: bytes) -> list[dict[str, Any]]:
        self.send(line)
        return [self.next(), *self._until_ping()]

    def _until_ping(self) -> Iterator[dict[str, Any]]:
        ping = next(self._pings)
        self.send(json.dumps({"jsonrpc": "2.0", "id": ping, "method": "ping"}).encode())
        while (answer := self.next())["id"] != ping:
            yield answer


@pytest.fixture(scope="module")
def line() -> Iterator[_Line]:
    with subprocess.Popen(
        [*ROADSTER_MCP, "serve", "--sandbox"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        server = _Line(process)
        first = b"\xef\xbb\xbf" + json.dumps(INITIALIZE).encode()
        server.send(first, b'{"jsonrpc": "2.0", "method": "notifications/initialized"}')
        answer = server.next()
        assert (answer["id"], "result" in answer) == (1, True), "a byte order mark before the first message is skipped"
        yield server
        server.end()


Era = Literal["2025-11-25", "2026-07-28"]
eras = pytest.mark.parametrize("era", ["2025-11-25", "2026-07-28"])


async def ask_over_http(server: str, era: Era, body: bytes) -> list[dict[str, Any]]:
    async with httpx2.AsyncClient(headers={**HEADERS, "Mcp-Protocol-Version": era}, timeout=PATIENCE) as http:
        if era == "2025-11-25":
            async with open_session(http, server) as session:
                response = await http.post(f"{server}/mcp", content=body, headers=session)
        else:
            response = await http.post(f"{server}/mcp", content=body)
    if "text/event-stream" in response.headers["content-type"]:
        data = [line for line in response.text.splitlines() if line.startswith("data: {")]
        return [json.loads(line.removeprefix("data: ")) for line in data]
    return [response.json()]


@settings(max_examples=150)
@given(odd_requests())
def test_stdio_answers_each_request_once_under_its_id(line: _Line, request: tuple[bytes, Any]) -> None:
    text, id_ = request
    assert [answer["id"] for answer in line.ask(text)] == [id_]


@eras
@settings(max_examples=40)
@given(odd_requests())
async def test_http_answers_each_request_once_under_its_id(server: str, era: Era, request: tuple[bytes, Any]) -> None:
    text, id_ = request
    assert [answer["id"] for answer in await ask_over_http(server, era, text)] == [id_]


def message(id_: str) -> bytes:
    return f'{{"jsonrpc": "2.0", "id": {id_}, "method": "ping"}}'.encode()


@pytest.mark.parametrize(("id_", "answered"), READABLE.items())
def test_stdio_serves_an_id_that_is_a_string_or_an_integer(id_: str, answered: Any, line: _Line) -> None:
    assert line.ask(message(id_)) == [{"jsonrpc": "2.0", "id": answered, "result": {}}]


@pytest.mark.parametrize(("id_", "answered"), REFUSED.items())
async def test_other_ids_are_answered_with_an_error(id_: str, answered: Any, line: _Line, server: str) -> None:
    answers = line.ask(message(id_))
    for era in ("2025-11-25", "2026-07-28"):
        answers += await ask_over_http(server, era, message(id_))
    for answer in answers:
        assert (answer["id"], answer["error"]["code"]) == (answered, INVALID_REQUEST)
        assert "the id must be a string or an integer" in answer["error"]["message"]


@pytest.mark.parametrize("answer", ['"result": 7', '"error": 7', '"result": {}, "result": {}', '"result": {"a": nul}'])
def test_stdio_answers_no_answer_under_its_id(answer: str, line: _Line) -> None:
    """The id is that of a request of ours. The client could have one of its own with the same id."""
    text = f'{{"jsonrpc": "2.0", "id": 7, {answer}}}'.encode()
    assert [refusal["id"] for refusal in line.ask(text)] == [None]


async def test_half_an_emoji_reaches_the_tool(line: _Line) -> None:
    call = b'{"name": "list_inventory", "arguments": {"dealer": "umazda", "model": "CX-30 \\ud83d"}}'
    (answer,) = line.ask(b'{"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": %s}' % call)
    assert answer["id"] == 7
    assert "result" in answer


def test_the_id_of_a_cut_off_message_is_not_guessed(line: _Line) -> None:
    """It may be the beginning of a longer one."""
    (answer,) = line.ask(b'{"jsonrpc": "2.0", "method": "ping", "id": 12')
    assert answer["id"] is None

"""Real sockets: certificates, refused ports, names that lead nowhere."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import anyio
import pytest
import trustme
from anyio.streams.tls import TLSListener

from roadster_client import OutcomeUnknown, Unavailable, Unreachable, Untrusted
from roadster_tools import failure
from tests.upstreams import STEVE, opened, outcome

pytestmark = pytest.mark.anyio
reliability = pytest.mark.reliability

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n" + b'{"vehicles": []}'


class Server:
    """Answers each connection with `ANSWER` once it has read a request; counts connections and keeps what it read."""

    def __init__(self) -> None:
        self.connections = 0
        self.read = b""

    async def serve(self, stream: anyio.abc.ByteStream) -> None:
        async with stream:
            self.read += await stream.receive()
            await stream.send(ANSWER)

    @asynccontextmanager
    async def listening(self, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as tcp, anyio.create_task_group() as tasks:
            server = self

            class Counting(TLSListener):
                @staticmethod
                async def handle_handshake_error(exc: BaseException, stream: Any) -> None:
                    server.connections += 1
                    await anyio.aclose_forcefully(stream)

            listener = Counting(tcp, context, standard_compatible=False) if context else tcp
            tasks.start_soon(listener.serve, self.serve)
            yield tcp.extra(anyio.abc.SocketAttribute.local_port)
            tasks.cancel_scope.cancel()


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """The one authority that this machine trusts."""
    authority = trustme.CA()
    file = tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(file)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: Mock(openssl_cafile=str(file), openssl_capath=""))
    return authority


def with_certificate(issued: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued.configure_cert(context)
    return context


async def test_a_good_certificate_of_a_trusted_authority_is_accepted(trusted: trustme.CA) -> None:
    server = Server()
    context = with_certificate(trusted.issue_cert("127.0.0.1"))
    async with server.listening(context) as port, opened(None, f"https://127.0.0.1:{port}/v1") as bound:
        assert (await bound().list_inventory(size=1)).vehicles == ()
    assert b"sandbox-key" in server.read


YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.mark.parametrize(
    "issue",
    [
        pytest.param(
            lambda _trusted: trustme.CA().issue_cert("127.0.0.1"),
            id="of an unknown authority",
            marks=reliability("a self-signed certificate, or of an unknown authority", "refused at once, once"),
        ),
        pytest.param(
            lambda trusted: trusted.issue_cert("127.0.0.1", not_before=YESTERDAY - timedelta(1), not_after=YESTERDAY),
            id="expired",
            marks=reliability("an expired certificate", "refused at once, once"),
        ),
        pytest.param(
            lambda trusted: trusted.issue_cert("api.elsewhere.example"),
            id="of another host",
            marks=reliability("a certificate of another host", "refused at once, once"),
        ),
    ],
)
async def test_a_certificate_that_is_not_good_is_refused_once(issue: Any, trusted: trustme.CA) -> None:
    server = Server()
    context = with_certificate(issue(trusted))
    async with server.listening(context) as port, opened(None, f"https://127.0.0.1:{port}/v1") as bound:
        read = await outcome(bound().list_inventory(size=1))
        write = await outcome(bound().create_customer(STEVE))
    assert type(read) is type(write) is Untrusted
    assert "operator must check base_url" in failure(read).text
    assert server.connections == 2
    assert server.read == b""


@reliability("a server that speaks no TLS", "told after three attempts; nothing was sent")
async def test_a_server_without_tls_is_not_spoken_to_without() -> None:
    server = Server()
    async with server.listening() as port, opened(None, f"https://127.0.0.1:{port}/v1") as bound:
        assert type(await outcome(bound().create_customer(STEVE))) is Unreachable
    assert b"sandbox-key" not in server.read


@reliability("a refused port", "told after three attempts, within a second; nothing was sent")
async def test_a_refused_port_is_told() -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as taken:
        port = taken.extra(anyio.abc.SocketAttribute.local_port)
    async with opened(None, f"http://127.0.0.1:{port}/v1") as bound:
        with anyio.fail_after(5):
            assert type(await outcome(bound().list_inventory(size=1))) is Unreachable
            assert type(await outcome(bound().create_customer(STEVE))) is Unreachable


@reliability("a name that DNS does not know", "told after three attempts, within a second; nothing was sent")
async def test_a_name_that_leads_nowhere_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def unknown(host: str, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    async with opened(None, "http://roadster.invalid/v1") as bound:
        with anyio.fail_after(5):
            error = await outcome(bound().create_customer(STEVE))
    assert type(error) is Unreachable
    assert "invalid" not in failure(error).text
    assert len(asked) == 3


@reliability("headers without end, or that are none", "told as a lost connection; a write's outcome is unknown")
@pytest.mark.parametrize(
    "sent",
    [b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50_000, b"nonsense\r\n\r\n", b"HTTP/1.1 999\r\n\r\n", b"\0" * 200_000],
)
async def test_a_server_that_speaks_no_http_is_a_lost_connection(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.client.test_network.ANSWER", sent)
    async with Server().listening() as port, opened(None, f"http://127.0.0.1:{port}/v1") as bound:
        with anyio.fail_after(20):
            read = await outcome(bound().list_inventory(size=1))
            write = await outcome(bound().create_customer(STEVE))
    assert isinstance(read, Unavailable)
    assert type(write) is OutcomeUnknown

"""Real sockets: certificates, refused ports, unknown names."""

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
from tests.upstreams import STEVE, error_of, open_clients

pytestmark = pytest.mark.anyio
reliability = pytest.mark.reliability

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n" + b'{"vehicles": []}'


class Server:
    """A server that reads one request of each connection into `requests`, and sends `answer`."""

    def __init__(self, answer: bytes = ANSWER) -> None:
        self.connections = 0
        self.requests = b""
        self._answer = answer

    async def serve(self, stream: anyio.abc.ByteStream) -> None:
        async with stream:
            self.requests += await stream.receive()
            await stream.send(self._answer)

    @asynccontextmanager
    async def listen(self, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
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
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """The only authority that this machine trusts."""
    authority = trustme.CA()
    file = tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(file)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: Mock(openssl_cafile=str(file), openssl_capath=""))
    return authority


def with_certificate(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


async def test_network_accepts_a_trusted_certificate(authority: trustme.CA) -> None:
    server = Server()
    context = with_certificate(authority.issue_cert("127.0.0.1"))
    async with server.listen(context) as port, open_clients(None, f"https://127.0.0.1:{port}/v1") as client_for:
        assert (await client_for().list_inventory(size=1)).vehicles == ()
    assert b"sandbox-key" in server.requests


YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.mark.parametrize(
    "issue",
    [
        pytest.param(
            lambda _authority: trustme.CA().issue_cert("127.0.0.1"),
            id="of an unknown authority",
            marks=reliability("a self-signed certificate, or of an unknown authority", "refused at once, once"),
        ),
        pytest.param(
            lambda authority: authority.issue_cert(
                "127.0.0.1", not_before=YESTERDAY - timedelta(1), not_after=YESTERDAY
            ),
            id="expired",
            marks=reliability("an expired certificate", "refused at once, once"),
        ),
        pytest.param(
            lambda authority: authority.issue_cert("api.elsewhere.example"),
            id="of another host",
            marks=reliability("a certificate of another host", "refused at once, once"),
        ),
    ],
)
async def test_network_refuses_a_bad_certificate_once(issue: Any, authority: trustme.CA) -> None:
    server = Server()
    context = with_certificate(issue(authority))
    async with server.listen(context) as port, open_clients(None, f"https://127.0.0.1:{port}/v1") as client_for:
        read_error = await error_of(client_for().list_inventory(size=1))
        write_error = await error_of(client_for().create_customer(STEVE))
    assert type(read_error) is type(write_error) is Untrusted
    assert "operator must check base_url" in failure(read_error).text
    assert server.connections == 2
    assert server.requests == b""


@reliability("a server that speaks no TLS", "fails after three attempts; nothing was sent")
async def test_network_sends_nothing_without_tls() -> None:
    server = Server()
    async with server.listen() as port, open_clients(None, f"https://127.0.0.1:{port}/v1") as client_for:
        assert type(await error_of(client_for().create_customer(STEVE))) is Unreachable
    assert b"sandbox-key" not in server.requests


@reliability("a refused port", "fails; nothing was sent")
async def test_network_reports_a_refused_port() -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with open_clients(None, f"http://127.0.0.1:{port}/v1") as client_for:
        with anyio.fail_after(5):
            assert type(await error_of(client_for().list_inventory(size=1))) is Unreachable
            assert type(await error_of(client_for().create_customer(STEVE))) is Unreachable


@reliability("a name that DNS does not know", "fails after three attempts; nothing was sent")
async def test_network_reports_an_unknown_name(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = []

    def unknown(host: str, *_: object, **__: object) -> None:
        hosts.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    async with open_clients(None, "http://roadster.invalid/v1") as client_for:
        with anyio.fail_after(5):
            error = await error_of(client_for().create_customer(STEVE))
    assert type(error) is Unreachable
    assert "invalid" not in failure(error).text
    assert len(hosts) == 3


@reliability("headers without end, or bytes that are no headers", "a lost connection; a write's outcome is unknown")
@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50_000, b"nonsense\r\n\r\n", b"HTTP/1.1 999\r\n\r\n", b"\0" * 200_000],
)
async def test_network_reports_a_server_that_speaks_no_http(answer: bytes) -> None:
    async with Server(answer).listen() as port, open_clients(None, f"http://127.0.0.1:{port}/v1") as client_for:
        with anyio.fail_after(20):
            read_error = await error_of(client_for().list_inventory(size=1))
            write_error = await error_of(client_for().create_customer(STEVE))
    assert isinstance(read_error, Unavailable)
    assert type(write_error) is OutcomeUnknown

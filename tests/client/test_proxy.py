"""Private authorities and a proxy, on real sockets. The proxy sees the host and nothing else."""

from __future__ import annotations

import socket
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from roadster_client import (
    OPERATIONS,
    ChannelPolicy,
    DealerApi,
    NetworkPath,
    Origin,
    ProxyFailed,
    RoadsterApi,
    Untrusted,
    open_upstream,
)
from roadster_tools import failure
from tests.client.test_network import Server, authority, with_certificate
from tests.proxies import ConnectProxy
from tests.upstreams import STEVE, UMAZDA, approve, error_of

__all__ = ["authority"]
pytestmark = pytest.mark.anyio
reliability = pytest.mark.reliability

HOST = "api.roadster.example"
KEY = "sandbox-key"
PRIVATE = trustme.CA()
PEM = PRIVATE.cert_pem.bytes().decode()


@asynccontextmanager
async def open_client(network: NetworkPath, url: str = f"https://{HOST}/v1") -> AsyncIterator[DealerApi]:
    async with open_upstream(url, api_key=KEY, network=network) as upstream:
        yield RoadsterApi(upstream, OPERATIONS).for_dealer(UMAZDA, ChannelPolicy(approve, origin=Origin("t", "umazda")))


async def test_private_authority_is_trusted_as_well_as_the_systems(authority: trustme.CA) -> None:
    for issuer, network, good in (
        (PRIVATE, NetworkPath(), False),
        (PRIVATE, NetworkPath(PEM), True),
        (authority, NetworkPath(PEM), True),
    ):
        async with (
            Server().listen(with_certificate(issuer.issue_cert("127.0.0.1"))) as port,
            open_client(network, f"https://127.0.0.1:{port}/v1") as client,
        ):
            assert (await error_of(client.list_inventory(size=1)) is None) == good


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_upstream_is_reached_through_the_proxy_inside_tls(scheme: str) -> None:
    server = Server()
    context = with_certificate(PRIVATE.issue_cert("127.0.0.1")) if scheme == "https" else None
    async with server.listen(with_certificate(PRIVATE.issue_cert(HOST))) as upstream_port:
        proxy = ConnectProxy(upstream_port)
        async with (
            proxy.listen(context) as port,
            open_client(NetworkPath(PEM, f"{scheme}://steve:pass%40word@127.0.0.1:{port}")) as client,
        ):
            assert (await client.list_inventory(size=1)).vehicles == ()
    assert proxy.targets == [f"{HOST}:443"]
    assert KEY.encode() not in proxy.heads[0]
    assert KEY.encode() in server.requests
    credentials = proxy.heads[0].partition(b"Proxy-Authorization: Basic ")[2].split(b"\r\n")[0]
    assert b64decode(credentials) == b"steve:pass@word"
    assert b"Proxy-Authorization" not in server.requests


async def test_certificate_is_checked_through_the_proxy() -> None:
    server = Server()
    async with (
        server.listen(with_certificate(PRIVATE.issue_cert("elsewhere.example"))) as upstream_port,
        ConnectProxy(upstream_port).listen() as port,
        open_client(NetworkPath(PEM, f"http://127.0.0.1:{port}")) as client,
    ):
        assert type(await error_of(client.list_inventory(size=1))) is Untrusted
    assert server.requests == b""


async def test_hosts_of_no_proxy_are_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def here(host: Any, *arguments: Any, **options: Any) -> Any:
        return resolve("127.0.0.1" if host in {HOST, HOST.encode()} else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    async with Server().listen(with_certificate(PRIVATE.issue_cert(HOST))) as upstream_port:
        proxy = ConnectProxy(upstream_port)
        async with (
            proxy.listen() as port,
            open_client(
                NetworkPath(PEM, f"http://127.0.0.1:{port}", ("roadster.example",)),
                f"https://{HOST}:{upstream_port}/v1",
            ) as client,
        ):
            assert (await client.list_inventory(size=1)).vehicles == ()
    assert proxy.heads == []


@pytest.mark.parametrize(
    ("host", "through"),
    [
        ("api.roadster.com", True),
        ("example.com", False),
        ("EXAMPLE.com.", False),
        ("deep.api.example.com", False),
        ("notexample.com", True),
        ("example.com.evil.example", True),
        ("10.0.0.1", False),
        ("110.0.0.1", True),
        ("fd00:0:0::1", False),
        ("localhost", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("localhost.example", True),
    ],
)
def test_proxy_is_for_all_hosts_except_those_named_and_this_machine(host: str, through: bool) -> None:
    network = NetworkPath(proxy="http://proxy.example:3128", direct_hosts=("example.com", "10.0.0.1", "fd00::1"))
    assert network.uses_proxy(host) == through
    assert not NetworkPath().uses_proxy(host)


@pytest.mark.parametrize(
    ("refusal", "attempts"),
    [
        pytest.param(
            b"407 Proxy Authentication Required",
            1,
            marks=reliability("a proxy that wants other credentials", "refused at once, once; nothing was sent"),
        ),
        pytest.param(b"403 Forbidden to steve:SECRET", 1),
        pytest.param(
            b"503 Service Unavailable",
            3,
            marks=reliability("a proxy that does not reach the upstream", "three attempts; nothing was sent"),
        ),
    ],
)
@pytest.mark.parametrize("writes", [False, True])
async def test_proxy_that_refuses_is_told_and_nothing_was_sent(refusal: bytes, attempts: int, writes: bool) -> None:
    proxy = ConnectProxy(9, refusal)
    async with (
        proxy.listen() as port,
        open_client(NetworkPath(PEM, f"http://steve:SECRET@127.0.0.1:{port}")) as client,
    ):
        error = await error_of(client.create_customer(STEVE) if writes else client.list_inventory(size=1))
    assert type(error) is ProxyFailed
    assert error.status == int(refusal[:3])
    text = failure(error).text
    assert "Nothing was sent; the server's operator must check base_url and [network]" in text
    assert "SECRET" not in text
    assert len(proxy.heads) == attempts


@reliability("a proxy that does not listen", "three attempts; nothing was sent")
async def test_proxy_that_does_not_listen_is_told() -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with open_client(NetworkPath(None, f"http://steve:SECRET@127.0.0.1:{port}")) as client:
        error = await error_of(client.create_customer(STEVE))
    assert type(error) is ProxyFailed
    assert error.status is None
    assert "SECRET" not in failure(error).text


@given(st.text(st.sampled_from("aé/:@%?#[]\\ \n\"'"), max_size=8))
def test_network_path_never_shows_the_proxys_credentials(password: str) -> None:
    network = NetworkPath(proxy=f"http://steve:SECRET{password}@proxy.example:3128")
    assert "SECRET" not in repr(network) + str(network)

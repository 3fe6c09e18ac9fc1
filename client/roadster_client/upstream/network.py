"""The network behind an upstream: further certificate authorities, and a proxy.

A host on this machine is always reached directly. So every request through the proxy is inside TLS, and the proxy sees
the upstream's name and no credentials.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx2

from roadster_client.errors import causes
from roadster_client.hosts import is_loopback, plain_host

from .admission import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_CONNECTIONS = 2 * AT_ONCE
"""Connections to one host. The exchanges of one account need half of them."""


@dataclass(frozen=True)
class NetworkPath:
    """The way that requests take to other hosts. By default they go directly, and trust the system's authorities."""

    authorities: str | None = None
    """Certificates in PEM that are trusted as well as the system's."""
    proxy: str | None = field(default=None, repr=False)
    """The URL of an HTTP proxy. It may hold credentials."""
    direct_hosts: tuple[str, ...] = ()
    """Hosts that are reached without the proxy, each with the hosts below it."""

    @property
    def proxy_address(self) -> str | None:
        """Host and port of the proxy, without credentials."""
        return httpx2.URL(self.proxy).netloc.decode() if self.proxy else None

    def uses_proxy(self, host: str) -> bool:
        if self.proxy is None or is_loopback(host):
            return False
        host = plain_host(host)
        return not any(host == direct or host.endswith(f".{direct}") for direct in self.direct_hosts)

    def open(self) -> httpx2.AsyncBaseTransport:
        """Returns a transport that takes this way. It reads the system's authorities, which takes a moment."""
        limits = httpx2.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=20)
        direct = httpx2.AsyncHTTPTransport(verify=self._trust(), limits=limits, trust_env=False)
        if self.proxy is None:
            return direct
        proxy = httpx2.Proxy(self.proxy, ssl_context=self._trust() if self.proxy.startswith("https:") else None)
        proxied = httpx2.AsyncHTTPTransport(verify=self._trust(), limits=limits, trust_env=False, proxy=proxy)
        return _Proxied(direct, proxied, self.uses_proxy)

    def _trust(self) -> ssl.SSLContext:
        context = httpx2.create_ssl_context(trust_env=False)
        if self.authorities:
            context.load_verify_locations(cadata=self.authorities)
        return context


DIRECT = NetworkPath()


class _Proxied(httpx2.AsyncBaseTransport):
    """A transport that uses the proxy for some hosts. Every failure of the proxy is a ProxyError."""

    def __init__(
        self,
        direct: httpx2.AsyncBaseTransport,
        proxied: httpx2.AsyncBaseTransport,
        uses_proxy: Callable[[str], bool],
    ) -> None:
        self._direct = direct
        self._proxied = proxied
        self._uses_proxy = uses_proxy

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not self._uses_proxy(request.url.host):
            return await self._direct.handle_async_request(request)
        try:
            return await self._proxied.handle_async_request(request)
        except httpx2.ConnectError as error:
            if any(isinstance(cause, ssl.SSLError) for cause in causes(error)):
                raise
            raise httpx2.ProxyError("no connection to the proxy") from error

    async def aclose(self) -> None:
        await self._direct.aclose()
        await self._proxied.aclose()

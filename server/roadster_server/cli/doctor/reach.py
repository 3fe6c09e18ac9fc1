"""The connections that `doctor` tries: the way that they take, and what to do about those that fail."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import anyio
import httpx2

from roadster_client.errors import causes
from roadster_server.identity.keys import FETCH_ERRORS, FETCH_SECONDS, fetch_keys
from roadster_server.settings.sections.callers import IdentitySettings
from roadster_server.settings.sections.network import NetworkSettings
from roadster_server.settings.settings import Settings
from roadster_server.uploads.clamd import ScanFailed, is_clean_by

_OUT_OF_DATE = frozenset({9, 10})
_OF_ANOTHER_HOST = frozenset({62, 64})
"""OpenSSL's codes of a certificate that is not accepted."""


@dataclass(frozen=True)
class Destination:
    """A URL that the server connects to, the setting that names it, and the section `[network]`."""

    url: str
    setting: str
    network: NetworkSettings

    @property
    def way(self) -> str:
        """The host, and the proxy and the CA bundle that a connection to it uses."""
        url, path = httpx2.URL(self.url), self.network.path()
        way = url.netloc.decode()
        if path.uses_proxy(url.host):
            way += f", through the proxy {path.proxy_address}"
        elif path.proxy is not None:
            way += ", without the proxy"
        if self.network.ca_bundle is not None and url.scheme == "https":
            way += f", also trusting {self.network.ca_bundle.path}"
        return way

    def problem(self, error: BaseException, seconds: float) -> str:
        """Returns why a connection failed within `seconds`, and what to do. It repeats no text of another server."""
        chain = list(causes(error))
        if isinstance(error, httpx2.ProxyError):
            return _proxy_problem(str(error))
        if any(isinstance(cause, socket.gaierror) for cause in chain):
            return f"the name is not known; correct {self.setting}, or see to this machine's DNS"
        for cause in chain:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return self._certificate_problem(cause.verify_code)
        if any(isinstance(cause, ssl.SSLError) for cause in chain):
            return "TLS failed; see to the certificate, and to what stands between this machine and the upstream"
        if any(isinstance(cause, TimeoutError | httpx2.TimeoutException) for cause in chain):
            return f"no answer within {seconds:g} s; see to firewalls, and to the upstream's status"
        return f"no connection; correct {self.setting}, or see to firewalls and the upstream's status"

    def _certificate_problem(self, code: int) -> str:
        if code in _OUT_OF_DATE:
            return "TLS failed: the certificate is out of date; see to this machine's clock, and to the host's operator"
        if code in _OF_ANOTHER_HOST:
            return f"TLS failed: the certificate is of another host; correct {self.setting}"
        text = "TLS failed: the certificate is of an authority that this machine does not trust; "
        if self.network.ca_bundle is not None:
            return text + f"add the authority to {self.network.ca_bundle.path}"
        return text + "if it is your organisation's own, name its PEM file in [network] ca_bundle"


def _proxy_problem(text: str) -> str:
    status = re.match(r"\d{3}", text)
    if status is None:
        return "no connection to the proxy; correct [network] proxy, or add the host to no_proxy"
    if status[0] == "407":
        return "the proxy does not accept the credentials (407); correct them in [network] proxy"
    return f"the proxy refuses ({status[0]}); ask its operator for this host, or add the host to [network] no_proxy"


async def scanner(address: str) -> tuple[str, bool]:
    """Has the clamd at `[uploads] clamd` scan a few bytes. Returns what came of it, and whether that is a problem."""
    try:
        await is_clean_by(address, b"roadster-mcp doctor")
    except ScanFailed as error:
        return str(error), True
    return f"scans at {address}", False


async def issuers(settings: Settings) -> list[tuple[str, bool]]:
    """Fetches each issuer's keys. Returns what came of it, and whether that is a problem."""
    return [await _issuer(*each) for each in _issuer_destinations(settings)]


def _issuer_destinations(settings: Settings) -> Iterator[tuple[IdentitySettings, Destination]]:
    for name, provider in settings.identity.items():
        key = "issuer" if provider.jwks_url is None else "jwks_url"
        destination = Destination(provider.jwks_url or provider.issuer, f"identity.{name}.{key}", settings.network)
        yield provider, destination


async def _issuer(provider: IdentitySettings, destination: Destination) -> tuple[str, bool]:
    try:
        with anyio.fail_after(FETCH_SECONDS):
            fetched = await fetch_keys(provider, destination.network.path())
    except (httpx2.TransportError, TimeoutError) as error:
        return f"{destination.way}: {destination.problem(error, FETCH_SECONDS)}", True
    except FETCH_ERRORS:
        mend = f"correct {destination.setting}, or see to the issuer's status"
        return f"{destination.way}: answers without a set of keys; {mend}", True
    if not fetched.keys:
        return f"{destination.way}: has no key that can be used; correct {destination.setting}", True
    return f"{destination.way}: {len(fetched.keys)} of {fetched.url}", False

"""The section `[network]`: the way to the upstreams from a network that restricts it."""

from __future__ import annotations

import ipaddress
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr, ValidationInfo

from roadster_client import plain_host
from roadster_server.plain_files import FileTooLarge, NotPlain, read_plain_file, reading_problem
from roadster_server.settings.secrets import UNREVEALED, reveal

if TYPE_CHECKING:  # for start time: it imports httpx2
    from roadster_client import NetworkPath

_MAX_BUNDLE_BYTES = 2 * 1024 * 1024
"""Bytes of certificates. Those of a whole operating system have about 250,000."""

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_UNREVEALED_PROXY = "http://proxy.invalid"


@dataclass(frozen=True)
class CaBundle:
    """The certificates in a PEM file. `certificates` has no text between them."""

    path: Path
    certificates: str


def _read_bundle(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, CaBundle):
        return value
    if not isinstance(value, str):
        raise ValueError("expected a path in quotes")  # noqa: TRY004 - pydantic takes only a ValueError as a problem
    if info.context == UNREVEALED:
        return CaBundle(Path(value), "")
    try:
        path = Path(value).expanduser()
        text = read_plain_file(path, max_bytes=_MAX_BUNDLE_BYTES).decode("ascii", errors="ignore")
    except (NotPlain, FileTooLarge) as error:
        raise ValueError(f"{error}; name the PEM file itself") from None
    except OSError as error:
        raise ValueError(reading_problem(error)) from None
    except RuntimeError:
        raise ValueError("there is no such user; write the path without ~") from None
    if not path.is_absolute():
        raise ValueError("expected an absolute path: a host starts the server in a folder of its own choice")
    certificates = "\n".join(_CERTIFICATE.findall(text))
    if not certificates:
        raise ValueError("holds no certificate in PEM; convert it: openssl x509 -inform der -in FILE -out FILE.pem")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificates)
    except ssl.SSLError:
        raise ValueError("holds a certificate that cannot be read; export it as PEM once more") from None
    return CaBundle(path, certificates)


def _read_proxy(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    if info.context == UNREVEALED:
        return SecretStr(_UNREVEALED_PROXY)
    if value.startswith(("env:", "file:", "keyring:")):
        return SecretStr(_check_proxy(reveal(value, info.context or {})))
    if "@" in value:
        raise ValueError("the URL holds credentials; name the whole URL as a secret, for instance env:PROXY_URL")
    return SecretStr(_check_proxy(value))


def _check_proxy(text: str) -> str:
    mend = "expected http://HOST:PORT or https://HOST:PORT, with special characters of a password as %XX"
    import httpx2  # noqa: PLC0415 - for start time: most configurations have no proxy

    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL:
        raise ValueError(mend) from None
    if url.scheme not in {"http", "https"} or not url.host or url.raw_path not in {b"", b"/"} or url.fragment:
        raise ValueError(mend)
    if not re.fullmatch(r"[!-~]+", text):  # white space, control characters and all that is not ASCII
        raise ValueError(mend)
    return text


def _check_host(entry: str) -> str:
    host = entry.removeprefix(".")
    if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", host):
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError("expected a host or an IP address, without scheme, port, network and *") from None
    return plain_host(host)


class NetworkSettings(BaseModel):
    """`[network]`: the way to the upstreams and to the issuers of JWTs. By default the server connects directly."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ca_bundle: Annotated[CaBundle, BeforeValidator(_read_bundle)] | None = None
    """A PEM file of certificate authorities that are trusted as well as the system's. The path is absolute, or below
    `~`."""
    proxy: Annotated[SecretStr, BeforeValidator(_read_proxy)] | None = None
    """The HTTP proxy for all hosts except this machine: `http://HOST:PORT` or `https://HOST:PORT`. A URL with
    credentials is named as a [secret](../operate/secrets.md)."""
    no_proxy: list[Annotated[str, AfterValidator(_check_host)]] = []
    """Hosts that are reached without the proxy. A host also stands for the hosts below it."""

    def path(self) -> NetworkPath:
        """Returns the settings as the client takes them."""
        from roadster_client import NetworkPath  # noqa: PLC0415 - for start time: it imports httpx2

        return NetworkPath(
            self.ca_bundle.certificates if self.ca_bundle else None,
            self.proxy.get_secret_value() if self.proxy else None,
            tuple(self.no_proxy),
        )

"""`[network]`: each mistake is told with what to do, and no text ever holds the proxy's credentials."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch
from urllib.parse import quote

import pytest
import trustme
from hypothesis import example, given
from hypothesis import strategies as st

from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.loading import load
from roadster_server.settings.sections.network import NetworkSettings
from roadster_server.settings.settings import Settings

CONFIG = '[roadster]\napi_key = "env:ROADSTER_API_KEY"\n[dealers.umazda]\n[callers.local]\n[network]\n'
PEM = trustme.CA().cert_pem.bytes()


def write(folder: Path, section: str) -> Path:
    path = folder / "roadster.toml"
    path.write_text(CONFIG + section)
    return path


def load_network(folder: Path, section: str, **environment: str) -> NetworkSettings:
    with patch.dict(os.environ, {"ROADSTER_API_KEY": "key", **environment}):
        return load(write(folder, section)).network


def mistakes(folder: Path, section: str, **environment: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        load_network(folder, section, **environment)
    return str(error.value)


def test_bundle_is_read_whatever_stands_between_its_certificates(tmp_path: Path) -> None:
    bundle = tmp_path / "authorities.pem"
    bundle.write_bytes(b"\xef\xbb\xbf# Autorit\xc3\xa9\r\n" + PEM.replace(b"\n", b"\r\n") + b"\n# more\n" + PEM)
    network = load_network(tmp_path, f"ca_bundle = '{bundle}'")
    assert (network.path().authorities or "").count("BEGIN CERTIFICATE") == 2
    network.path().open()


@pytest.mark.parametrize(
    ("content", "mend"),
    [
        (None, "there is no such file; correct the path"),
        (b"", "holds no certificate in PEM; convert it: openssl x509 -inform der"),
        (b"\x30\x82\x01\x00", "holds no certificate in PEM; convert it"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "holds no certificate in PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read; export it as PEM"),
        (PEM.replace(b"M", b"!"), "cannot be read; export it as PEM"),
    ],
)
def test_bundle_that_is_no_pem_stops_the_start(content: bytes | None, mend: str, tmp_path: Path) -> None:
    bundle = tmp_path / "authorities.pem"
    if content is not None:
        bundle.write_bytes(content)
    text = mistakes(tmp_path, f"ca_bundle = '{bundle}'")
    assert "network.ca_bundle: " in text
    assert mend in text


def test_bundle_needs_a_plain_file_and_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "authorities.pem").write_bytes(PEM)
    monkeypatch.chdir(tmp_path)
    assert "expected an absolute path" in mistakes(tmp_path, "ca_bundle = 'authorities.pem'")
    assert "is not a plain file" in mistakes(tmp_path, f"ca_bundle = '{tmp_path}'")


@pytest.mark.parametrize(
    "url",
    [
        "proxy.example.com:3128",
        "socks5://proxy.example.com:1080",
        "http://",
        "http://proxy.example.com:port",
        "http://proxy.example.com/path",
        "http://proxy.example.com?query",
        "http://proxy.example.com#fragment",
        "http://proxy example.com",
        "",
    ],
)
def test_proxy_must_be_a_url_of_an_http_proxy(url: str, tmp_path: Path) -> None:
    assert "network.proxy: expected http://HOST:PORT or https://HOST:PORT" in mistakes(tmp_path, f"proxy = '{url}'")


def test_proxy_with_credentials_must_be_a_secret(tmp_path: Path) -> None:
    text = mistakes(tmp_path, "proxy = 'http://steve:SECRET@proxy.example.com:3128'")
    assert "name the whole URL as a secret, for instance env:PROXY_URL" in text
    assert "SECRET" not in text
    assert "PROXY_URL is not set" in mistakes(tmp_path, "proxy = 'env:PROXY_URL'")
    good = load_network(tmp_path, "proxy = 'env:PROXY_URL'", PROXY_URL="http://steve:SECRET@proxy.example.com:3128")
    assert good.path().proxy_address == "proxy.example.com:3128"


ODD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(before=ODD, after=ODD, is_quoted=st.booleans())
@example(before="a/", after="b", is_quoted=False)
@example(before="a@", after="@b", is_quoted=False)
@example(before="12#", after="?b", is_quoted=False)
def test_no_text_holds_the_proxys_credentials(
    before: str, after: str, is_quoted: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    password = f"{before}SECRET{after}"
    written = quote(password, safe="") if is_quoted else password
    with patch.dict(os.environ, {"ROADSTER_API_KEY": "key", "PROXY_URL": f"http://steve:{written}@127.0.0.1:3128"}):
        path = write(tmp_path_factory.getbasetemp(), "proxy = 'env:PROXY_URL'")
        problem, settings = load_or_problem(path)
    if settings is None:
        assert "SECRET" not in problem
        assert not is_quoted, "every password can be written"
        return
    network = settings.network.path()
    assert "SECRET" not in repr(settings) + str(settings) + settings.model_dump_json() + repr(network)
    assert network.proxy_address == "127.0.0.1:3128"


def load_or_problem(path: Path) -> tuple[str, Settings | None]:
    try:
        return "", load(path)
    except ConfigurationError as error:
        return str(error), None


NO_HOSTS = ["*", "*.example.com", "https://example.com", "example.com:443", "10.0.0.0/8", "", "a..b"]


@pytest.mark.parametrize("host", NO_HOSTS)
def test_no_proxy_takes_hosts_only(host: str, tmp_path: Path) -> None:
    assert "network.no_proxy.1: expected a host or an IP address" in mistakes(tmp_path, f"no_proxy = ['{host}']")


def test_no_proxy_is_compared_in_one_spelling(tmp_path: Path) -> None:
    section = 'proxy = "http://proxy.example.com:3128"\nno_proxy = [".Example.com", "FD00:0::1"]'
    network = load_network(tmp_path, section).path()
    assert [network.uses_proxy(host) for host in ("api.example.com", "fd00::1", "example.org")] == [False, False, True]


@pytest.mark.anyio
async def test_network_needs_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where only the bundle's certificates have changed."""
    monkeypatch.setenv("ROADSTER_API_KEY", "key")
    bundle = tmp_path / "authorities.pem"
    bundle.write_bytes(PEM)
    path = write(tmp_path, f"ca_bundle = '{bundle}'")
    live = LiveSettings(load(path), path)
    in_force = live.current.network
    bundle.write_bytes(trustme.CA().cert_pem.bytes())
    await live.reload()
    assert live.current.network == in_force
    (warning,) = [record for record in caplog.records if record.message == "changed, and in force after a restart"]
    assert warning.__dict__["section"] == "network"

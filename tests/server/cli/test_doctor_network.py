"""`doctor` says which way it took to each host, and what to do where an authority, a proxy or an issuer is wrong."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from mcp.server.auth.provider import AccessToken
from pydantic import SecretStr
from starlette.responses import JSONResponse, Response

from roadster_server.backend import Backend
from roadster_server.cli.doctor.examination import examine
from roadster_server.cli.doctor.findings import Finding
from roadster_server.identity.tokens import TokenVerifier
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.network import NetworkSettings
from roadster_server.settings.sections.uploads import UploadSettings
from roadster_server.settings.sections.upstreams import RoadsterSettings
from roadster_server.settings.settings import Settings
from tests.client.test_network import Server, with_certificate
from tests.conftest import settings_for
from tests.proxies import ConnectProxy
from tests.server.identity.conftest import issuer, issuer_server
from tests.server.identity.issuers import Issuer, issuer_settings, jwk, token
from tests.server.uploads.test_clamd import listening, replying

__all__ = ["issuer", "issuer_server"]
pytestmark = pytest.mark.anyio

PRIVATE = trustme.CA()
HOST = "api.roadster.example"
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "authorities.pem"
    PRIVATE.cert_pem.write_to_path(path)
    return path


def network(**section: Any) -> NetworkSettings:
    if "proxy" in section:
        section["proxy"] = SecretStr(section["proxy"])
    return NetworkSettings(**section)


async def findings(settings: Settings) -> dict[str, Finding]:
    results = {finding.check: finding async for finding in examine(Backend(LiveSettings(settings)), None)}
    assert "SECRET" not in "".join(finding.line() for finding in results.values())
    return results


async def reach(store_url: str, base_url: str, **section: Any) -> Finding:
    roadster = RoadsterSettings(base_url=base_url, api_key=SecretStr("key"))
    change = {"roadster": roadster, "roadie": None, "mykaarma": None, "network": network(**section)}
    return (await findings(settings_for(store_url).model_copy(update=change)))["roadster reach"]


@asynccontextmanager
async def serving(certificate: trustme.LeafCert) -> AsyncIterator[int]:
    async with Server().listen(with_certificate(certificate)) as port:
        yield port


async def test_doctor_tells_a_private_authority_from_other_faults(store_url: str, bundle: Path) -> None:
    async with serving(PRIVATE.issue_cert("127.0.0.1")) as port:
        url = f"https://127.0.0.1:{port}/v1"
        problem = await reach(store_url, url)
        good = await reach(store_url, url, ca_bundle=str(bundle))
    assert problem.code == 4
    assert "an authority that this machine does not trust" in problem.text
    assert problem.text.endswith("name its PEM file in [network] ca_bundle")
    assert good.code == 0
    assert good.text == f"127.0.0.1:{port}, also trusting {bundle}"


@pytest.mark.parametrize(
    ("certificate", "mend"),
    [
        (trustme.CA().issue_cert("127.0.0.1"), "add the authority to "),
        (PRIVATE.issue_cert(HOST), "the certificate is of another host; correct [roadster] base_url"),
        (
            PRIVATE.issue_cert("127.0.0.1", not_before=YESTERDAY - timedelta(1), not_after=YESTERDAY),
            "the certificate is out of date; see to this machine's clock",
        ),
    ],
)
async def test_doctor_says_what_is_wrong_with_a_certificate(
    certificate: trustme.LeafCert, mend: str, store_url: str, bundle: Path
) -> None:
    async with serving(certificate) as port:
        problem = await reach(store_url, f"https://127.0.0.1:{port}/v1", ca_bundle=str(bundle))
    assert problem.code == 4
    assert mend in problem.text


async def test_doctor_names_the_proxy_that_it_went_through(store_url: str, bundle: Path) -> None:
    async with serving(PRIVATE.issue_cert(HOST)) as upstream_port:
        proxy = ConnectProxy(upstream_port)
        async with proxy.listen() as port:
            url = f"http://steve:SECRET@127.0.0.1:{port}"
            good = await reach(store_url, f"https://{HOST}/v1", ca_bundle=str(bundle), proxy=url)
    assert good.code == 0
    assert good.text == f"{HOST}, through the proxy 127.0.0.1:{port}, also trusting {bundle}"
    assert proxy.targets[0] == f"{HOST}:443"


async def test_doctor_says_that_a_host_is_reached_without_the_proxy(store_url: str) -> None:
    direct = await reach(
        store_url, "https://nowhere.invalid/v1", proxy="http://127.0.0.1:9", no_proxy=["nowhere.invalid"]
    )
    assert direct.text.startswith("nowhere.invalid, without the proxy: the name is not known")


@pytest.mark.parametrize(
    ("refusal", "mend"),
    [
        (b"407 Proxy Authentication Required", "(407); correct them in [network] proxy"),
        (b"403 Forbidden to SECRET", "the proxy refuses (403); ask its operator for this host"),
        (b"502 Bad Gateway", "the proxy refuses (502); ask its operator for this host"),
    ],
)
async def test_doctor_says_what_a_proxy_refuses(refusal: bytes, mend: str, store_url: str) -> None:
    async with ConnectProxy(9, refusal).listen() as port:
        problem = await reach(store_url, f"https://{HOST}/v1", proxy=f"http://steve:SECRET@127.0.0.1:{port}")
    assert problem.code == 4
    assert mend in problem.text


async def test_doctor_tells_a_proxy_that_is_down_from_an_upstream_that_is(store_url: str) -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
    down = await reach(store_url, f"https://{HOST}/v1", proxy=f"http://steve:SECRET@127.0.0.1:{port}")
    unknown = await reach(store_url, f"https://{HOST}/v1", proxy="http://steve:SECRET@proxy.invalid:3128")
    for problem in (down, unknown):
        assert "no connection to the proxy; correct [network] proxy, or add the host to no_proxy" in problem.text


def with_issuer(store_url: str, url: str, **section: Any) -> Settings:
    """Returns settings whose upstreams are not asked, and an identity provider with keys at `url`."""
    roadster = RoadsterSettings(base_url="http://127.0.0.1:9", api_key=SecretStr("key"))
    of_issuer = issuer_settings(url)
    change = {"roles": of_issuer.roles, "identity": of_issuer.identity, "network": network(**section)}
    no_upstreams = {"roadster": roadster, "roadie": None, "mykaarma": None}
    return settings_for(store_url).model_copy(update={**no_upstreams, **change})


async def test_doctor_fetches_the_keys_of_each_issuer(store_url: str, issuer: Issuer) -> None:
    finding = (await findings(with_issuer(store_url, issuer.url)))["issuer keys"]
    assert finding.code == 0
    assert issuer.paths == ["/jwks"], "one fetch"


@pytest.mark.parametrize("answer", [Response(status_code=404), Response(b"<html>SECRET"), JSONResponse({"keys": []})])
async def test_doctor_finds_an_issuer_without_keys(answer: Response, store_url: str, issuer: Issuer) -> None:
    issuer.answer = answer
    finding = (await findings(with_issuer(store_url, issuer.url)))["issuer keys"]
    assert finding.code == 4
    assert "correct identity.login.jwks_url" in finding.text


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/jwks", "https://nowhere.invalid/jwks"])
async def test_doctor_finds_an_issuer_that_cannot_be_reached(url: str, store_url: str) -> None:
    finding = (await findings(with_issuer(store_url, url)))["issuer keys"]
    assert finding.code == 4
    assert "correct identity.login.jwks_url" in finding.text


async def test_keys_of_an_issuer_come_through_the_proxy_from_a_private_authority(store_url: str, bundle: Path) -> None:
    keys = json.dumps({"keys": [jwk("rsa")]}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(keys)}\r\n\r\n".encode()
    async with Server(head + keys).listen(with_certificate(PRIVATE.issue_cert("login.example.com"))) as issuer_port:
        proxy = ConnectProxy(issuer_port)
        async with proxy.listen() as port:
            url = f"http://steve:SECRET@127.0.0.1:{port}"
            settings = with_issuer(store_url, "https://login.example.com/jwks", ca_bundle=str(bundle), proxy=url)
            finding = (await findings(settings))["issuer keys"]
            identity = await TokenVerifier(lambda: settings).verify_token(token())
    assert (
        finding.text
        == f"login.example.com, through the proxy 127.0.0.1:{port}, also trusting {bundle}: 1 of https://login.example.com/jwks"
    )
    assert isinstance(identity, AccessToken)
    assert set(proxy.targets) == {"login.example.com:443"}


@pytest.mark.parametrize("kind", ["unix", "tcp"])
async def test_a_clamd_that_scans_is_well(kind: str, store_url: str, tmp_path: Path) -> None:
    async with listening(kind, tmp_path) as address:
        results = await findings(with_clamd(store_url, address))
    assert results["clamd"] == Finding("clamd", f"scans at {address}")


@pytest.mark.reliability("a clamd that does not answer or scan", "`doctor` names the setting, and what to do")
async def test_a_clamd_that_does_not_scan_is_a_problem_with_its_mend(store_url: str, tmp_path: Path) -> None:
    silent = (await findings(with_clamd(store_url, f"unix://{tmp_path}/nowhere.ctl")))["clamd"]
    assert (silent.code, silent.text) == (
        1,
        "clamd does not answer at [uploads] clamd; start it, or correct the address",
    )
    async with listening("tcp", tmp_path, replying(b"INSTREAM size limit exceeded. ERROR\0")) as address:
        limited = (await findings(with_clamd(store_url, address)))["clamd"]
    assert limited.code == 1
    assert "StreamMaxLength" in limited.text


def with_clamd(store_url: str, address: str) -> Settings:
    change = {"roadie": None, "mykaarma": None, "uploads": UploadSettings(clamd=address)}
    roadster = RoadsterSettings(base_url="http://127.0.0.1:1/v1", api_key=SecretStr("key"))
    return settings_for(store_url).model_copy(update={**change, "roadster": roadster})

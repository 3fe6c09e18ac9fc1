"""The issuers' keys: fetched when a token needs them, good for a while, and never taken from a useless answer."""

from __future__ import annotations

import gzip
import json
import logging
import time

import anyio
import pytest
from mcp.server.auth.provider import AccessToken
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from roadster_server.identity import keys as identity_keys
from roadster_server.identity.keys import FETCH_SECONDS, IssuerKeys
from roadster_server.identity.tokens import StaleToken, TokenVerifier
from tests.server.identity.issuers import (
    OPAQUE,
    Clock,
    Issuer,
    initialize,
    issuer_settings,
    jwk,
    open_client,
    status_with,
    token,
)

pytestmark = pytest.mark.anyio


async def is_accepted(verifier: TokenVerifier, bearer: str | None = None) -> bool:
    return isinstance(await verifier.verify_token(bearer or token()), AccessToken)


async def test_keys_are_good_for_ten_minutes(issuer: Issuer) -> None:
    clock = Clock()
    verifier = TokenVerifier(lambda: issuer_settings(issuer.url), IssuerKeys(clock))
    for seconds, fetches in ((0, 1), (599, 1), (601, 2), (1200, 2), (1202, 3)):
        clock.now = 1000.0 + seconds
        assert await is_accepted(verifier)
        assert len(issuer.paths) == fetches, seconds


async def test_key_that_is_new_is_fetched_when_a_token_names_it(issuer: Issuer) -> None:
    clock = Clock()
    verifier = TokenVerifier(lambda: issuer_settings(issuer.url), IssuerKeys(clock))
    issuer.keys = [jwk("rsa")]
    assert await is_accepted(verifier)
    issuer.keys = [jwk("ec")]
    clock.now += 11
    assert await is_accepted(verifier, token("ec"))
    assert not await is_accepted(verifier, token("rsa")), "the old key is withdrawn"
    assert len(issuer.paths) == 2


async def test_keys_that_are_unknown_cost_one_fetch_in_ten_seconds(
    issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "roadster_server")
    clock = Clock()
    verifier = TokenVerifier(lambda: issuer_settings(issuer.url), IssuerKeys(clock))
    for second in range(30):
        clock.now = 1000.0 + second
        assert not await is_accepted(verifier, token("ed", header={"kid": f"unknown-{second}"}))
    assert len(issuer.paths) == 3
    assert "the next look is in 1 s" in vars(caplog.records[-1])["reason"]
    assert await is_accepted(verifier)


async def test_keys_are_fetched_once_for_many_requests(issuer: Issuer) -> None:
    verifier = TokenVerifier(lambda: issuer_settings(issuer.url), IssuerKeys(Clock()))
    results: list[bool] = []

    async def one(bearer: str) -> None:
        results.append(await is_accepted(verifier, bearer))

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(one, token("ed", header={"kid": "ed" if number % 2 else "unknown"}))
    assert sorted(results) == [False] * 10 + [True] * 10
    assert len(issuer.paths) == 1


async def send_forever(_scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b'{"keys": [', "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass


GOOD_KEYS = json.dumps({"keys": [jwk("rsa")]}).encode()

USELESS: dict[str, ASGIApp] = {
    "fails": Response(status_code=500),
    "is a 404 with keys": Response(GOOD_KEYS, 404),
    "redirects": RedirectResponse("/elsewhere"),
    "is larger than 256 KiB": Response(GOOD_KEYS + b" " * 256 * 1024),
    "is not JSON": Response(b"<html>"),
    "is empty": Response(b""),
    "is cut short": Response(GOOD_KEYS[:-2]),
    "nests deeply": Response(b"[" * 100_000),
    "is a list": Response(b"[]"),
    "has no keys": Response(b"{}"),
    "has keys that are no list": Response(b'{"keys": {"kid": "rsa"}}'),
    "has no key in its list": Response(b'{"keys": [null, 7, [], {}, {"kid": "rsa"}, {"kid": "rsa", "kty": []}]}'),
    "is larger than 256 KiB once it is inflated": Response(
        gzip.compress(GOOD_KEYS + b" " * 256 * 1024), headers={"Content-Encoding": "gzip"}
    ),
    "never ends": send_forever,
}


@pytest.mark.parametrize("why", USELESS)
async def test_token_is_refused_where_the_issuers_answer(
    why: str, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.answer = USELESS[why]
    settings = issuer_settings(issuer.url)
    # Only one of them would make the test wait. The others need their time on a busy machine.
    fetch_seconds = 2.0 if why == "never ends" else FETCH_SECONDS * 6
    async with open_client(
        settings, verifier=TokenVerifier(lambda: settings, IssuerKeys(fetch_seconds=fetch_seconds))
    ) as client:
        assert (await initialize(client, token())).status_code == 401
        assert (await initialize(client, token())).status_code == 401
        assert (await initialize(client, OPAQUE)).status_code == 200
        assert (await client.get("/healthz")).status_code == 200
    assert issuer.paths == ["/jwks"], "no redirect was followed, and no fetch follows at once"
    assert "crash" not in caplog.messages


async def test_issuer_that_is_down_is_one_log_line_with_its_host(
    issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    url = issuer.url
    issuer.answer = Response(status_code=503)
    verifier = TokenVerifier(lambda: issuer_settings(url), IssuerKeys(clock))
    for _ in range(3):
        assert not await is_accepted(verifier)
    (line,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert (line.message, line.__dict__["host"]) == ("no keys", "127.0.0.1")
    issuer.answer = None
    clock.now += 5
    assert await is_accepted(verifier), "nobody waits for longer than that once it is up again"


async def test_issuer_that_does_not_listen_only_costs_its_tokens(caplog: pytest.LogCaptureFixture) -> None:
    assert await status_with("http://127.0.0.1:9/jwks", token()) == 401
    assert "no keys" in caplog.messages
    assert "crash" not in caplog.messages


async def test_keys_outlast_a_short_failure_and_no_longer_one(issuer: Issuer) -> None:
    clock = Clock()
    verifier = TokenVerifier(lambda: issuer_settings(issuer.url), IssuerKeys(clock))
    assert await is_accepted(verifier)
    issuer.answer = Response(status_code=503)
    for seconds in (61, 300, 599):
        clock.now = 1000.0 + seconds
        assert not await is_accepted(verifier, token(header={"kid": "unknown"}))
        assert await is_accepted(verifier)
    clock.now = 1601.0
    assert not await is_accepted(verifier), "a withdrawn key would live on for as long as someone blocks the fetch"


async def test_issuer_is_not_asked_through_the_environments_proxy(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await status_with(issuer.url, token()) == 200


ISSUERS_THAT_ARE_DOWN: dict[str, ASGIApp] = {"fails": Response(status_code=503), "never ends": send_forever}


@pytest.mark.parametrize("why", ISSUERS_THAT_ARE_DOWN)
async def test_keys_outlast_an_hour_for_open_streams(why: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expired token and an unknown key are refused meanwhile."""
    clock = Clock()
    verifier = TokenVerifier(lambda: issuer_settings(issuer.url), IssuerKeys(clock))
    of_streams = verifier.for_streams()
    assert await is_accepted(verifier)
    monkeypatch.setattr(identity_keys, "_STREAM_TRY_SECONDS", 0.05)
    monkeypatch.setattr(verifier._keys, "_fetch_seconds", 0.1)
    issuer.answer = ISSUERS_THAT_ARE_DOWN[why]
    for seconds in (601, 3599):
        clock.now = 1000.0 + seconds
        assert isinstance(await of_streams.verify_token(token()), StaleToken)
        assert not await is_accepted(of_streams, token(exp=time.time() - 60))
        assert not await is_accepted(of_streams, token(header={"kid": "unknown"}))
        assert not await is_accepted(of_streams, token("strange", header={"kid": "rsa"}))
        assert not await is_accepted(verifier), "a request needs good keys"
    clock.now = 1000.0 + 3601
    assert not await is_accepted(of_streams)


async def test_key_that_was_withdrawn_ends_streams(issuer: Issuer) -> None:
    clock = Clock()
    verifier = TokenVerifier(lambda: issuer_settings(issuer.url), IssuerKeys(clock))
    assert await is_accepted(verifier)
    issuer.keys = [jwk("ec")]
    clock.now = 1000.0 + 601
    assert not await is_accepted(verifier.for_streams())
    assert await is_accepted(verifier.for_streams(), token("ec"))

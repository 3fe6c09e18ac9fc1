"""The caller of a token, by the settings of the moment."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import jwt
import pytest
from mcp.server.auth.provider import AccessToken

from roadster_server.identity import tokens
from roadster_server.identity.tokens import Refusal, TokenVerifier
from roadster_server.settings.sections.callers import CallerSettings
from tests.server.identity.issuers import OPAQUE, Issuer, issuer_settings, status_with, token

pytestmark = pytest.mark.anyio


async def test_opaque_token_of_three_parts_asks_no_issuer(issuer: Issuer) -> None:
    assert await status_with(issuer.url, OPAQUE) == 200
    assert issuer.paths == []


async def test_token_is_looked_up_as_an_opaque_one_first(issuer: Issuer) -> None:
    bearer = token(sub="other-subject")
    settings = issuer_settings(issuer.url)
    caller = CallerSettings(token_sha256=[hashlib.sha256(bearer.encode()).hexdigest()])
    settings = settings.model_copy(update={"callers": {**settings.callers, "listed": caller}})
    identity = await TokenVerifier(lambda: settings).verify_token(bearer)
    assert isinstance(identity, AccessToken)
    assert identity.client_id == "listed"
    assert issuer.paths == []


async def test_stranger_cannot_make_the_server_ask_an_issuer(issuer: Issuer) -> None:
    for bearer in (token(iss="https://login.evil.example"), "a.b.c", token(padding="x" * 14336)):
        assert await status_with(issuer.url, bearer) == 401
    assert issuer.paths == []


async def test_verifier_knows_the_callers_of_the_moment(issuer: Issuer) -> None:
    current = issuer_settings(issuer.url)
    verifier = TokenVerifier(lambda: current)
    assert isinstance(await verifier.verify_token(token()), AccessToken)
    assert isinstance(await verifier.verify_token(OPAQUE), AccessToken)
    current = current.model_copy(update={"callers": {}, "identity": {}})
    assert await verifier.verify_token(token()) is Refusal.INVALID
    assert await verifier.verify_token(OPAQUE) is Refusal.INVALID


async def test_token_of_nobody_is_a_log_line(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "roadster_server")
    assert await status_with(issuer.url, "without-two-dots") == 401
    (line,) = [vars(record) for record in caplog.records if record.message == "jwt refused"]
    assert line["reason"] == "it is no token of the configuration, and no JWT"


@pytest.mark.parametrize(("function", "bearer"), [("identity_of", "opaque"), ("decode", "jwt")])
async def test_verifier_with_a_defect_lets_nobody_in(
    function: str, bearer: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("text that may quote a token")

    monkeypatch.setattr(tokens if function == "identity_of" else jwt, function, fail)
    assert await status_with(issuer.url, OPAQUE if bearer == "opaque" else token()) == 401
    assert "crash" in caplog.messages
    assert "quote a token" not in caplog.text

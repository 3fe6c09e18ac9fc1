"""Revoked tokens and people: who is refused, and what holds while the store does not answer."""

from __future__ import annotations

import logging
import time
from typing import Any

import anyio
import httpx2
import pytest

from roadster_server.identity import revocations as module
from roadster_server.identity.revocations import Revocations, digest_of
from roadster_server.identity.tokens import Identity, Refusal, TokenVerifier
from roadster_server.settings.live import LiveSettings
from roadster_server.store import RevokedSubjects, StoreError
from tests.conftest import settings_for
from tests.server.transports.listening import listening
from tests.server.transports.test_streams import KINDS, end_of, stream_of
from tests.servers import PATIENCE

from .issuers import OPAQUE, OTHER_SUBJECT, SUBJECT, Issuer, issuer_settings, token

pytestmark = pytest.mark.anyio

PERSON = f"login:{SUBJECT}"


class RevokedByHand:
    """What a store would answer. It fails while `is_down`."""

    def __init__(self) -> None:
        self.times: dict[str, int] = {}
        self.number = 0
        self.is_down = False

    def revoke(self, subject: str, ago: float = 0) -> None:
        self.times[subject] = round((time.time() - ago) * 1000)
        self.number += 1

    async def read(self, known: int) -> RevokedSubjects:
        if self.is_down:
            raise StoreError("the database is down")
        return RevokedSubjects(self.number, dict(self.times) if self.number > known else {})


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> RevokedByHand:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.01)
    return RevokedByHand()


async def verify(issuer: Issuer, by_hand: RevokedByHand, bearer: str) -> Identity | Refusal:
    revocations = Revocations(by_hand.read)
    verifier = TokenVerifier(lambda: issuer_settings(issuer.url), revocations=revocations)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(revocations.follow)
        answer = await verifier.verify_token(bearer)
        tasks.cancel_scope.cancel()
    return answer


@pytest.mark.parametrize(
    ("subject", "ago", "claims", "is_refused"),
    [
        (PERSON, 0, {}, True),
        (PERSON, 100, {"iat": -200}, True),
        (PERSON, 100, {"iat": -90}, True),
        (PERSON, 100, {"iat": 0}, False),
        (PERSON, 100, {"iat": ...}, True),
        (PERSON, 25 * 3600, {"iat": ...}, False),
        (f"login:{OTHER_SUBJECT}", 0, {}, False),
        (SUBJECT, 0, {}, False),
        ("machine", 0, {}, False),
    ],
)
async def test_person_is_refused_with_what_may_have_been_issued_before(
    subject: str, ago: float, claims: dict[str, Any], is_refused: bool, issuer: Issuer, by_hand: RevokedByHand
) -> None:
    """A token says when it was issued, give or take 30 seconds. One that does not may live for 24 hours."""
    by_hand.revoke(subject, ago)
    # The tests are collected long before some of them run.
    claims = {name: value if value is ... else time.time() + value for name, value in claims.items()}
    answer = await verify(issuer, by_hand, token(**claims))
    assert (answer is Refusal.INVALID) == is_refused


async def test_opaque_token_is_refused(
    issuer: Issuer, by_hand: RevokedByHand, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "roadster_server")
    assert isinstance(await verify(issuer, by_hand, OPAQUE), Identity)
    by_hand.revoke(digest_of(OPAQUE), ago=10**6)
    assert await verify(issuer, by_hand, OPAQUE) is Refusal.INVALID
    (refusal,) = [record for record in caplog.records if record.message == "token refused"]
    assert vars(refusal)["reason"] == "it is revoked"
    assert OPAQUE not in caplog.text


async def test_no_token_is_good_before_the_list_is_read(
    issuer: Issuer, by_hand: RevokedByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand.is_down = True
    monkeypatch.setattr(module, "_START_SECONDS", 0.05)
    assert await verify(issuer, by_hand, OPAQUE) is Refusal.INVALID
    assert await verify(issuer, by_hand, token()) is Refusal.INVALID


@pytest.mark.reliability(
    "the store does not answer, for tokens that were revoked", "the known ones stay refused, and the log says so once"
)
async def test_the_known_list_stays_while_the_store_does_not_answer(
    issuer: Issuer, by_hand: RevokedByHand, caplog: pytest.LogCaptureFixture
) -> None:
    by_hand.revoke(digest_of(OPAQUE))
    revocations = Revocations(by_hand.read)
    verifier = TokenVerifier(lambda: issuer_settings(issuer.url), revocations=revocations)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(revocations.follow)
        assert await verifier.verify_token(OPAQUE) is Refusal.INVALID
        by_hand.is_down = True
        with anyio.fail_after(PATIENCE):
            while "cannot be read" not in caplog.text:
                await anyio.sleep(0.01)
            await anyio.sleep(0.1)
        assert await verifier.verify_token(OPAQUE) is Refusal.INVALID
        assert isinstance(await verifier.verify_token(token()), Identity)
        by_hand.is_down = False
        by_hand.revoke(PERSON)
        with anyio.fail_after(PATIENCE):
            while await verifier.verify_token(token()) is not Refusal.INVALID:
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    assert caplog.text.count("cannot be read") == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bearer", ["opaque", "jwt"])
async def test_stream_ends_with_its_token_and_no_other(
    kind: str, bearer: str, issuer: Issuer, by_hand: RevokedByHand, store_url: str
) -> None:
    settings = issuer_settings(issuer.url).model_copy(update={"store": settings_for(store_url).store})
    live, revocations = LiveSettings(settings), Revocations(by_hand.read)
    mine, other = (OPAQUE, token()) if bearer == "opaque" else (token(), OPAQUE)
    verifier = TokenVerifier(lambda: live.current, revocations=revocations)
    async with (
        listening(live, verifier=verifier) as url,
        anyio.create_task_group() as tasks,
        httpx2.AsyncClient(timeout=PATIENCE) as http,
    ):
        tasks.start_soon(revocations.follow)
        async with stream_of(http, url, kind, mine) as stream, stream_of(http, url, kind, other):
            by_hand.revoke(digest_of(OPAQUE) if bearer == "opaque" else PERSON)
            await end_of(stream)
            async with stream_of(http, url, kind, other):
                pass
        tasks.cancel_scope.cancel()

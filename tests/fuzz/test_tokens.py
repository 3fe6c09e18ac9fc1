"""Bearer tokens: a changed one lets nobody in, or only the caller that it was signed for."""

from __future__ import annotations

from typing import Any

from anyio.from_thread import BlockingPortal
from hypothesis import given
from hypothesis import strategies as st
from mcp.server.auth.provider import AccessToken

from roadster_server.identity.tokens import Refusal, TokenVerifier
from tests.server.identity.conftest import issuer, issuer_server
from tests.server.identity.issuers import ALGORITHM_OF, OPAQUE, SUBJECT, Issuer, claims, hs256, issuer_settings, token

from .conftest import Watch, fuzzing
from .inputs import changed, changed_values

__all__ = ["issuer", "issuer_server"]


def _good() -> list[str]:
    return [token(key) for key in ("rsa", "ec", "ed")]


def _forged(key: str, header: Any, payload: Any) -> str:
    """Returns a token with any header and any claims, signed with the key."""
    header = header if isinstance(header, dict) else {"alg": header}
    return token(key, alg=ALGORITHM_OF[key], header=header, payload=payload)


def _bearers() -> st.SearchStrategy[str]:
    forged = st.builds(
        _forged,
        st.sampled_from(["rsa", "ec", "ed", "p384", "weak", "strange"]),
        changed_values({"alg": "RS256", "kid": "rsa", "typ": "JWT"}),
        changed_values(claims()),
    )
    seeds = [bearer.encode() for bearer in [*_good(), OPAQUE, hs256(b"secret")]]
    return changed(seeds).map(lambda raw: raw.decode("latin-1")) | forged | st.text(max_size=100)


def test_token_of_any_kind_is_a_callers_or_nobodys(portal: BlockingPortal, watch: Watch, issuer: Issuer) -> None:
    """Its tokens are made when it runs: they live five minutes, and other tests may run for longer before it."""
    settings = issuer_settings(issuer.url)
    verifier = TokenVerifier(lambda: settings)
    for bearer in _good():
        assert isinstance(portal.call(verifier.verify_token, bearer), AccessToken)

    @fuzzing
    @given(_bearers())
    def show(bearer: str) -> None:
        identity = portal.call(verifier.verify_token, bearer)
        assert isinstance(identity, Refusal) or identity.client_id in {"machine", f"login:{SUBJECT}"}
        watch.after_input()

    watch.run(show)

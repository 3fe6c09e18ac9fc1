"""`[callers.NAME.jwt]`: a caller with a JWT, and the mistakes that stop the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.loading import load
from roadster_server.settings.sections import Settings
from tests.conftest import CONFIG
from tests.server.transports.issuers import ISSUER, RESOURCE, SUBJECT

JWT = f"""
[callers.machine.jwt]
issuer = "{ISSUER}"
audience = "{RESOURCE}"
jwks_url = "https://login.example.com/keys?tenant=7"
subject = "{SUBJECT}"
"""
TWIN = JWT.replace("machine", "twin").replace(RESOURCE, "other")
HTTP = f'\n[http]\nresource_url = "{RESOURCE}"\n'


def load_with(more: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("STORE_URL", "sqlite:////nowhere/store.db")
    monkeypatch.setenv("ROADSTER_API_KEY", "the-api-key")
    monkeypatch.setenv("UMAZDA_LINK_KEY", "k" * 32)
    path = folder / "roadster.toml"
    path.write_text(
        CONFIG.format(base_url="https://api.roadster.com/v1", sales_token="a" * 64, reader_token="b" * 64) + more
    )
    return load(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [("", ""), ("https://login.example.com/keys", "http://localhost:8/k"), (RESOURCE, "http://[::1]:8000/mcp")],
)
def test_caller_may_have_a_jwt(old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_with((JWT + HTTP).replace(old, new) if old else JWT + HTTP, tmp_path, monkeypatch)
    assert settings.callers["machine"].jwt is not None
    assert settings.callers["machine"].jwt.subject == SUBJECT
    assert settings.callers["reader"].jwt is None


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (JWT, "http.resource_url: is missing, and callers.machine has jwt; add the public URL of /mcp"),
        (JWT + HTTP + TWIN, "callers.twin.jwt: the same issuer and subject as callers.machine; give each its own"),
        *(
            ("\n".join(line for line in JWT.splitlines() if not line.startswith(key)) + HTTP, f"jwt.{key}: is missing")
            for key in ("issuer", "audience", "jwks_url", "subject")
        ),
        (JWT.replace(ISSUER + '"', '"', 1) + HTTP, "jwt.issuer: "),
        (JWT.replace(f'subject = "{SUBJECT}"', 'subject = ""') + HTTP, "jwt.subject: "),
        (JWT.replace(f'audience = "{RESOURCE}"', 'audience = ""') + HTTP, "jwt.audience: "),
        (JWT + "leeway = 3\n" + HTTP, "jwt.leeway: unknown key"),
        *(
            (JWT.replace("https://login.example.com/keys", url) + HTTP, "jwt.jwks_url: ")
            for url in (
                "http://login.example.com/keys",
                "http://127.0.0.1.evil.example/keys",
                "http://127.0.0.1@evil.example/keys",
                "http://10.0.0.7/keys",
                "https://me:secret@login.example.com/keys",
                "https:login.example.com/keys",
                "https://",
                "https://login.example.com:99999/",
                "https://login example.com/",
                "file:///etc/passwd",
                "login.example.com/keys",
            )
        ),
        *(
            (JWT + HTTP.replace(RESOURCE, url), "http.resource_url: ")
            for url in ("http://mcp.example.com/mcp", "https://mcp.example.com/mcp#x", "mcp.example.com", "")
        ),
    ],
)
def test_mistake_of_a_jwt_stops_the_start(
    more: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match=r".") as error:
        load_with(more, tmp_path, monkeypatch)
    assert any(problem in line for line in error.value.problems), error.value.problems
    assert "secret@" not in str(error.value)

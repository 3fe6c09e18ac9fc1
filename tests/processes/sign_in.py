"""A real OpenID provider (npm's oidc-provider), a server that trusts it, and a person who signs in on its pages."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx2
import pytest

from roadster_sandbox import API_KEY
from tests.conftest import PROJECT
from tests.servers import PATIENCE, free_port, serving

FOLDER = Path(__file__).parent / "oauth"
CALLBACK = "http://127.0.0.1:8765/callback"
"""The redirect URI of all clients. Nothing listens there: the person's browser stops at it."""
DOCUMENT = "https://client.example.com/oauth/client.json"
"""The URL of a client id metadata document, which the provider knows."""
_PAGES = 12
"""The most pages that the browser opens for one sign-in."""

_NODE = 22
"""The provider needs this version. npm has it for most machines."""
_CONFIG = """
[roadster]
base_url = "{upstream}/v1"
api_key = "env:ROADSTER_API_KEY"
[store]
url = "sqlite:///{folder}/store.db"
[http]
resource_url = "{url}"
[dealers.umazda]
partner_id = "51101"
[roles.sales]
access = {{ dealers = "read", inventory = "read" }}
console = true
[roles.robot]
access = {{ dealers = "read" }}
[identity.work]
issuer = "{issuer}"
audiences = ["{url}"]
client_id = "pages"
client_secret = "env:PAGES_SECRET"
[[identity.work.people]]
match = {{ sub = "steve" }}
role = "sales"
dealers = ["umazda"]
[[identity.work.people]]
match = {{ sub = "robot" }}
role = "robot"
dealers = ["umazda"]
"""


def require_packages() -> None:
    """Skips where the provider is not installed. It fails in CI where it could be."""
    if (FOLDER / "node_modules" / ".installed").exists():
        node = subprocess.run(["node", "--version"], env=path(), capture_output=True, text=True, check=False)
        if node.returncode or int(node.stdout[1:].partition(".")[0]) < _NODE:
            pytest.skip(f"no Node {_NODE} for this machine")
        return
    reason = f"no {(FOLDER / 'node_modules').relative_to(PROJECT)}: make oauth, which needs npm"
    if os.environ.get("CI") and shutil.which("npm"):
        pytest.fail(reason)
    pytest.skip(reason)


def path() -> dict[str, str]:
    """Returns an environment whose Node is the one of the lock."""
    return {"PATH": os.pathsep.join([str(FOLDER / "node_modules" / ".bin"), os.environ["PATH"]])}


@dataclass(frozen=True)
class SignIn:
    """The URL of a server, and the issuer of its people's tokens."""

    url: str
    issuer: str

    async def earlier_tokens(self, person: str, scope: str) -> dict[str, Any]:
        """Returns the tokens that a client got before, as the body of the provider's answer."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        client = {"client_id": "earlier-client", "redirect_uri": CALLBACK, "resource": self.url}
        asked = {"response_type": "code", "scope": scope, "code_challenge": challenge, "code_challenge_method": "S256"}
        callback = await browse(f"{self.issuer}/auth?{urlencode({**client, **asked})}", person)
        form = {**client, "grant_type": "authorization_code", "code": callback["code"], "code_verifier": verifier}
        async with httpx2.AsyncClient(timeout=PATIENCE) as http:
            response = await http.post(f"{self.issuer}/token", data=form)
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.json()
        return tokens


@contextmanager
def signing_in(folder: Path, upstream: str) -> Iterator[SignIn]:
    """Runs a provider, and a server with the provider's people."""
    issuer, port = f"http://127.0.0.1:{free_port()}", free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    config = folder / "roadster.toml"
    config.write_text(_CONFIG.format(upstream=upstream, folder=folder, url=url, issuer=issuer))
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    provider = ("node", str(FOLDER / "provider.js"))
    with (
        serving(issuer, url=f"{issuer}/.well-known/openid-configuration", command=provider, **path()),
        serving(*command, url=f"http://127.0.0.1:{port}/readyz", ROADSTER_API_KEY=API_KEY, PAGES_SECRET="pages-secret"),
    ):
        yield SignIn(url, issuer)


async def browse(url: str, person: str) -> dict[str, str]:
    """Opens a page of the provider, signs in and consents. Returns the query of the callback at the end."""
    async with httpx2.AsyncClient(timeout=PATIENCE, follow_redirects=False) as http:
        response = await http.get(url)
        for _ in range(_PAGES):
            if response.is_redirect:
                url = urljoin(url, response.headers["location"])
                if url.startswith(CALLBACK):
                    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
                response = await http.get(url)
                continue
            assert response.status_code == 200, response.text
            (form,) = re.findall(r'<form[^>]* action="([^"]+)"', response.text)
            (prompt,) = re.findall(r'name="prompt" value="(\w+)"', response.text)
            data = {"prompt": prompt} | ({"login": person, "password": "any"} if prompt == "login" else {})
            url = urljoin(url, unescape(form))
            response = await http.post(url, data=data)
    raise AssertionError("the sign-in does not end")


def claims_of(token: str) -> dict[str, Any]:
    """Returns the claims of a JWT, which nobody has checked."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims

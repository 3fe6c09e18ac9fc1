"""An identity provider with one person, who agrees at once. What it says can be changed, to see what is refused."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.server.identity.issuers import jwk, token

CLIENT, SECRET = "roadster-pages", "made-up-secret"


@dataclass
class Provider:
    """The provider. `id_token` changes claims of the ID token, and `answer` the query of the way back."""

    url: str = ""
    id_token: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    user_info: dict[str, Any] = field(default_factory=dict)
    key: str = "rsa"
    requests: list[str] = field(default_factory=list)
    metadata_requests: int = 0
    queries: dict[str, dict[str, str]] = field(default_factory=dict)
    """The query of the way to the provider, by the code that it got. A code is good once."""

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._metadata),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/jwks", self._jwks),
                Route("/userinfo", self._user_info),
            ]
        )

    async def _metadata(self, _request: Request) -> Response:
        self.metadata_requests += 1
        endpoints = {name: f"{self.url}/{path}" for name, path in ENDPOINTS.items()}
        return JSONResponse({"issuer": self.url, **endpoints, **self.metadata})

    async def _authorize(self, request: Request) -> Response:
        query = dict(request.query_params)
        code = f"code-{len(self.queries)}"
        self.queries[code] = query
        answer = {"code": code, "state": query["state"], "iss": self.url, **self.answer}
        changed = urlencode({name: value for name, value in answer.items() if value is not ...})
        return RedirectResponse(f"{query['redirect_uri']}?{changed}", 303)

    async def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        is_client = request.headers.get("authorization") == f"Basic {basic}" or form.get("client_secret") == SECRET
        self.requests.append("basic" if "authorization" in request.headers else "post")
        query = self.queries.pop(form["code"], {})
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        if not is_client or form["redirect_uri"] != query.get("redirect_uri"):
            return JSONResponse({"error": "invalid_client"}, 401)
        if query["code_challenge"] != challenge.decode() or query["code_challenge_method"] != "S256":
            return JSONResponse({"error": "invalid_grant"}, 400)
        claims = {"iss": self.url, "aud": CLIENT, "nonce": query["nonce"], "scope": ..., "sub": "steve"}
        id_token = token(self.key, header=self.header, **{**claims, **self.id_token})
        return JSONResponse({"access_token": "made-up", "token_type": "Bearer", "id_token": id_token})

    async def _jwks(self, _request: Request) -> Response:
        return JSONResponse({"keys": [jwk("rsa"), jwk("ec")]})

    async def _user_info(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer made-up"
        self.requests.append("userinfo")
        return JSONResponse({"sub": "steve", **self.user_info})


ENDPOINTS = {
    "authorization_endpoint": "authorize",
    "token_endpoint": "token",
    "jwks_uri": "jwks",
    "userinfo_endpoint": "userinfo",
}


@contextmanager
def running_provider() -> Iterator[Provider]:
    """Serves the provider in a thread."""
    provider = Provider()
    config = uvicorn.Config(provider.app(), port=0, lifespan="off", log_config=None, access_log=False)
    listener = config.bind_socket()
    provider.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join(10)

"""Official clients sign people in from a bare URL, with a real OpenID provider: from the 401 to a call and beyond."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio
import httpx2
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from tests.conftest import answer_of
from tests.servers import PATIENCE

from .sign_in import CALLBACK, DOCUMENT, FOLDER, SignIn, browse, claims_of, path, require_packages, signing_in

pytestmark = pytest.mark.anyio
PRM = "GET /.well-known/oauth-protected-resource/mcp"
METADATA = "GET /.well-known/oauth-authorization-server"
CODE, REFRESH = "POST /token authorization_code", "POST /token refresh_token"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, upstream: str) -> Iterator[SignIn]:
    require_packages()
    with signing_in(tmp_path_factory.mktemp("sign-in"), upstream) as site:
        yield site


class Storage:
    """What a client keeps between its runs."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Person:
    """A person with the Python SDK's client. `pages` has the query of each sign-in, `requests` all requests."""

    def __init__(self, site: SignIn, name: str, storage: Storage, document: str | None = None) -> None:
        self._site = site
        self._name = name
        self._callback: dict[str, str] = {}
        self.pages: list[dict[str, str]] = []
        self.requests: list[str] = []
        metadata = OAuthClientMetadata(
            client_name="a Python client", redirect_uris=[AnyUrl(CALLBACK)], token_endpoint_auth_method="none"
        )
        self.auth = OAuthClientProvider(
            site.url, metadata, storage, self._open_page, self._read_callback, client_metadata_url=document
        )

    async def _open_page(self, url: str) -> None:
        self.pages.append({name: values[0] for name, values in parse_qs(urlsplit(url).query).items()})
        self._callback = await browse(url, self._name)

    async def _read_callback(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(**{name: self._callback.get(name) for name in ("code", "state", "iss")})

    @asynccontextmanager
    async def connect(self, auth: httpx2.Auth | None = None) -> AsyncIterator[Client]:
        async def record(request: httpx2.Request) -> None:
            self.requests.append(f"{request.method} {request.url.path}{grant_of(request)}")

        async with (
            httpx2.AsyncClient(auth=auth or self.auth, timeout=PATIENCE, event_hooks={"request": [record]}) as http,
            Client(streamable_http_client(self._site.url, http_client=http)) as client,
        ):
            yield client


def grant_of(request: httpx2.Request) -> str:
    grants = parse_qs(request.content.decode()).get("grant_type", []) if request.url.path == "/token" else []
    return "".join(f" {grant}" for grant in grants)


async def dealers_of(client: Client) -> list[str]:
    return [dealer["dpid"] for dealer in answer_of(await client.call_tool("list_dealers"))["dealers"]]


async def test_python_client_registers_signs_in_and_refreshes(site: SignIn) -> None:
    storage = Storage()
    person = Person(site, "steve", storage)
    async with person.connect() as client:
        assert await dealers_of(client) == ["umazda"]
        assert storage.tokens is not None
        claims = claims_of(storage.tokens.access_token)
        assert (claims["aud"], claims["sub"], claims["scope"]) == (site.url, "steve", "roadster")
        (page,) = person.pages
        assert (page["resource"], page["code_challenge_method"]) == (site.url, "S256")
        assert "roadster" in page["scope"].split()
        assert {PRM, METADATA, "POST /reg", CODE} <= set(person.requests)
        first = storage.tokens.access_token
        person.requests.clear()
        person.auth.context.token_expiry_time = 1  # as if the token's time was over
        assert await dealers_of(client) == ["umazda"]
        assert person.requests[0] == REFRESH
        assert (len(person.pages), storage.tokens.access_token != first) == (1, True)


async def test_python_client_is_known_by_its_document(site: SignIn) -> None:
    """By its client id metadata document, which the provider fetches. Nothing is registered."""
    person = Person(site, "steve", Storage(), DOCUMENT)
    async with person.connect() as client:
        assert await dealers_of(client) == ["umazda"]
    assert [page["client_id"] for page in person.pages] == [DOCUMENT]
    assert "POST /reg" not in person.requests


async def test_python_client_asks_for_the_scope_that_is_missing(site: SignIn) -> None:
    storage = Storage()
    storage.client = OAuthClientInformationFull(
        client_id="earlier-client",
        redirect_uris=[AnyUrl(CALLBACK)],
        token_endpoint_auth_method="none",
        issuer=site.issuer,
    )
    storage.tokens = OAuthToken.model_validate(await site.earlier_tokens("steve", "other"))
    person = Person(site, "steve", storage)
    async with person.connect() as client:
        assert await dealers_of(client) == ["umazda"]
    (page,) = person.pages
    assert {"other", "roadster"} <= set(page["scope"].split())
    assert set(claims_of(storage.tokens.access_token)["scope"].split()) == {"other", "roadster"}


async def test_python_client_signs_somebody_without_a_role_in_once(site: SignIn) -> None:
    """The refusal has no challenge, so that the client does not ask them again and again."""
    person = Person(site, "carlos", Storage())
    with pytest.raises(BaseExceptionGroup) as caught:
        async with person.connect() as client:
            await dealers_of(client)
    assert len(person.pages) == 1
    assert "Nobody has given this account a role" in "".join(map(str, leaves(caught.value)))


def leaves(error: BaseException) -> list[BaseException]:
    parts = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return [leaf for part in parts for leaf in leaves(part)] or [error]


async def test_python_robot_has_credentials_of_its_own(site: SignIn) -> None:
    storage = Storage()
    robot = ClientCredentialsOAuthProvider(site.url, storage, "robot", "robot-secret", issuer=site.issuer)
    person = Person(site, "nobody", storage)
    async with person.connect(robot) as client:
        assert await dealers_of(client) == ["umazda"]
    assert person.pages == []
    assert "POST /token client_credentials" in person.requests


async def run_typescript(site: SignIn, name: str = "steve", **options: Any) -> tuple[dict[str, Any], list[str]]:
    """Runs the TypeScript client. Returns what it saw, and the pages on which the person signed in."""
    pages: list[str] = []
    command = ["node", str(FOLDER / "client.js"), json.dumps({"url": site.url, "issuer": site.issuer, **options})]
    with anyio.fail_after(PATIENCE):
        async with await anyio.open_process(command, env=path(), stderr=None) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            lines = BufferedByteReceiveStream(process.stdout)
            while True:
                message: dict[str, Any] = json.loads(await lines.receive_until(b"\n", 1024 * 1024))
                if "authorize" not in message:
                    return message, pages
                pages.append(message["authorize"])
                await process.stdin.send(f"{urlencode(await browse(pages[-1], name))}\n".encode())


def dpids_of(result: dict[str, Any]) -> list[str]:
    assert "answer" in result, result
    return [dealer["dpid"] for dealer in result["answer"]["dealers"]]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_typescript_client_registers_and_signs_in(mode: str, site: SignIn) -> None:
    result, (page,) = await run_typescript(site, mode=mode)
    assert dpids_of(result) == ["umazda"]
    query = parse_qs(urlsplit(page).query)
    assert (query["resource"], query["code_challenge_method"]) == ([site.url], ["S256"])
    assert claims_of(result["tokens"]["access_token"])["aud"] == site.url
    assert {PRM, METADATA, "POST /reg", CODE} <= set(result["requests"])


async def test_typescript_client_is_known_by_its_document(site: SignIn) -> None:
    result, (page,) = await run_typescript(site, document=DOCUMENT)
    assert dpids_of(result) == ["umazda"]
    assert parse_qs(urlsplit(page).query)["client_id"] == [DOCUMENT]
    assert "POST /reg" not in result["requests"]


EARLIER = {"client_id": "earlier-client", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}


async def test_typescript_client_refreshes_a_token_that_is_refused(site: SignIn) -> None:
    tokens = await site.earlier_tokens("steve", "roadster")
    refused = {**tokens, "access_token": tokens["access_token"][:-8] + "AAAAAAAA"}
    result, pages = await run_typescript(site, tokens=refused, client=EARLIER)
    assert dpids_of(result) == ["umazda"]
    assert pages == []
    assert REFRESH in result["requests"]


async def test_typescript_client_asks_for_the_scope_that_is_missing(site: SignIn) -> None:
    tokens = await site.earlier_tokens("steve", "other")
    result, (page,) = await run_typescript(site, tokens=tokens, client=EARLIER)
    assert dpids_of(result) == ["umazda"]
    assert {"other", "roadster"} <= set(parse_qs(urlsplit(page).query)["scope"][0].split())


@pytest.mark.parametrize(("mode", "words"), [("auto", "403"), ("legacy", "Nobody has given this account a role")])
async def test_typescript_client_signs_somebody_without_a_role_in_once(mode: str, words: str, site: SignIn) -> None:
    """By protocol 2025-11-25 it shows the words of the refusal, by 2026-07-28 only the status."""
    result, pages = await run_typescript(site, "carlos", mode=mode)
    assert len(pages) == 1
    assert words in result["error"]


async def test_typescript_robot_has_credentials_of_its_own(site: SignIn) -> None:
    result, pages = await run_typescript(site, robot="robot")
    assert dpids_of(result) == ["umazda"]
    assert pages == []

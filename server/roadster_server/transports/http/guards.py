"""Guards in front of the routes: bearer tokens, scopes, hosts, the pages of browsers, and the web hooks' paths."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.streamable_http import LAST_EVENT_ID_HEADER, MCP_SESSION_ID_HEADER
from mcp_types import INVALID_REQUEST
from pydantic import AnyHttpUrl, ConfigDict, TypeAdapter, ValidationError
from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser, UnauthenticatedUser
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from roadster_client import is_loopback
from roadster_server.identity.tokens import SCOPE, Refusal, TokenVerifier, identity_of
from roadster_server.people.app import is_page
from roadster_server.settings.rights import Claims
from roadster_server.settings.settings import Settings
from roadster_server.transports.messages import MessageRefused

from .front import route_of
from .narrowing import NARROWING_HEADERS

BY_ADDRESS = ("/healthz", "/readyz", "/metrics")
"""Paths that machines ask by an address. Their answers hold nothing about a caller, a dealer or a customer."""

_REALM = "roadster-mcp"
"""A challenge needs a parameter (RFC 6750, section 3), also where there is nothing to say."""
_HTTP_PORT = 80
"""The port that browsers and clients leave out of the Host header."""


class RefusedUser(UnauthenticatedUser):
    """The sender of a token that was refused."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal


class BearerGuard(AuthenticationBackend):
    """Finds whose the token of a request is. One without any token is the anonymous caller's, where there is one.

    A request of a trusted proxy is never the anonymous caller's, unless the proxy names a client on this machine.
    """

    def __init__(self, verifier: TokenVerifier, anonymous: Callable[[], str | None]) -> None:
        self._verifier = verifier
        self._anonymous = anonymous

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        name = self._anonymous()
        is_here = conn.client is not None and is_loopback(conn.client.host)
        authorization = conn.headers.get("authorization")
        if name is not None and is_here and authorization is None:
            return _user(identity_of(name))
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        identity = await self._verifier.verify_token(token)
        return (AuthCredentials(), RefusedUser(identity)) if isinstance(identity, Refusal) else _user(identity)


def _user(identity: AccessToken) -> tuple[AuthCredentials, AuthenticatedUser]:
    return AuthCredentials(identity.scopes), AuthenticatedUser(identity)


def advertised_scopes(settings: Settings, claims: Claims | None = None) -> list[str]:
    """Returns the scopes that OAuth clients are told to ask for: of the provider of `claims`, or else of all."""
    name = settings.rights.provider_of(claims) if claims is not None else None
    providers = [settings.identity[name]] if name is not None else settings.identity.values()
    of_providers = (each.advertised_scopes or [each.scope] for each in providers)
    scopes = [scope for scopes in of_providers for scope in scopes if scope]
    return list(dict.fromkeys(scopes))


class ScopeGuard:
    """Lets requests pass whose token is good and has the scope. It tells the others what they lack.

    The answers are those of RFC 6750 and RFC 9728. Their challenges also name the scopes to ask for, as the MCP
    specification requires.
    """

    def __init__(self, app: ASGIApp, metadata_url: AnyHttpUrl | None, settings: Callable[[], Settings]) -> None:
        self._app = app
        self._metadata_url = metadata_url
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        user: BaseUser = scope["user"]
        is_good = isinstance(user, AuthenticatedUser) and SCOPE in scope["auth"].scopes
        await (self._app if is_good else self._refusal(user))(scope, receive, send)

    def _refusal(self, user: BaseUser) -> ASGIApp:
        match user:
            case AuthenticatedUser():
                # Another provider's scopes would be unknown to the one that the client asks again.
                scopes = advertised_scopes(self._settings(), user.access_token.claims)
                lack = "The access token lacks the scope of this server"
                return self._challenge(403, "insufficient_scope", lack, scopes)
            case RefusedUser(refusal=Refusal.NO_ROLE as refusal):
                # Without a challenge: clients answer one with another sign-in, which would end here again.
                # In JSON-RPC: clients show the words of such an error, and of no other answer.
                problem = MessageRefused(INVALID_REQUEST, refusal.value)
                return Response(problem.json(), 403, media_type="application/json")
            case RefusedUser(refusal=refusal):
                return self._challenge(401, "invalid_token", refusal.value, advertised_scopes(self._settings()))
            case _:
                ask = "Send an access token: Authorization: Bearer ..."
                return self._challenge(401, None, ask, advertised_scopes(self._settings()))

    def _challenge(self, status: int, error: str | None, description: str, scopes: list[str]) -> Response:
        """Returns a refusal. One of a request without any token has no `error` (RFC 6750, section 3.1)."""
        body = {"error": error, "error_description": description} if error else {"error_description": description}
        parameters = body if error else {"realm": _REALM}
        if self._metadata_url is not None:
            parameters = {**parameters, "resource_metadata": str(self._metadata_url)}
        if scopes:
            parameters = {**parameters, "scope": " ".join(scopes)}
        challenge = ", ".join(f'{name}="{value}"' for name, value in parameters.items())
        return JSONResponse(body, status, {"WWW-Authenticate": f"Bearer {challenge}"})


@dataclass(frozen=True)
class ResourceMetadata:
    """The document of RFC 9728, which tells OAuth clients who issues tokens for this server. It needs no token."""

    url: AnyHttpUrl
    routes: list[Route]

    @classmethod
    def from_settings(cls, settings: Settings) -> ResourceMetadata | None:
        """Returns None without a resource_url, and where no issuer is a URL by which clients could find it."""
        servers = [url for url in map(_parse_url, settings.rights.providers) if url is not None]
        resource = _parse_url(settings.http.resource_url) if settings.http.resource_url else None
        if resource is None or not servers:
            return None
        routes = create_protected_resource_routes(resource, servers, scopes_supported=advertised_scopes(settings))
        return cls(
            build_resource_metadata_url(resource),
            [Route(route.path.removesuffix("/"), route.endpoint, methods=route.methods) for route in routes],
        )


# Issuers are compared as strings: https://issuer.example must not become https://issuer.example/.
_AS_WRITTEN = TypeAdapter(AnyHttpUrl, config=ConfigDict(url_preserve_empty_path=True))


def _parse_url(text: str) -> AnyHttpUrl | None:
    try:
        return _AS_WRITTEN.validate_python(text)
    except ValidationError:
        return None


class WebhookPaths:
    """Hands web hooks to their receivers, past the Host guard and the tokens: their senders have keys of their own.

    The Host guard stops web pages that make a browser call this server under their own name. Such a page has no key.
    A sender's host that is missing from `allowed_hosts`, however, would lose events, and nobody would notice.
    """

    def __init__(self, app: ASGIApp, receivers: Mapping[str, ASGIApp]) -> None:
        self._app = app
        self._receivers = receivers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._receivers.get(route_of(scope), self._app) if scope["type"] == "http" else self._app
        await app(scope, receive, send)


class PeoplePaths:
    """Hands requests for the pages to their application. A browser shows a cookie there, and no token."""

    def __init__(self, app: ASGIApp, people: ASGIApp) -> None:
        self._app = app
        self._people = people

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_for_people = scope["type"] == "http" and is_page(route_of(scope))
        await (self._people if is_for_people else self._app)(scope, receive, send)


@dataclass(frozen=True)
class HostRules:
    """The hosts and origins that may connect, in small letters."""

    hosts: frozenset[str]
    origins: frozenset[str]


class HostGuard:
    """Refuses foreign Host and Origin headers, on every address that the server listens on.

    It also tells browsers that pages of the other origins may call the server and read all of its answers, refusals as
    well. A browser asks that in advance and without a token, in a preflight. The paths of `BY_ADDRESS` are exempt.

    The pages for people are for this server's own origin only, whatever origins may call the server. They check that
    themselves.
    """

    def __init__(self, app: ASGIApp, rules: Callable[[], HostRules]) -> None:
        self._app = app
        self._rules = rules
        self._pages = _PageAnswers(app)
        self._foreign_host = _PageAnswers(PlainTextResponse("Invalid Host header", 421))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or route_of(scope) in BY_ADDRESS:
            await self._app(scope, receive, send)
            return
        headers, rules = Headers(scope=scope), self._rules()
        if is_page(route_of(scope)):
            is_ours = _plain_host(headers.get("host", "")) in rules.hosts
            await (self._app if is_ours else self._foreign_host.app)(scope, receive, send)
            return
        origin = headers.get("origin")
        is_foreign_origin = origin is not None and origin.lower() not in rules.origins
        if _plain_host(headers.get("host", "")) not in rules.hosts:
            if is_foreign_origin:
                await self._foreign_host.app(scope, receive, send)
            else:
                await self._foreign_host.simple_response(scope, receive, send, request_headers=headers)
        elif is_foreign_origin:
            await PlainTextResponse("Invalid Origin header", 403)(scope, receive, send)
        else:
            await self._pages(scope, receive, send)


class _PageAnswers(CORSMiddleware):
    """Starlette's answers to browsers, for pages of origins that the guard has let in."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            app,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=_REQUEST_HEADERS,
            allow_private_network=True,
            expose_headers=_ANSWER_HEADERS,
        )

    def is_allowed_origin(self, origin: str) -> bool:
        del origin  # the guard has looked at it
        return True

    def preflight_response(self, request_headers: Headers) -> Response:
        """Also allows protocol 2026-07-28's headers, whose names come from the tools: Mcp-Param-NAME."""
        headers = dict(request_headers)
        names = headers.pop(_PREFLIGHT_HEADERS, "").replace(" ", "").lower().split(",")
        own_names = [name for name in names if name.startswith("mcp-")]
        other_names = [name for name in names if name and name not in own_names]
        if other_names:
            headers[_PREFLIGHT_HEADERS] = ",".join(other_names)
        response = super().preflight_response(Headers(headers))
        allowed = response.headers[_ALLOWED_HEADERS]
        response.headers[_ALLOWED_HEADERS] = ", ".join([allowed, *own_names])
        return response


_REQUEST_HEADERS = ("Authorization", "Content-Type", LAST_EVENT_ID_HEADER, *NARROWING_HEADERS)
_ANSWER_HEADERS = (MCP_SESSION_ID_HEADER, "WWW-Authenticate")


_PREFLIGHT_HEADERS = "access-control-request-headers"
_ALLOWED_HEADERS = "access-control-allow-headers"


def _plain_host(host: str) -> str:
    """Returns the host in small letters, and without the dot that ends a full domain name."""
    return re.sub(r"\.(?=(:\d+)?$)", "", host.lower(), count=1)


def live_host_rules(current: Callable[[], Settings], port: int) -> Callable[[], HostRules]:
    """Returns a function that returns the rules of the settings in force. It makes them once for each loading."""
    settings = current()
    rules = host_rules(settings, port)

    def rules_in_force() -> HostRules:
        nonlocal settings, rules
        if current() is not settings:
            settings = current()
            rules = host_rules(settings, port)
        return rules

    return rules_in_force


def host_rules(settings: Settings, port: int) -> HostRules:
    """Returns the hosts and origins that may connect: this machine's own names, and those of the configuration."""
    names = ("127.0.0.1", "localhost", "[::1]")
    local = [f"{name}:{port}" for name in names] + ([*names] if port == _HTTP_PORT else [])
    return HostRules(
        frozenset(host.lower() for host in [*local, *settings.http.allowed_hosts]),
        frozenset(origin.lower() for origin in [*(f"http://{name}" for name in local), *settings.http.allowed_origins]),
    )

"""The cookies of a browser, and the tokens by which forms prove that they come from a page of ours.

Every browser gets a random text in a cookie with its first page. A form's token is bound to it, and to the session of
who signed in, so it is good in no other browser and for no other session. A page of another site can neither read the
cookie nor the token. See docs/decisions/0190.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import Scope

from roadster_client import is_loopback

_FORM_TOKEN_CHARACTERS = 64
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Cookies:
    """The cookies of one request, and those that its answer sets.

    They are `Secure` and `HttpOnly`, and no other site's form or script sends them. A link of another site does: people
    come from chats. On a loopback address without TLS they cannot be `Secure`, and their names have the port: browsers
    give a host's cookies to all of its ports.
    """

    def __init__(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = urlsplit(f"//{headers.get('host', '')}")
        self._is_secure = scope.get("scheme") == "https" or not is_loopback(host.hostname or "")
        self._prefix = "__Secure-roadster-" if self._is_secure else f"roadster-{host.port or 80}-"
        self._path = f"{scope.get('root_path', '')}/people"
        self._values: dict[str, str] = HTTPConnection(scope).cookies
        self._changes: dict[str, tuple[str, int | None]] = {}

    def get(self, name: str) -> str | None:
        return self._values.get(self._prefix + name)

    def put(self, name: str, value: str, *, seconds: int | None = None) -> None:
        """Sets a cookie to a text of letters, digits, /, - and _. Without `seconds` it ends with the browser."""
        self._changes[name] = value, seconds

    def remove(self, name: str) -> None:
        self._changes[name] = "", 0

    def write(self, headers: MutableHeaders) -> None:
        """Adds what has changed to the headers of an answer."""
        for name, (value, seconds) in self._changes.items():
            parts = [f"{self._prefix}{name}={value}", f"Path={self._path}", "HttpOnly", "SameSite=Lax"]
            if self._is_secure:
                parts.append("Secure")
            if seconds is not None:
                parts.append(f"Max-Age={seconds}")
            headers.append("set-cookie", "; ".join(parts))


def cookies_of(request: HTTPConnection) -> Cookies:
    """Returns the cookies of a request to a page, always the same object for one request."""
    state = request.scope.setdefault("state", {})
    if "people_cookies" not in state:
        state["people_cookies"] = Cookies(request.scope)
    cookies: Cookies = state["people_cookies"]
    return cookies


def digest_of_session(request: HTTPConnection) -> str | None:
    """Returns the digest by which the store knows the browser's session. The session may have ended."""
    secret = cookies_of(request).get("session")
    return None if secret is None else hashlib.sha256(secret.encode()).hexdigest()


def form_token(request: HTTPConnection, key: bytes) -> str:
    """Returns the token for the forms of a page. It gives the browser its cookie where it has none."""
    cookies = cookies_of(request)
    browser = cookies.get("browser") or request.scope["state"].get("people_browser")
    if browser is None:
        browser = request.scope["state"]["people_browser"] = secrets.token_urlsafe(32)
        cookies.put("browser", browser)
    return _token(key, browser, digest_of_session(request))


def is_form_token(request: HTTPConnection, key: bytes, token: str) -> bool:
    """Returns whether the token is one that this browser got here, in its session of now."""
    browser = cookies_of(request).get("browser")
    if browser is None or len(token) != _FORM_TOKEN_CHARACTERS:
        return False
    return hmac.compare_digest(_token(key, browser, digest_of_session(request)).encode(), token.encode())


def _token(key: bytes, browser: str, session: str | None) -> str:
    return hmac.new(key, f"form\0{browser}\0{session or ''}".encode(), "sha256").hexdigest()


def is_from_our_page(scope: Scope) -> bool:
    """Returns whether a request that changes something comes from a page of this server, as its browser says.

    A request without either header comes from no browser of these years. It is refused, too.
    """
    headers = Headers(scope=scope)
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    if origin is None:
        return site is not None
    try:
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    except ValueError:  # no browser sends an origin that is no URL
        return False

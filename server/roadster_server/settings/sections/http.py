"""The sections of what comes in over HTTP: `[http]` and `[webhooks]`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from roadster_server.settings.secrets import Secret

from .forms import HOST, ORIGIN, written_as
from .proxies import plain_prefix, proxy_address
from .section import HEADER_TEXT, HTTPS, NO_REPETITION, Section


class HttpSettings(Section):
    """`[http]`: the clients that may connect."""

    anonymous_caller: str | None = None
    """The caller of requests without a token, only while the server listens on loopback."""
    allowed_hosts: Annotated[list[Annotated[str, written_as(r"[^*/\s]+", HOST)]], NO_REPETITION] = []
    """Values of the Host header that are accepted as well as this machine's own names. Only capital letters do not
    matter."""
    allowed_origins: Annotated[list[Annotated[str, written_as(r"https?://[^*/\s]+", ORIGIN)]], NO_REPETITION] = []
    """Values of the Origin header that are accepted as well as this machine's own: pages in browsers that may call the
    server. They are compared as hosts are."""
    trusted_proxies: Annotated[list[Annotated[str, AfterValidator(proxy_address)]], NO_REPETITION] = []
    """Addresses and networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. Anyone else's are
    ignored."""
    path_prefix: Annotated[str, AfterValidator(plain_prefix)] = ""
    """The path below which a proxy serves this server, such as `/roadster`. The proxy may take it off or leave it."""
    resource_url: Annotated[str, written_as(r"[^\s?#\\]+", "a URL without blanks, ? and #"), HTTPS] | None = None
    """The public URL of `/mcp`, by which OAuth clients know this server. Required with `[identity.NAME]`.
    Links to the pages for people begin with its origin, also those of `call` and `run`."""
    connections: int = Field(default=1000, ge=1)
    """The most connections at once, and as many more for streams. Fewer if the limit of descriptors is too low."""
    connections_per_address: int = Field(default=200, ge=1)
    """The most connections from one address, or from one /64 of IPv6. Those of `trusted_proxies` count in all only."""
    keep_alive_seconds: int = Field(default=75, ge=1)
    """Seconds until a connection without a request ends. A proxy should end its own ones earlier."""


class WebhookSettings(Section):
    """`[webhooks]`: events from Roadster and Roadie. A source without a key cannot send any."""

    roadster_keys: list[Annotated[Secret, HEADER_TEXT]] = []
    """The keys that Roadster may send events with. Two of them while one replaces the other."""
    roadie_keys: list[Annotated[Secret, HEADER_TEXT]] = []
    """The keys that Roadie may send events with."""
    retention_days: int = Field(default=400, ge=1, le=36_500)
    """Days that an event is kept, counted from its arrival."""

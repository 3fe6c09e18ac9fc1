"""The sections of the upstreams: `[roadster]`, `[roadie]` and `[mykaarma]`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, AnyHttpUrl, ValidationError

from roadster_client import is_loopback
from roadster_server.settings.secrets import Secret

from .section import HEADER_TEXT, Section


def _base_url(url: str) -> str:
    try:
        parts = AnyHttpUrl(url)
    except ValidationError:
        raise ValueError("expected an http:// or https:// URL") from None
    if parts.scheme != "https" and not is_loopback((parts.host or "").strip("[]")):
        raise ValueError("expected https, so that the API key does not travel in the open; http is for loopback alone")
    if parts.username is not None or parts.query is not None or parts.fragment is not None:
        raise ValueError("expected a URL without user, query or fragment; credentials go into api_key")
    return url


class RoadsterSettings(Section):
    """`[roadster]`: the upstream API."""

    base_url: Annotated[str, AfterValidator(_base_url)] = "https://api.roadster.com/v1"
    """The URL of the API: http or https, without user, query or fragment. http is for loopback only."""
    api_key: Annotated[Secret, HEADER_TEXT]
    """The account's API key."""
    auth_scheme: Literal["Bearer", "Token", "none"] = "Bearer"
    """The word before the key in the Authorization header. `none` sends the bare key, as an older document shows it."""
    operations: dict[str, str] = {}
    """Another `METHOD /path` for an operation. The path keeps its `{parameters}`."""


class RoadieSettings(Section):
    """`[roadie]`: deliveries. Their tools are off without this section."""

    base_url: Annotated[str, AfterValidator(_base_url)] = "https://connect.roadie.com/v1"
    """The URL of the API, as for `roadster.base_url`."""
    token: Annotated[Secret, HEADER_TEXT]
    """The account's token."""


class MyKaarmaSettings(Section):
    """`[mykaarma]`: customer records. Their tool is off without this section."""

    base_url: Annotated[str, AfterValidator(_base_url)] = "https://api.mykaarma.com/customer/v2"
    """The URL of the API, as for `roadster.base_url`."""
    username: Secret
    """The account's user name."""
    password: Secret
    """The account's password."""
    requester_user_uuid: str
    """The user in whose name records are requested, as myKaarma identifies them."""

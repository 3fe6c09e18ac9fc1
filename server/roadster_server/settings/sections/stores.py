"""The sections of what the server keeps: `[store]`, `[inventory]` and `[replicas]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo

from roadster_server.settings.secrets import UNREVEALED, Secret, reveal
from roadster_server.store import default_url

from .section import Section


def _store_url(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    if info.context == UNREVEALED:
        return SecretStr("sqlite://")
    if value.startswith(("sqlite:///", "postgresql://")):
        parts = urlsplit(value)
        if parts.password is not None or "password" in parse_qs(parts.query):
            raise ValueError("the URL holds a password; name the whole URL as a secret, for instance env:STORE_URL")
        return SecretStr(_expand_home(value))
    return SecretStr(reveal(value, info.context or {}))


def _expand_home(url: str) -> str:
    """Replaces the `~` in the path of a SQLite file by the user's home folder."""
    if not url.startswith("sqlite:///~/"):
        return url
    try:
        return f"sqlite:///{Path(url.removeprefix('sqlite:///')).expanduser().as_posix()}"
    except RuntimeError:
        raise ValueError("there is no home folder; write the path without ~") from None


class StoreSettings(Section):
    """`[store]`: the database of the audit, the events and the idempotency keys."""

    url: Annotated[SecretStr, BeforeValidator(_store_url)] = Field(default_factory=lambda: SecretStr(default_url()))
    """`sqlite:///PATH` (an absolute path makes four slashes) or `postgresql://…`, with a password only as a secret.
    `sqlite:///~/PATH` is below your home folder. The default is a file in your state folder."""
    refuse_unrecorded_reads: bool = False
    """`true` refuses a read while its audit record cannot be stored. A write is always refused then."""


class InventorySettings(Section):
    """`[inventory]`: the dealers' vehicles, which are kept in the store for `list_inventory`."""

    fresh_for: int = Field(default=60, ge=0, le=86_400)
    """Seconds. A search whose vehicles are older first asks Roadster for what has changed, and a quote for the stock of
    its vehicle. `0` keeps no vehicles: each search reads the feed."""


def _redis_url(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("redis://", "rediss://")):
        raise ValueError("expected a redis:// or rediss:// URL")
    return url


class ReplicasSettings(Section):
    """`[replicas]`: the Redis through which several processes share limits, circuit state and update notifications."""

    redis_url: Annotated[Secret, AfterValidator(_redis_url)]
    """The Redis: `redis://` or `rediss://`."""

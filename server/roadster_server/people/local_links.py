"""One-time links by which somebody at this machine signs in: `roadster-mcp people open` prints them.

A link is sealed with the configuration's own key, so only who can read the configuration's secrets can make one. The
command needs neither the store nor the server for it.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from roadster_server.store.records import CLOCKS_DIFFER
from roadster_tools import Seal, Unsealable

LIFETIME = timedelta(minutes=5)
"""For a person to open the link, and to press the button there."""


@dataclass(frozen=True)
class LocalLink:
    """The content of a link: as whom it signs in, until when, and a text that makes it good once."""

    caller: str
    nonce: str
    until: datetime


def make_local_key(key: bytes, caller: str, now: datetime) -> str:
    """Returns the sealed part of a new link."""
    content = {"caller": caller, "nonce": secrets.token_hex(16), "until": (now + LIFETIME).timestamp()}
    return _seal(key).seal(json.dumps(content))


def read_local_key(key: bytes, link: str, now: datetime) -> LocalLink | None:
    """Returns what a link says. None for one that this configuration did not make, and for one that is too old."""
    try:
        content = json.loads(_seal(key).open(link))
    except Unsealable:
        return None
    until = datetime.fromtimestamp(content["until"], UTC)
    if not now <= until <= now + LIFETIME + CLOCKS_DIFFER:
        return None
    return LocalLink(content["caller"], content["nonce"], until)


def _seal(key: bytes) -> Seal:
    return Seal.bound_to(key, "local link")

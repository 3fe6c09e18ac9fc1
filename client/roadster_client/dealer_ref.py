"""A dealer as the client knows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

KeyEncoding = Literal["raw", "base64"]
"""How the key of a storefront's links is written."""


@dataclass(frozen=True)
class DealerRef:
    """One dealer's ids at the upstreams, and what its storefront's links need. Its repr leaves the keys out."""

    dpid: str
    partner_id: str | None = None
    express_host: str | None = None
    link_key: str | None = field(default=None, repr=False)
    link_key_encoding: KeyEncoding = "raw"
    api_key: str | None = field(default=None, repr=False)
    """The key of the dealer's own account. None is the upstream's key."""
    orders: Literal["any"] | frozenset[str] = frozenset()
    """Orders that the configuration gives to this dealer."""
    mykaarma_dealer_uuid: str | None = None
    mykaarma_dealer_id: int | None = None
    """The number by which myKaarma's answers name the dealer."""
    configured_ids: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
    """The ids of all dealers of the configuration, as `comparable_id` writes them. No answer may name another one."""

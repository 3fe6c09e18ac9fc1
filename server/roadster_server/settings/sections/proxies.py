"""Values of the settings about proxies, checked."""

from __future__ import annotations

import ipaddress
import re


def proxy_address(text: str) -> str:
    """Returns an address or a network as it is. Raises ValueError."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise ValueError("expected an IP address, or a network such as 10.0.0.0/8 without bits behind it") from None
    if network.prefixlen == 0:
        raise ValueError("names every address there is; name the proxies, else any client could pose as another")
    return text


def plain_prefix(text: str) -> str:
    """Returns a path prefix without a slash at its end. Raises ValueError."""
    prefix = text.removesuffix("/")
    if re.fullmatch(r"(/(?!\.+(/|$))[A-Za-z0-9._~-]+)*", prefix) is None:
        raise ValueError("expected a path such as /roadster, of letters, digits, and . _ ~ -")
    return prefix

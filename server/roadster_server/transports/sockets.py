"""Taking a port, and saying plainly when it cannot be had."""

from __future__ import annotations

import socket

from roadster_server.settings.errors import ConfigurationError


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ConfigurationError."""
    try:
        bound = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigurationError(
            [f"cannot listen on {host} port {port} ({error.strerror}); choose another --host or --port"]
        ) from None
    # Connections inherit it. Without it the kernel holds the body of an answer back until its head was acknowledged,
    # about 40 ms; asyncio sets it by itself only on sockets that it has made.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bound


def require_free(host: str, port: int) -> None:
    """Raises ConfigurationError where the port is taken."""
    listen(host, port).close()

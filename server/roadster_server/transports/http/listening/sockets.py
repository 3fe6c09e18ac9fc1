"""Taking a port, with a plain message where it is not free."""

from __future__ import annotations

import socket

from roadster_server.settings.errors import ConfigurationError


def listen(host: str, port: int) -> socket.socket:
    """Returns a listening socket. Port 0 takes a free one. Raises ConfigurationError."""
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigurationError(
            [f"cannot listen on {host} port {port} ({error.strerror}); choose another --host or --port"]
        ) from None
    # Connections inherit it. Without it the kernel holds back the body of an answer until the client has acknowledged
    # its head, about 40 ms. asyncio sets it only on sockets of its own.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def require_free(host: str, port: int) -> None:
    """Raises ConfigurationError where the port is taken."""
    listen(host, port).close()

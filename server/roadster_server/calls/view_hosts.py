"""Hosts that show views.

They say so by the extension MCP Apps. It needs no SDK to know them.
"""

from __future__ import annotations

from typing import Any

EXTENSION = "io.modelcontextprotocol/ui"
MIME_TYPE = "text/html;profile=mcp-app"


def shows_views(extensions: Any) -> bool:
    """Returns whether the client's capability `extensions` says that its host shows views."""
    match extensions:
        case {"io.modelcontextprotocol/ui": {"mimeTypes": [*mime_types]}}:
            return MIME_TYPE in mime_types
    return False

"""The views: pages that a host shows beside an answer, after the extension MCP Apps. It needs no SDK.

A view is one HTML document, the same for every caller, and it has nothing of a dealer in it. The host gives it the
answer of its tool. `views/` has the sources, and `make views` writes the documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from roadster_tools import TOOLS, Caller, verdict

EXTENSION = "io.modelcontextprotocol/ui"
MIME_TYPE = "text/html;profile=mcp-app"

VIEW_META: Mapping[str, Any] = {"ui": {"csp": {}, "prefersBorder": False}}
"""Beside the document: the frame may load nothing from any host, and draws its own border."""


@dataclass(frozen=True)
class View:
    """One view, and the tool whose answers it shows."""

    uri: str
    tool_name: str
    file_name: str

    @property
    def document(self) -> str:
        return _document(self.file_name)


VIEWS = (
    View("ui://roadster/quote", "quote_payments", "quote.html"),
    View("ui://roadster/inventory", "list_inventory", "inventory.html"),
)

_TOOL_META: Mapping[str, dict[str, Any]] = {
    # Hosts of before January 2026 read the flat key.
    view.tool_name: {"ui": {"resourceUri": view.uri}, "ui/resourceUri": view.uri}
    for view in VIEWS
}


def shows_views(extensions: Any) -> bool:
    """Returns whether the client's capability `extensions` says that its host shows views."""
    match extensions:
        case {"io.modelcontextprotocol/ui": {"mimeTypes": [*mime_types]}}:
            return MIME_TYPE in mime_types
    return False


def tool_meta(tool_name: str) -> dict[str, Any] | None:
    """Returns what tells a host which view shows the tool's answers, None where no view does."""
    return _TOOL_META.get(tool_name)


def view_at(uri: str, caller: Caller) -> View | None:
    """Returns the view at the address, None where there is none or the caller may not use its tool."""
    for view in VIEWS:
        if view.uri == uri and verdict(caller, TOOLS[view.tool_name]).is_allowed:
            return view
    return None


@cache
def _document(file_name: str) -> str:
    return (files("roadster_server") / "views" / file_name).read_text(encoding="utf-8")

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

from roadster_tools import TOOLS, Caller, Tool, verdict

VIEW_META: Mapping[str, Any] = {"ui": {"csp": {}, "prefersBorder": False}}
"""Beside the document: the frame may load nothing from any host, and draws its own border."""


@dataclass(frozen=True)
class View:
    """One view."""

    uri: str
    file_name: str

    @property
    def document(self) -> str:
        return _document(self.file_name)


ANSWER_VIEWS: Mapping[str, View] = {
    "quote_payments": View("ui://roadster/quote", "quote.html"),
    "list_inventory": View("ui://roadster/inventory", "inventory.html"),
}
"""The views of answers, by their tools."""

CARD = View("ui://roadster/confirm", "confirm.html")
"""The card on which a person says yes or no to a write."""


def tool_meta(tool: Tool, *, asks_by_card: bool) -> dict[str, Any] | None:
    """Returns what tells a host which view belongs to the tool's answers, None where none does."""
    view = CARD if asks_by_card else ANSWER_VIEWS.get(tool.name)
    # Hosts of before January 2026 read the flat key.
    return None if view is None else {"ui": {"resourceUri": view.uri}, "ui/resourceUri": view.uri}


def view_at(uri: str, caller: Caller) -> View | None:
    """Returns the view at the address, None where there is none or the caller has no use for it."""
    if uri == CARD.uri:
        return CARD if "card" in caller.confirm_by else None
    for tool_name, view in ANSWER_VIEWS.items():
        if view.uri == uri and verdict(caller, TOOLS[tool_name]).is_allowed:
            return view
    return None


@cache
def _document(file_name: str) -> str:
    return (files("roadster_server") / "views" / file_name).read_text(encoding="utf-8")

"""The answers with which a connection opens, made before the SDK is loaded, which takes most of a start.

They are those of the SDK, byte for byte, and a test compares them. `Opening` knows only the plain forms of the requests
that hosts open with, and leaves every other message, and all that follow, to the SDK.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Literal

from roadster_client.json_text import mend_json, parse_strict_json
from roadster_prompts import PromptText
from roadster_server.calls.view_hosts import EXTENSION, shows_views
from roadster_server.settings.approving import card_problem
from roadster_server.settings.sections.people import ApprovalSettings
from roadster_tools import TOOLS, Caller, Resource, Tool

from .instructions import instructions
from .views import tool_meta
from .visible import PAGE, asked_arguments, audience_of, prompts_of, resources_of, templates_of, tools_of

HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""The versions that `initialize` agrees on, the newest last. It stands for a version that is not known."""
MODERN_VERSION = "2026-07-28"
"""The version in which each request names its own version."""

_LONGEST = 16 * 1024
"""Bytes of a line. Those of hosts have a few hundred."""
_MOST_VALUES = 200
"""Values of a line. Those of hosts have twenty or so."""
_META = "io.modelcontextprotocol/"
_SERVER = {"name": "roadster-mcp", "title": "Roadster", "version": version("roadster-mcp")}
_CAPABILITIES = {
    "completions": {},
    "prompts": {"listChanged": False},
    "resources": {"listChanged": False, "subscribe": False},
    "tools": {"listChanged": False},
}

_Era = Literal["handshake", "modern"]

# The SDK puts the members of a schema that it has a field for before the others.
_FIRST_IN_INPUT: Mapping[_Era, Sequence[str]] = {"handshake": ("properties", "required", "type"), "modern": ("type",)}
_FIRST_IN_OUTPUT: Mapping[_Era, Sequence[str]] = {"handshake": ("properties", "required", "type"), "modern": ()}


class Opening:
    """The beginning of one connection of `caller`. It answers each method once: a pipe holds that much."""

    def __init__(self, caller: Caller, approvals: ApprovalSettings) -> None:
        self._caller = caller
        self._approvals = approvals
        self._era: _Era | None = None
        self._shows_views = False
        self._ids: set[str | int] = set()
        self._methods: set[str] = set()

    def answer(self, line: bytes) -> bytes | None:
        """Returns the line that answers this one, empty for a notification. None leaves the message to the SDK."""
        try:
            message = parse_strict_json(mend_json(line), _MOST_VALUES) if len(line) <= _LONGEST else None
        except ValueError:
            return None
        match message:
            case {"jsonrpc": "2.0", "method": "notifications/initialized", **rest} if not rest and self._era:
                return b""
            case {"jsonrpc": "2.0", "id": int() | str() as id_, "method": str() as method, **rest} if (
                not isinstance(id_, bool)
                and id_ not in self._ids
                and method not in self._methods
                and rest.keys() <= {"params"}
            ):
                result = self._result(method, rest.get("params", {}))
            case _:
                return None
        if result is None:
            return None
        self._ids.add(id_)
        self._methods.add(method)
        return _text({"jsonrpc": "2.0", "id": id_, "result": result}) + b"\n"

    def _result(self, method: str, params: Any) -> dict[str, Any] | None:
        if method == "initialize" and self._era is None and _is_handshake(params):
            self._era = "handshake"
            self._shows_views = shows_views(params["capabilities"].get("extensions"))
            return self._handshake(params["protocolVersion"])
        if self._era != "handshake" and _is_modern(params):
            self._shows_views = shows_views(params["_meta"][f"{_META}clientCapabilities"].get("extensions"))
            if method == "server/discover":
                return self._discovery()
            if (rows := self._list(method, "modern")) is not None:
                self._era = "modern"
                return rows
        if self._era == "handshake" and params == {}:
            return {} if method == "ping" else self._list(method, "handshake")
        return None

    def _handshake(self, protocol_version: str) -> dict[str, Any]:
        return {
            "capabilities": self._capabilities(),
            "protocolVersion": protocol_version if protocol_version in HANDSHAKE_VERSIONS else HANDSHAKE_VERSIONS[-1],
            "serverInfo": _SERVER,
            "instructions": instructions(self._caller),
        }

    def _discovery(self) -> dict[str, Any]:
        return {
            "cacheScope": "private",
            "capabilities": self._capabilities(),
            "resultType": "complete",
            "supportedVersions": [MODERN_VERSION],
            "ttlMs": 0,
            "_meta": {f"{_META}serverInfo": _SERVER},
            "instructions": instructions(self._caller),
        }

    def _capabilities(self) -> dict[str, Any]:
        return {**_CAPABILITIES, "extensions": {EXTENSION: {}}} if self._shows_views else _CAPABILITIES

    def _list(self, method: str, era: _Era) -> dict[str, Any] | None:
        if method not in _LISTS:
            return None
        name, list_rows = _LISTS[method]
        rows = list_rows(self._caller, era)
        if method == "tools/list" and self._shows_views:
            rows = [self._with_view(row) for row in rows]
        if len(rows) > PAGE:
            return None
        if era == "handshake":
            return {name: rows}
        return {
            "cacheScope": "private",
            **dict(sorted({name: rows, "resultType": "complete"}.items())),
            "ttlMs": 60_000,
            "_meta": {f"{_META}serverInfo": _SERVER},
        }

    def _with_view(self, row: dict[str, Any]) -> dict[str, Any]:
        tool = TOOLS[row["name"]]
        meta = tool_meta(tool, asks_by_card=card_problem(self._approvals, self._caller, tool) is None)
        return row if meta is None else {"_meta": meta, **row}


def _is_handshake(params: Any) -> bool:
    match params:
        case {"protocolVersion": str(), "capabilities": capabilities, "clientInfo": client, **rest}:
            return not rest and _are_capabilities(capabilities) and _is_client(client)
    return False


def _is_modern(params: Any) -> bool:
    match params:
        case {"_meta": {**meta}, **rest} if not rest:
            names = {f"{_META}protocolVersion", f"{_META}clientCapabilities"}
            return (
                names <= meta.keys() <= names | {f"{_META}clientInfo"}
                and meta[f"{_META}protocolVersion"] == MODERN_VERSION
                and _are_capabilities(meta[f"{_META}clientCapabilities"])
                and _is_client(meta.get(f"{_META}clientInfo", {"name": "", "version": ""}))
            )
    return False


def _is_client(client: Any) -> bool:
    return (
        isinstance(client, dict)
        and {"name", "version"} <= client.keys() <= {"name", "version", "title", "description", "websiteUrl"}
        and all(isinstance(text, str) for text in client.values())
    )


def _are_capabilities(capabilities: Any) -> bool:
    return isinstance(capabilities, dict) and all(
        name in _CLIENT_CAPABILITIES and _CLIENT_CAPABILITIES[name](value) for name, value in capabilities.items()
    )


def _has_objects(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(part, dict) for part in value.values())


def _is_tree(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_tree, value.values()))


_CLIENT_CAPABILITIES: dict[str, Callable[[Any], bool]] = {
    "elicitation": _has_objects,
    "experimental": _has_objects,
    "extensions": _has_objects,
    "roots": lambda value: value in ({}, {"listChanged": True}, {"listChanged": False}),
    "sampling": _has_objects,
    "tasks": _is_tree,
}


def _tools(caller: Caller, era: _Era) -> list[dict[str, Any]]:
    return [_tool(tool, era) for tool in tools_of(caller)]


def _tool(tool: Tool, era: _Era) -> dict[str, Any]:
    return {
        "annotations": {
            "destructiveHint": tool.destructive,
            "idempotentHint": not tool.writes,
            "openWorldHint": True,
            "readOnlyHint": not tool.writes,
        },
        "description": tool.description,
        "inputSchema": _with_first(_FIRST_IN_INPUT[era], tool.input_schema),
        "name": tool.name,
        "outputSchema": _with_first(_FIRST_IN_OUTPUT[era], tool.output_schema),
        "title": tool.title,
    }


def _with_first(keys: Sequence[str], schema: dict[str, Any]) -> dict[str, Any]:
    return {key: schema[key] for key in keys if key in schema} | schema


def _prompts(caller: Caller, _era: _Era) -> list[dict[str, Any]]:
    return [_prompt(prompt, caller) for prompt in prompts_of(caller).values()]


def _prompt(prompt: PromptText, caller: Caller) -> dict[str, Any]:
    return {
        "arguments": [
            {"description": argument.description, "name": argument.name, "required": argument.required}
            for argument in asked_arguments(prompt, caller)
        ],
        "description": prompt.description,
        "name": prompt.name,
        "title": prompt.title,
    }


def _resources(caller: Caller, _era: _Era) -> list[dict[str, Any]]:
    return [
        {
            **_described(resource),
            "name": dealer,
            "title": f"{resource.title} {dealer}",
            "uri": resource.address(dealer=dealer),
        }
        for resource, dealer in resources_of(caller)
    ]


def _templates(caller: Caller, _era: _Era) -> list[dict[str, Any]]:
    return [
        {
            **_described(resource),
            "name": resource.name,
            "title": resource.title,
            "uriTemplate": resource.template,
        }
        for resource in templates_of(caller)
    ]


def _described(resource: Resource) -> dict[str, Any]:
    mime_type = {"mimeType": resource.mime_type} if resource.mime_type else {}
    return {"annotations": {"audience": audience_of(resource)}, "description": resource.description, **mime_type}


_LISTS: dict[str, tuple[str, Callable[[Caller, _Era], list[dict[str, Any]]]]] = {
    "prompts/list": ("prompts", _prompts),
    "resources/list": ("resources", _resources),
    "resources/templates/list": ("resourceTemplates", _templates),
    "tools/list": ("tools", _tools),
}


def _text(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()

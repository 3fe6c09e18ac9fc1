"""The hosts that `install` knows: where each reads its servers, in which form, and what our entry looks like there."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roadster_server.cli.options import Host

from .entries.entry_file import EntryFile
from .entries.json_entry import JsonEntry
from .entries.toml_entry import TomlEntry
from .entries.yaml_entry import YamlEntry

NAME = "roadster"
"""The name of our entry in each file."""

_GOOSE_TIMEOUT = 300
"""Seconds. Goose's own value for its extensions. Its documents name no default."""


def file_of(host: Host, *, platform: str, home: Path, environment: Mapping[str, str], folder: Path) -> Path:
    """Returns where `host` reads its servers: in the user's files, or for Claude Code in the project's `folder`.

    Claude Code also keeps a user's servers in `~/.claude.json`, but it writes that file all the time.
    """
    # Not platformdirs: on macOS it follows XDG_CONFIG_HOME, which these applications do not.
    xdg = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    roaming = Path(environment.get("APPDATA") or home / "AppData" / "Roaming")
    applications = {"darwin": home / "Library" / "Application Support", "win32": roaming}.get(platform, xdg)
    is_windows = platform == "win32"
    zed = {"darwin": home / ".config" / "zed", "win32": roaming / "Zed"}.get(platform, xdg / "zed")
    files = {
        Host.CLAUDE_DESKTOP: applications / "Claude" / "claude_desktop_config.json",
        Host.CLAUDE_CODE: folder / ".mcp.json",
        Host.VSCODE: applications / "Code" / "User" / "mcp.json",
        Host.CURSOR: home / ".cursor" / "mcp.json",
        Host.CODEX: Path(environment.get("CODEX_HOME") or home / ".codex") / "config.toml",
        Host.GEMINI_CLI: Path(environment.get("GEMINI_CLI_HOME") or home) / ".gemini" / "settings.json",
        Host.COPILOT_CLI: Path(environment.get("COPILOT_HOME") or home / ".copilot") / "mcp-config.json",
        Host.OPENCODE: xdg / "opencode" / "opencode.json",
        Host.GOOSE: (roaming / "Block" / "goose" / "config" if is_windows else xdg / "goose") / "config.yaml",
        Host.ZED: zed / "settings.json",
    }
    return files[host]


def format_of(host: Host) -> EntryFile:
    """Returns the format of the host's file, with the key under which it lists its servers."""
    match host:
        case Host.VSCODE:
            return JsonEntry("servers", NAME, with_comments=True)
        case Host.CODEX:
            return TomlEntry("mcp_servers", NAME)
        case Host.OPENCODE:
            return JsonEntry("mcp", NAME, with_comments=True)
        case Host.GOOSE:
            return YamlEntry("extensions", NAME)
        case Host.ZED:
            return JsonEntry("context_servers", NAME, with_comments=True)
        case Host.GEMINI_CLI:
            return JsonEntry("mcpServers", NAME, with_comments=True)
        case _:
            return JsonEntry("mcpServers", NAME)


def entry_of(host: Host, config: Path | None) -> dict[str, Any]:
    """Returns the entry that starts this server with `config`, or with the sandbox where there is none."""
    command, *arguments = _command_line(config)
    match host:
        case Host.CLAUDE_CODE | Host.VSCODE:
            return {"type": "stdio", "command": command, "args": arguments}
        case Host.COPILOT_CLI:
            return {"type": "local", "command": command, "args": arguments, "tools": ["*"]}
        case Host.OPENCODE:
            return {"type": "local", "command": [command, *arguments], "enabled": True}
        case Host.GOOSE:
            return {
                "type": "stdio",
                "enabled": True,
                "name": NAME,
                "description": "Car dealers' inventory, quotes, customers and documents",
                "cmd": command,
                "args": arguments,
                "timeout": _GOOSE_TIMEOUT,
            }
        case _:
            return {"command": command, "args": arguments}


def is_ours(entry: Any) -> bool:
    """Returns whether an entry of our name starts this server, whatever its arguments are."""
    if not isinstance(entry, dict):
        return False
    command = entry.get("cmd", entry.get("command"))
    words = command if isinstance(command, list) else [command, *_list(entry.get("args"))]
    program = str(words[0] if words else "").replace("\\", "/").rpartition("/")[2]
    return program in ("roadster-mcp", "roadster-mcp.exe") or words[1:3] == ["-m", "roadster_server"]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _command_line(config: Path | None) -> list[str]:
    backend = ["--sandbox"] if config is None else ["--config", str(config.absolute())]
    # Beside the interpreter: a host does not see the shell's PATH.
    command = Path(sys.executable).with_name("roadster-mcp.exe" if os.name == "nt" else "roadster-mcp")
    if command.exists():
        return [str(command), "serve", *backend]
    return [sys.executable, "-m", "roadster_server", "serve", *backend]

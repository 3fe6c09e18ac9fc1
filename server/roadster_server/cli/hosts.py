"""The applications that start a server, and where each reads which ones."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path


class Host(StrEnum):
    CLAUDE_DESKTOP = "claude-desktop"
    CLAUDE_CODE = "claude-code"
    VSCODE = "vscode"
    CURSOR = "cursor"

    @property
    def section(self) -> str:
        """The key that the servers stand under."""
        return "servers" if self is Host.VSCODE else "mcpServers"


def file_of(host: Host, *, platform: str, home: Path, environment: Mapping[str, str], folder: Path) -> Path:
    """Where `host` reads its servers: for this user, or for Claude Code in the project's `folder`.

    `~/.claude.json`, where Claude Code keeps those of a user, is a file that it writes all the time.
    """
    match platform:
        case "darwin":
            applications = home / "Library" / "Application Support"
        case "win32":
            applications = Path(environment.get("APPDATA") or home / "AppData" / "Roaming")
        case _:
            applications = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    match host:
        case Host.CLAUDE_DESKTOP:
            return applications / "Claude" / "claude_desktop_config.json"
        case Host.CLAUDE_CODE:
            return folder / ".mcp.json"
        case Host.VSCODE:
            return applications / "Code" / "User" / "mcp.json"
        case Host.CURSOR:
            return home / ".cursor" / "mcp.json"

"""`install`: puts our entry into a host's configuration file, and takes it out again, after asking.

All other entries of the file stay. Each change first makes a copy of the file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadster_server.settings.errors import ConfigurationError

from .options import Host
from .plain_json import read_json

NAME = "roadster"


def file_of(host: Host, *, platform: str, home: Path, environment: Mapping[str, str], folder: Path) -> Path:
    """Returns where `host` reads its servers: in the user's files, or for Claude Code in the project's `folder`.

    Claude Code also keeps a user's servers in `~/.claude.json`, but it writes that file all the time.
    """
    # Not platformdirs: on macOS it follows XDG_CONFIG_HOME, which these applications do not.
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


def entry_of(host: Host, config: Path | None) -> dict[str, Any]:
    """Returns the entry that starts this server with `config`, or with the sandbox where there is none."""
    with_type = {"type": "stdio"} if host in (Host.CLAUDE_CODE, Host.VSCODE) else {}
    backend = ["--sandbox"] if config is None else ["--config", str(config.absolute())]
    # Beside the interpreter: a host does not see the shell's PATH.
    command = Path(sys.executable).with_name("roadster-mcp.exe" if os.name == "nt" else "roadster-mcp")
    if command.exists():
        return {**with_type, "command": str(command), "args": ["serve", *backend]}
    return {**with_type, "command": sys.executable, "args": ["-m", "roadster_server", "serve", *backend]}


def snippet(host: Host, entry: Mapping[str, Any]) -> str:
    """Returns a whole file that holds only our entry."""
    return json.dumps({_section_of(host): {NAME: entry}}, indent=2, ensure_ascii=False)


@dataclass(frozen=True)
class Change:
    """A change of our entry in one file.

    `before` is None where there is no file yet, `old` and `new` where there is no entry.
    """

    path: Path
    section: str
    before: str | None
    after: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None

    def diff(self) -> str:
        """Shows only our entry, and where it stands: the lines around it may hold other servers' secrets."""
        removals = [f"- {line}" for line in _lines(self.old)]
        additions = [f"+ {line}" for line in _lines(self.new)]
        return "\n".join([f"{self.path}, in {self.section}:", *removals, *additions])

    def apply(self) -> Path | None:
        """Writes the file whole or not at all. Returns the path of the old one's copy. Raises ConfigurationError."""
        try:
            if _read(self.path) != self.before:
                raise ConfigurationError([f"{self.path}: was changed meanwhile; try again"])
            self.path.parent.mkdir(parents=True, exist_ok=True)
            backup = None
            if self.before is not None:
                # A name of our own: the copy replaces that of our last change, and nobody else's file.
                backup = self.path.with_name(f"{self.path.name}.{NAME}.bak")
                _replace(backup, self.before, mode_of=self.path)
            _replace(self.path, self.after, mode_of=self.path)
        except OSError as error:
            raise ConfigurationError([f"{self.path}: cannot be written ({type(error).__name__})"]) from None
        return backup


def add_entry(path: Path, host: Host, entry: Mapping[str, Any]) -> Change | None:
    """Plans the file with our entry in it. Returns None where nothing changes. Raises ConfigurationError."""
    path, before = path.resolve(), _read(path)
    document = _parse(path, before, host, entry)
    servers = _servers(path, document, host)
    if servers.get(NAME) == entry:
        return None
    after = _write({**document, _section_of(host): {**servers, NAME: dict(entry)}}, before)
    return Change(path, _section_of(host), before, after, servers.get(NAME), entry)


def remove_entry(path: Path, host: Host) -> Change | None:
    """Plans the file without our entry. Returns None where there is no such entry. Raises ConfigurationError."""
    path, before = path.resolve(), _read(path)
    document = _parse(path, before, host, {})
    servers = _servers(path, document, host)
    if NAME not in servers:
        return None
    others = {name: server for name, server in servers.items() if name != NAME}
    after = _write({**document, _section_of(host): others}, before)
    return Change(path, _section_of(host), before, after, servers[NAME], None)


def _section_of(host: Host) -> str:
    """Returns the key under which the host's file lists its servers."""
    return "servers" if host is Host.VSCODE else "mcpServers"


def _lines(entry: Mapping[str, Any] | None) -> list[str]:
    """Returns the entry as it stands in a file, without the values of its environment."""
    if entry is None:
        return []
    visible = {**entry, "env": dict.fromkeys(entry["env"], "…")} if isinstance(entry.get("env"), dict) else entry
    return f'"{NAME}": {json.dumps(visible, indent=2, ensure_ascii=False)}'.splitlines()


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{path}: cannot be read ({type(error).__name__})"]) from None


def _parse(path: Path, text: str | None, host: Host, entry: Mapping[str, Any]) -> dict[str, Any]:
    if text is None or not text.strip():
        return {}
    try:
        document = read_json(text)
    except ValueError as error:
        manual = f"put this into it yourself:\n{snippet(host, entry)}" if entry else f"take {NAME} out of it yourself"
        raise ConfigurationError(
            [f"{path}: is {error} (comments and trailing commas are not JSON); nothing was changed, {manual}"]
        ) from None
    if not isinstance(document, dict):
        raise ConfigurationError([f"{path}: is no JSON object; nothing was changed"])
    return document


def _servers(path: Path, document: Mapping[str, Any], host: Host) -> dict[str, Any]:
    section = _section_of(host)
    servers = document.get(section, {})
    if not isinstance(servers, dict):
        raise ConfigurationError([f"{path}: {section} is no object; nothing was changed"])
    if NAME in servers and not _is_ours(servers[NAME]):
        raise ConfigurationError([f"{path}: {section}.{NAME} is another server; rename it, nothing was changed"])
    return servers


def _is_ours(server: Any) -> bool:
    if not isinstance(server, dict) or not isinstance(server.get("args"), list):
        return False
    command = re.split(r"[/\\]", str(server.get("command")))[-1]
    return command in ("roadster-mcp", "roadster-mcp.exe") or server["args"][:2] == ["-m", "roadster_server"]


def _write(document: Mapping[str, Any], before: str | None) -> str:
    """Writes the document with the indentation, line ends and last line that the file had before."""
    before = before or "{\n  \n}\n"
    indentation = re.search(r"^([ \t]+)\S", before, re.MULTILINE)
    text = json.dumps(document, indent=indentation[1] if indentation else 2, ensure_ascii=False)
    text += "\n" if before.endswith("\n") or not before.strip() else ""
    return text.replace("\n", "\r\n") if "\r\n" in before else text


def _replace(path: Path, text: str, *, mode_of: Path) -> None:
    """Writes the file whole or not at all. Only its owner can read it until it has the mode of the other file."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        if mode_of.exists():
            shutil.copymode(mode_of, name)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

"""Putting the server into a host's own configuration file, and taking it out again: our entry alone, after asking."""

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

from .hosts import Host
from .plain_json import read_json

NAME = "roadster"


def entry(host: Host, config: Path | None) -> dict[str, Any]:
    """What starts this server, with `config`, or with the sandbox where there is none."""
    with_type = {"type": "stdio"} if host in (Host.CLAUDE_CODE, Host.VSCODE) else {}
    what = ["--sandbox"] if config is None else ["--config", str(config.absolute())]
    # Beside the interpreter: a host does not see the shell's PATH.
    command = Path(sys.executable).with_name("roadster-mcp.exe" if os.name == "nt" else "roadster-mcp")
    if command.exists():
        return {**with_type, "command": str(command), "args": ["serve", *what]}
    return {**with_type, "command": sys.executable, "args": ["-m", "roadster_server", "serve", *what]}


def snippet(host: Host, put: Mapping[str, Any]) -> str:
    """A whole file with our entry alone."""
    return json.dumps({host.section: {NAME: put}}, indent=2, ensure_ascii=False)


@dataclass(frozen=True)
class Change:
    """What becomes of one file, and of our entry in it.

    `before` is None where there was no file, `old` and `new` where there is no entry.
    """

    path: Path
    section: str
    before: str | None
    after: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None

    def diff(self) -> str:
        """Our entry, and where it stands. Nothing of what is around it: that may hold other servers' secrets."""
        removed = [f"- {line}" for line in _lines(self.old)]
        added = [f"+ {line}" for line in _lines(self.new)]
        return "\n".join([f"{self.path}, in {self.section}:", *removed, *added])

    def apply(self) -> Path | None:
        """Writes the file whole or not at all; gives where a copy of the old one is. Raises ConfigurationError."""
        try:
            if _read(self.path) != self.before:
                raise ConfigurationError([f"{self.path}: was changed meanwhile; try again"])
            self.path.parent.mkdir(parents=True, exist_ok=True)
            backup = None
            if self.before is not None:
                backup = _backup_of(self.path)
                _replace(backup, self.before, mode_of=self.path)
            _replace(self.path, self.after, mode_of=self.path)
        except OSError as error:
            raise ConfigurationError([f"{self.path}: cannot be written ({type(error).__name__})"]) from None
        return backup


def installed(path: Path, host: Host, put: Mapping[str, Any]) -> Change | None:
    """The file with our entry; None where nothing changes. Raises ConfigurationError."""
    path, before = path.resolve(), _read(path)
    document = _document(path, before, host, put)
    servers = _servers(path, document, host)
    if servers.get(NAME) == put:
        return None
    return Change(path, host.section, before, _with(document, servers, host, put, before), servers.get(NAME), put)


def removed(path: Path, host: Host) -> Change | None:
    """The file without our entry, as it was before where nothing else changed; None where there is none of ours.

    Raises ConfigurationError.
    """
    path, before = path.resolve(), _read(path)
    if before is None:
        return None
    document = _document(path, before, host, {})
    servers = _servers(path, document, host)
    if NAME not in servers:
        return None
    after = _as_it_was(path, host, before, servers[NAME])
    if after is None:
        document[host.section] = {name: server for name, server in servers.items() if name != NAME}
        after = _written(document, before)
    return Change(path, host.section, before, after, servers[NAME], None)


def _as_it_was(path: Path, host: Host, now: str, put: Mapping[str, Any]) -> str | None:
    """The copy of the file, where our entry alone makes of it what is there now."""
    try:
        copy = _read(_backup_of(path))
        document = _document(path, copy, host, {})
        servers = _servers(path, document, host)
    except ConfigurationError:
        return None
    return copy if NAME not in servers and _with(document, servers, host, put, copy) == now else None


def _with(
    document: Mapping[str, Any], servers: Mapping[str, Any], host: Host, put: Mapping[str, Any], before: str | None
) -> str:
    return _written({**document, host.section: {**servers, NAME: dict(put)}}, before)


def _lines(entry: Mapping[str, Any] | None) -> list[str]:
    """The entry as it stands in a file, without the values of its environment."""
    if entry is None:
        return []
    shown = {**entry, "env": dict.fromkeys(entry["env"], "…")} if isinstance(entry.get("env"), dict) else entry
    return f'"{NAME}": {json.dumps(shown, indent=2, ensure_ascii=False)}'.splitlines()


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{path}: cannot be read ({type(error).__name__})"]) from None


def _document(path: Path, text: str | None, host: Host, put: Mapping[str, Any]) -> dict[str, Any]:
    if text is None or not text.strip():
        return {}
    try:
        document = read_json(text)
    except ValueError as error:
        what = f"put this into it yourself:\n{snippet(host, put)}" if put else f"take {NAME} out of it yourself"
        raise ConfigurationError(
            [f"{path}: is {error} (comments and trailing commas are not JSON); nothing was changed, {what}"]
        ) from None
    if not isinstance(document, dict):
        raise ConfigurationError([f"{path}: is no JSON object; nothing was changed"])
    return document


def _servers(path: Path, document: Mapping[str, Any], host: Host) -> dict[str, Any]:
    servers = document.get(host.section, {})
    if not isinstance(servers, dict):
        raise ConfigurationError([f"{path}: {host.section} is no object; nothing was changed"])
    if NAME in servers and not _is_ours(servers[NAME]):
        raise ConfigurationError([f"{path}: {host.section}.{NAME} is another server; rename it, nothing was changed"])
    return servers


def _is_ours(server: Any) -> bool:
    if not isinstance(server, dict) or not isinstance(server.get("args"), list):
        return False
    command = re.split(r"[/\\]", str(server.get("command")))[-1]
    return command in ("roadster-mcp", "roadster-mcp.exe") or server["args"][:2] == ["-m", "roadster_server"]


def _written(document: Mapping[str, Any], before: str | None) -> str:
    """As the file was written before: its indentation, its line ends, its last line."""
    before = before or "{\n  \n}\n"
    indentation = re.search(r"^([ \t]+)\S", before, re.MULTILINE)
    text = json.dumps(document, indent=indentation[1] if indentation else 2, ensure_ascii=False)
    text += "\n" if before.endswith("\n") or not before.strip() else ""
    return text.replace("\n", "\r\n") if "\r\n" in before else text


def _backup_of(path: Path) -> Path:
    """A name of our own, so that the copy of one change takes the place of the last one's and of nobody else's."""
    return path.with_name(f"{path.name}.{NAME}.bak")


def _replace(path: Path, text: str, *, mode_of: Path) -> None:
    """Whole or not at all, readable for its owner alone until it has the other's mode."""
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

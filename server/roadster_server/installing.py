"""Putting the server into a host's own configuration file, and taking it out again: our entry alone, after asking."""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from .hosts import Host
from .settings import ConfigurationError

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
    """What becomes of one file. `before` is None where there was none."""

    path: Path
    before: str | None
    after: str

    def diff(self) -> str:
        """The lines that change. Little of what is around them: that may hold other servers' secrets."""
        lines = difflib.unified_diff(
            (self.before or "").splitlines(), self.after.splitlines(), str(self.path), str(self.path), n=1, lineterm=""
        )
        return "\n".join(lines)

    def apply(self) -> Path | None:
        """Writes the file whole or not at all; gives where a copy of the old one is. Raises ConfigurationError."""
        try:
            if _read(self.path) != self.before:
                raise ConfigurationError([f"{self.path}: was changed meanwhile; try again"])
            self.path.parent.mkdir(parents=True, exist_ok=True)
            backup = None if self.before is None else _backed_up(self.path)
            _replace(self.path, self.after)
        except OSError as error:
            raise ConfigurationError([f"{self.path}: cannot be written ({type(error).__name__})"]) from None
        return backup


def installed(path: Path, host: Host, put: Mapping[str, Any]) -> Change | None:
    """The file with our entry; None where nothing changes. Raises ConfigurationError."""
    path, before = path.resolve(), _read(path)
    document = _document(path, before, host, put)
    servers = _servers(path, document, host)
    document[host.section] = {**servers, NAME: dict(put)}
    return None if servers.get(NAME) == put else Change(path, before, _written(document, before))


def removed(path: Path, host: Host) -> Change | None:
    """The file without our entry; None where there is none of ours. Raises ConfigurationError."""
    path, before = path.resolve(), _read(path)
    if before is None:
        return None
    document = _document(path, before, host, {})
    servers = _servers(path, document, host)
    if NAME not in servers:
        return None
    document[host.section] = {name: server for name, server in servers.items() if name != NAME}
    return Change(path, before, _written(document, before))


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
        document = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        what = f"put this into it yourself:\n{snippet(host, put)}" if put else f"take {NAME} out of it yourself"
        raise ConfigurationError(
            [f"{path}: is not plain JSON, perhaps because it has comments; nothing was changed, {what}"]
        ) from None
    if not isinstance(document, dict):
        raise ConfigurationError([f"{path}: is no JSON object; nothing was changed"])
    return document


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("the same key twice: one of the two would be lost")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


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


def _backed_up(path: Path) -> Path:
    """A copy that no other copy stands in the place of, readable for its owner alone until it has the file's mode."""
    for number in count(1):
        backup = path.with_name(f"{path.name}.bak{number if number > 1 else ''}")
        try:
            descriptor = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(descriptor, "wb") as copy:
            copy.write(path.read_bytes())
        shutil.copymode(path, backup)
        return backup
    raise AssertionError("count ends")


def _replace(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, name)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

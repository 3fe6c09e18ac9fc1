"""`install`: puts our entry into a host's configuration file, and takes it out again, after asking.

All other entries of the file stay. Each change first makes a copy of the file.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadster_server.cli.options import Host
from roadster_server.plain_files import FileTooLarge, NotPlain, read_plain_file, reading_problem
from roadster_server.settings.errors import ConfigurationError

from .entries.entry_file import EntryFile, UnsafeFile, change_entry
from .hosts import NAME, format_of, is_ours

_MAX_BYTES = 256 * 1024
"""Settings that people write have some kilobytes."""


@dataclass(frozen=True)
class Change:
    """A change of our entry in one file.

    `before` is None where there is no file yet, `old` and `new` where there is no entry.
    """

    path: Path
    file: EntryFile
    before: str | None
    after: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None

    def diff(self) -> str:
        """Shows only our entry, and where it stands: the lines around it may hold other servers' secrets."""
        removals = [f"- {line}" for line in self._lines(self.old)]
        additions = [f"+ {line}" for line in self._lines(self.new)]
        return "\n".join([f"{self.path}, in {self.file.section}:", *removals, *additions])

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

    def _lines(self, entry: Mapping[str, Any] | None) -> list[str]:
        """Returns the entry as it stands in the file, without the values of its environment."""
        if entry is None:
            return []
        visible = {key: dict.fromkeys(value, "…") if isinstance(value, dict) else value for key, value in entry.items()}
        return self.file.show(visible).splitlines()


def add_entry(path: Path, host: Host, entry: Mapping[str, Any]) -> Change | None:
    """Plans the file with our entry in it. Returns None where nothing changes. Raises ConfigurationError."""
    path = path.parent.resolve() / path.name
    before, file = _read(path), format_of(host)
    mark, text = _divide(before or "")
    with _leaving_alone(path, f"put this into it yourself:\n{file.snippet(entry)}"):
        old = _own_entry(file, text)
        entry = {**(old or {}), **entry}  # with the keys that its person or the host added, such as `env`
        if entry == old:
            return None
        return Change(path, file, before, mark + change_entry(file, text, entry), old, entry)


def remove_entry(path: Path, host: Host) -> Change | None:
    """Plans the file without our entry. Returns None where there is no such entry. Raises ConfigurationError."""
    path = path.parent.resolve() / path.name
    before, file = _read(path), format_of(host)
    mark, text = _divide(before or "")
    with _leaving_alone(path, f"take {NAME} out of it yourself"):
        old = _own_entry(file, text)
        return None if old is None else Change(path, file, before, mark + change_entry(file, text, None), old, None)


@contextmanager
def _leaving_alone(path: Path, advice: str) -> Iterator[None]:
    """Turns what a file's format says of a file that it cannot keep whole into a ConfigurationError."""
    try:
        yield
    except UnsafeFile as error:
        raise ConfigurationError([f"{path}: {error}; nothing was changed, {advice}"]) from None


def _divide(text: str) -> tuple[str, str]:
    """Returns the byte order mark, which stays where there is one, and the rest of a file's text."""
    rest = text.removeprefix("\ufeff")
    return text[: len(text) - len(rest)], rest


def _own_entry(file: EntryFile, text: str) -> dict[str, Any] | None:
    """Returns our entry. Raises UnsafeFile, also for an entry of our name that starts another program."""
    entry = file.read(text)
    if entry is None:
        return None
    if not is_ours(entry):
        raise UnsafeFile(f"{file.section}.{NAME} is another server, rename it first")
    own: dict[str, Any] = entry
    return own


def _read(path: Path) -> str | None:
    if path.is_symlink():
        raise ConfigurationError([f"{path}: is a link, and nothing is written through one; make it a plain file"])
    try:
        return read_plain_file(path, max_bytes=_MAX_BYTES, through_links=False).decode()
    except FileNotFoundError:
        return None
    except (OSError, NotPlain, FileTooLarge, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{path}: {reading_problem(error)}; nothing was changed"]) from None


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

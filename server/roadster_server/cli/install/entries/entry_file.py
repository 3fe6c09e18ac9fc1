"""The text of a host's file, with one server's entry in it. Each format says where the entry stands.

A change is a few edits, and all text outside of them stays byte for byte, with its comments.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class UnsafeFile(Exception):
    """A file that cannot be changed and kept whole. The text says why, and goes on after the file's name."""


class Edit(NamedTuple):
    """The text that comes in place of what stands between two places of a file's text."""

    start: int
    end: int
    text: str = ""


@dataclass(frozen=True)
class EntryFile(ABC):
    """One format. `section` is the key under which the file lists its servers, `name` the key of our entry in it.

    Every method that takes a file's `text` raises UnsafeFile.
    """

    section: str
    name: str

    @abstractmethod
    def data(self, text: str) -> dict[str, Any]:
        """Returns all that the text holds, as a parser of the format reads it."""

    @abstractmethod
    def add(self, text: str, entry: Mapping[str, Any]) -> list[Edit]:
        """Returns the edits that put this entry in place of ours, or add it where there is none."""

    @abstractmethod
    def remove(self, text: str) -> list[Edit]:
        """Returns the edits that take out our entry, which must be there.

        A section that holds nothing else goes with it, because it may have come with it.
        """

    @abstractmethod
    def show(self, entry: Mapping[str, Any]) -> str:
        """Returns the entry as it stands in the file."""

    @abstractmethod
    def snippet(self, entry: Mapping[str, Any]) -> str:
        """Returns a whole file that holds only this entry."""

    def read(self, text: str) -> Any:
        """Returns our entry, or None where there is none."""
        return self._servers(text).get(self.name)

    def others(self, text: str) -> dict[str, Any]:
        """Returns all that the text holds beside our entry, without a section that is empty."""
        servers = {name: server for name, server in self._servers(text).items() if name != self.name}
        rest = {key: value for key, value in self.data(text).items() if key != self.section}
        return rest | ({self.section: servers} if servers else {})

    def _servers(self, text: str) -> dict[str, Any]:
        servers = self.data(text).get(self.section)
        if servers is not None and not isinstance(servers, dict):
            raise UnsafeFile(f"has {self.section} in another form than a list of servers by their names")
        return servers or {}


def change_entry(file: EntryFile, text: str, entry: Mapping[str, Any] | None) -> str:
    """Returns the text with this entry in place of ours, or without ours where it is None.

    The new text is read back: our entry must be the one that was meant, and all else must be as before. Raises
    UnsafeFile otherwise.
    """
    after = text
    for edit in sorted(file.remove(text) if entry is None else file.add(text, entry), reverse=True):
        after = after[: edit.start] + edit.text + after[edit.end :]
    try:
        is_right = file.others(after) == file.others(text) and file.read(after) == entry
    except UnsafeFile:
        is_right = False
    if not is_right:
        raise UnsafeFile(f"has {file.section} in a form that cannot be changed safely")
    return after


def line_end(text: str) -> str:
    """Returns the end that the lines of the text have."""
    return "\r\n" if "\r\n" in text else "\n"


def append_lines(text: str, lines: Iterable[str]) -> Edit:
    """Returns the edit that adds lines at the end. The last one has an end if that of the text has one.

    So `remove_lines` can leave the text as it was.
    """
    end = line_end(text)
    block = end.join(lines)
    return Edit(len(text), len(text), block + end if not text or text.endswith("\n") else end + block)


def remove_lines(text: str, start: int, end: int) -> Edit:
    """Returns the edit that removes the lines from `start`, where one begins, to the one in which `end` is."""
    last = text.find("\n", end)
    if last >= 0:
        return Edit(start, last + 1)
    return Edit(len(text[:start].removesuffix("\n").removesuffix("\r")), len(text))

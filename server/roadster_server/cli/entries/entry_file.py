"""The text of a host's file, with one server's entry in it. Each format is a class with these methods."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol


class UnsafeFile(Exception):
    """A file that cannot be changed and kept whole. The text says why, and goes on after the file's name."""


class EntryFile(Protocol):
    """One format. `section` is the key under which the file lists its servers.

    Every method that takes a file's `text` raises UnsafeFile.
    """

    @property
    def section(self) -> str: ...

    def read(self, text: str) -> Any:
        """Returns our entry, or None where there is none."""

    def others(self, text: str) -> Any:
        """Returns all that the text holds beside our entry. Two texts that differ in it have unequal ones.

        A section of servers without any other entry is left out, because it may have come with ours.
        """

    def add(self, text: str, entry: Mapping[str, Any]) -> str:
        """Returns the text with this entry in place of ours, or with a new one."""

    def remove(self, text: str) -> str:
        """Returns the text without our entry, which must be there."""

    def show(self, entry: Mapping[str, Any]) -> str:
        """Returns the entry as it stands in the file."""

    def snippet(self, entry: Mapping[str, Any]) -> str:
        """Returns a whole file that holds only this entry."""


def change_entry(file: EntryFile, text: str, entry: Mapping[str, Any] | None) -> str:
    """Returns the text with this entry in place of ours, or without ours where it is None.

    The new text is read back: our entry must be the one that was meant, and all else must be as before. Raises
    UnsafeFile otherwise.
    """
    after = file.remove(text) if entry is None else file.add(text, entry)
    try:
        is_right = file.others(after) == file.others(text) and file.read(after) == entry
    except UnsafeFile:
        is_right = False
    if not is_right:
        raise UnsafeFile(f"has {file.section} in a form that cannot be changed safely")
    return after


def split_lines(text: str) -> list[str]:
    """Returns the lines with their ends. `str.splitlines` also divides at characters that end no line in a file."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def with_ends(lines: Iterable[str], text: str) -> list[str]:
    """Returns the lines with the ends that those of `text` have."""
    end = "\r\n" if "\r\n" in text else "\n"
    return [f"{line}{end}" for line in lines]


def with_last_end(text: str) -> str:
    """Returns the text with an end of its last line, so that a line can follow."""
    return text if not text or text.endswith("\n") else f"{text}\n"

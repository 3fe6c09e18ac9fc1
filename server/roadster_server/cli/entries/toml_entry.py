"""Our entry in a TOML file. Only its own lines change, so that comments and the order of the others stay.

The new text is parsed and compared with the old one before it is used. A file in which they differ in more than our
entry is not changed: one with an entry that is written as an inline table, for instance.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .entry_file import UnsafeFile, split_lines, with_ends, with_last_end


@dataclass(frozen=True)
class TomlEntry:
    """See `EntryFile`. Our entry is the table `[section.name]`, with the tables below it."""

    section: str
    name: str

    def read(self, text: str) -> Any:
        return _servers(_parse(text), self.section).get(self.name)

    def add(self, text: str, entry: Mapping[str, Any]) -> str:
        lines = self.show(entry).split("\n")
        if self.read(text) is None:
            before = split_lines(with_last_end(text))
            rest: list[str] = []
            lines = ["", *lines] if before and before[-1].strip() else lines
        else:
            before, rest = self._others(text)
        return self._checked(text, [*before, *with_ends(lines, text), *rest], entry)

    def remove(self, text: str) -> str:
        before, rest = self._others(text)
        if not rest and before and not before[-1].strip():
            before = before[:-1]  # the line that stood between the others and our entry
        return self._checked(text, [*before, *rest], None)

    def show(self, entry: Mapping[str, Any]) -> str:
        return "\n".join(
            [f"[{self.section}.{self.name}]", *(f"{key} = {_value(value)}" for key, value in entry.items())]
        )

    def snippet(self, entry: Mapping[str, Any]) -> str:
        return self.show(entry)

    def _others(self, text: str) -> tuple[list[str], list[str]]:
        """Returns the lines before our tables, and those after them."""
        header = re.compile(rf"\[\s*{self.section}\s*\.\s*{self.name}\s*[.\]]")
        lines = split_lines(text)
        headers = [number for number, line in enumerate(lines) if line.startswith("[")] + [len(lines)]
        ours = [number for number in headers[:-1] if header.match(lines[number])]
        if not ours:
            raise UnsafeFile(f"has {self.section}.{self.name} in another form than a table")
        end = headers[headers.index(ours[-1]) + 1]
        while end < len(lines) and _is_comment(lines[end - 1]):
            end -= 1  # what stands right before a table says something about it
        return lines[: ours[0]], lines[end:]

    def _checked(self, before: str, lines: list[str], entry: Mapping[str, Any] | None) -> str:
        """Returns the lines as text if they hold what the file held before, with this entry."""
        after = "".join(lines)
        document = _parse(before)
        servers = {name: server for name, server in _servers(document, self.section).items() if name != self.name}
        servers |= {self.name: dict(entry)} if entry is not None else {}
        expected = _without_empty({**document, self.section: servers})
        with suppress(tomllib.TOMLDecodeError):
            if _without_empty(tomllib.loads(after)) == expected:
                return after
        raise UnsafeFile(f"has {self.section} in a form that cannot be changed safely")


def _parse(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnsafeFile(f"is not TOML: {error}") from None


def _servers(document: Mapping[str, Any], section: str) -> dict[str, Any]:
    servers = document.get(section, {})
    if not isinstance(servers, dict):
        raise UnsafeFile(f"{section} is no table")
    return servers


def _without_empty(document: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the document without empty tables: `[a.b]` makes the table `a`, and it goes with `a.b`."""
    return {key: value for key, value in document.items() if value != {}}


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _value(value: Any) -> str:
    """Returns a value in TOML. A text of JSON is one of TOML too."""
    match value:
        case dict():
            return f"{{ {', '.join(f'{json.dumps(key)} = {_value(item)}' for key, item in value.items())} }}"
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case bool() | int() | float() | str():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)

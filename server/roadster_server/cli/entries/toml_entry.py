"""Our entry in a TOML file. Only its own lines change, so that comments and the order of the others stay."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
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

    def others(self, text: str) -> Any:
        document = _parse(text, parse_float=lambda number: ("float", number))  # nan is unequal to itself
        servers = {name: server for name, server in _servers(document, self.section).items() if name != self.name}
        # `[a.b]` makes the table `a`, which goes with it.
        return {**document, self.section: servers} if servers else _without(document, self.section)

    def add(self, text: str, entry: Mapping[str, Any]) -> str:
        lines = self.show(entry).split("\n")
        if self.read(text) is None:
            before = split_lines(with_last_end(text))
            rest: list[str] = []
            lines = ["", *lines] if before and before[-1].strip() else lines
        else:
            before, rest = self._others(text)
        return "".join([*before, *with_ends(lines, text), *rest])

    def remove(self, text: str) -> str:
        before, rest = self._others(text)
        if not rest and before and not before[-1].strip():
            before = before[:-1]  # the line that stood between the others and our entry
        return "".join([*before, *rest])

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


def _parse(text: str, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    try:
        return tomllib.loads(text, parse_float=parse_float)
    except tomllib.TOMLDecodeError as error:
        raise UnsafeFile(f"is not TOML: {error}") from None


def _servers(document: Mapping[str, Any], section: str) -> dict[str, Any]:
    servers = document.get(section, {})
    if not isinstance(servers, dict):
        raise UnsafeFile(f"{section} is no table")
    return servers


def _without(document: Mapping[str, Any], section: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != section}


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

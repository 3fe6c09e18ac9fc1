"""Our entry in a TOML file. Only its own lines change, so that comments and the order of the others stay."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .entry_file import Edit, EntryFile, UnsafeFile, append_lines, line_end, remove_lines


@dataclass(frozen=True)
class TomlEntry(EntryFile):
    """See `EntryFile`. Our entry is the table `[section.name]`, with the tables below it."""

    def data(self, text: str) -> dict[str, Any]:
        try:
            return tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise UnsafeFile(f"is not TOML: {error}") from None

    def add(self, text: str, entry: Mapping[str, Any]) -> list[Edit]:
        lines = self.show(entry).split("\n")
        if self.read(text) is None:
            return [append_lines(text, ["", *lines] if text else lines)]
        return [Edit(*self._place(text), line_end(text).join(lines))]

    def remove(self, text: str) -> list[Edit]:
        start, end = self._place(text)
        blank_line = re.search(r"(?<![^\n])\r?\n\Z", text[:start])
        return [remove_lines(text, blank_line.start() if blank_line else start, end)]

    def show(self, entry: Mapping[str, Any]) -> str:
        return "\n".join(
            [f"[{self.section}.{self.name}]", *(f"{key} = {_value(value)}" for key, value in entry.items())]
        )

    def snippet(self, entry: Mapping[str, Any]) -> str:
        return self.show(entry)

    def _place(self, text: str) -> tuple[int, int]:
        """Returns where our tables begin, and where their last value ends. Comments behind it are not ours."""
        headers = [*(header.start() for header in re.finditer(r"^\[", text, re.MULTILINE)), len(text)]
        our_header = re.compile(rf"\[\s*{self.section}\s*\.\s*{self.name}\s*[.\]]")
        ours = [number for number, place in enumerate(headers) if our_header.match(text, place)]
        if not ours:
            raise UnsafeFile(f"has {self.section}.{self.name} in another form than a table")
        start, end = headers[ours[0]], headers[ours[-1] + 1]
        return start, start + len(re.sub(r"(?:\s*\n\s*(?:#.*)?)+\Z|\s+\Z", "", text[start:end]))


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

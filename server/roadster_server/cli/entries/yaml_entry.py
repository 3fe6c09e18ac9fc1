"""Our entry in a YAML file of Goose. Only its own lines change, so that comments and the order of the others stay.

The file is read without a parser of YAML. So it must be as Goose writes it: keys of letters at the left, a block of
extensions, and no text over several lines. Any other file is not changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .entry_file import UnsafeFile, split_lines, with_ends, with_last_end

_TOP_LINE = re.compile(r"- .*|[A-Za-z_][\w.-]*:(?:\s.*)?")
_KEY = re.compile(r"""["']?(\w[\w.@/ -]*?)["']?:(?:\s+(.*))?$""")
_OVER_LINES = re.compile(
    r"""(?:^|:\ +|-\ +)  # where a value begins
    (?:[|>][0-9+-]*\s*(?:\#.*)?|[&*!?%].*|"(?:[^"\\]|\\.)*|'(?:[^']|'')*|\[[^\]]*|\{[^}]*)$""",
    re.VERBOSE,
)
"""A value that goes on in the next line, or that refers to another one."""

_FOREIGN_END = re.compile("\r(?!\n)|[\x85\u2028\u2029]")
"""Characters that end a line for some parsers of YAML, so that a key could stand behind them."""


@dataclass(frozen=True)
class YamlEntry:
    """See `EntryFile`. Our entry is the block `name:` below `section:`."""

    section: str
    name: str

    def read(self, text: str) -> Any:
        lines = split_lines(text)
        start, end = self._entry(lines)
        return _read_block(lines[start + 1 : end]) if end > start else None

    def others(self, text: str) -> Any:
        lines = split_lines(text)
        head = self._head(lines)
        start, end = self._entry(lines)
        if head is not None:
            is_filled = any(map(_is_content, [*lines[head + 1 : start], *self._section(lines, head)[end - head - 1 :]]))
            lines[head] = lines[head].replace(" {}", "", 1).removeprefix("" if is_filled else f"{self.section}:")
        return [line.strip("\r\n") for line in [*lines[:start], *lines[end:]] if line.strip()]

    def add(self, text: str, entry: Mapping[str, Any]) -> str:
        lines = split_lines(with_last_end(text))
        head = self._head(lines)
        if head is None:
            return "".join([*lines, *with_ends(self.snippet(entry).split("\n"), text)])
        start, end = self._entry(lines)
        lines[head] = lines[head].replace(" {}", "", 1)
        lines[start:end] = with_ends(self._block(entry, self._indentation(lines, head)), text)
        return "".join(lines)

    def remove(self, text: str) -> str:
        lines = split_lines(text)
        start, end = self._entry(lines)
        del lines[start:end]
        head = self._head(lines)
        if head is not None and not any(map(_is_content, self._section(lines, head))):
            lines[head] = lines[head].replace(":", ": {}", 1)
        return "".join(lines)

    def show(self, entry: Mapping[str, Any]) -> str:
        return "\n".join(self._block(entry, ""))

    def snippet(self, entry: Mapping[str, Any]) -> str:
        return "\n".join([f"{self.section}:", *self._block(entry, "  ")])

    def _block(self, entry: Mapping[str, Any], indentation: str) -> list[str]:
        values = (f"{indentation}  {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in entry.items())
        return [f"{indentation}{self.name}:", *values]

    def _head(self, lines: list[str]) -> int | None:
        """Returns the number of the line `section:`, or None where there is none."""
        if _FOREIGN_END.search("".join(lines)):
            raise UnsafeFile("has line ends that not every parser of YAML reads")
        for number, line in enumerate(lines):
            is_readable = (
                line.startswith(" ") or _TOP_LINE.fullmatch(line.rstrip()) or (number, line.rstrip()) == (0, "---")
            )
            if _is_content(line) and (not is_readable or _OVER_LINES.search(line.strip())):
                raise UnsafeFile(f"has a line, {number + 1}, that only a parser of YAML can read")
        heads = [number for number, line in enumerate(lines) if line.startswith(f"{self.section}:")]
        if len(heads) > 1 or any(
            re.fullmatch(r"\w+:( \{\})?\s*(#.*)?", lines[head].rstrip()) is None for head in heads
        ):
            raise UnsafeFile(f"{self.section} is no block of keys")
        return heads[0] if heads else None

    def _section(self, lines: list[str], head: int) -> list[str]:
        """Returns the lines below `section:`, to the next key at the left."""
        end = next((number for number in range(head + 1, len(lines)) if _is_top(lines[number])), len(lines))
        return lines[head + 1 : end]

    def _indentation(self, lines: list[str], head: int) -> str:
        first = next(filter(_is_content, self._section(lines, head)), "  x")
        return first[: len(first) - len(first.lstrip(" "))]

    def _entry(self, lines: list[str]) -> tuple[int, int]:
        """Returns where our lines begin and end. Both are the place for a new entry where there is none."""
        head = self._head(lines)
        if head is None:
            return len(lines), len(lines)
        indentation = self._indentation(lines, head)
        begin, section = head + 1, self._section(lines, head)
        siblings = [number for number, line in enumerate(section) if _depth(line) == len(indentation)]
        keys = [_KEY.match(section[number].strip()) for number in siblings]
        is_shallower = any(_depth(line) < len(indentation) for line in section if _is_content(line))
        if not indentation or is_shallower or None in keys:
            raise UnsafeFile(f"{self.section} is no block of keys")
        for number, key in zip(siblings, keys, strict=True):
            if key is not None and key[1] == self.name:
                end = next((other for other in siblings if other > number), len(section))
                while not _is_content(section[end - 1]):
                    end -= 1
                return begin + number, begin + end
        return begin, begin


def _is_content(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _is_top(line: str) -> bool:
    return _is_content(line) and line[0] not in " -"


def _depth(line: str) -> int:
    """Returns the number of blanks before the line's content, -1 where it has none."""
    return len(line) - len(line.lstrip(" ")) if _is_content(line) else -1


def _read_block(lines: list[str]) -> dict[str, Any]:
    """Returns the values of a block of keys: texts, lists in brackets or with dashes, and one level of keys."""
    lines = [*filter(_is_content, lines)]
    values: dict[str, Any] = {}
    key = ""
    for line in lines:
        text, pair = line.strip(), _KEY.match(line.strip())
        if text.startswith("- "):
            values[key] = [*(values[key] or []), _scalar(text[2:].strip())]
        elif pair is not None and _depth(line) == _depth(lines[0]):
            key = pair[1]
            values[key] = _scalar(pair[2] or "null")
        elif pair is not None:
            values[key] = {**(values[key] or {}), pair[1]: _scalar(pair[2] or "null")}
    return values


def _scalar(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text[1:-1].replace("''", "'") if text.startswith("'") else text

"""Our entry in a YAML file of Goose. Only its own lines change, so that comments and the order of the others stay.

A parser of YAML says where each key stands. The section must be a block of keys, as Goose writes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from .entry_file import Edit, EntryFile, UnsafeFile, append_lines, line_end, remove_lines

_FOREIGN_END = re.compile("\r(?!\n)|[\x85\u2028\u2029]")
"""Characters that end a line for some parsers of YAML and not for others."""


@dataclass(frozen=True)
class YamlEntry(EntryFile):
    """See `EntryFile`. Our entry is the block `name:` below `section:`."""

    def data(self, text: str) -> dict[str, Any]:
        try:
            data = _Loader(text).get_single_data()
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise UnsafeFile(f"is not YAML that can be read: {str(error).partition(chr(10))[0]}") from None
        if data is not None and not isinstance(data, dict):
            raise UnsafeFile("is no block of keys")
        return data or {}

    def add(self, text: str, entry: Mapping[str, Any]) -> list[Edit]:
        keys = _keys(_root(text))
        if self.section not in keys:
            margin = next((" " * key.start_mark.column for key, _ in keys.values()), "")
            return [append_lines(text, [margin + line for line in self.snippet(entry).split("\n")])]
        head, section = keys[self.section]
        servers = _keys(section)
        if self.name in servers:
            ours, value = servers[self.name]
            lines = self._block(entry, " " * ours.start_mark.column)
            return [Edit(ours.start_mark.index, _last_place(text, value), line_end(text).join(lines).lstrip(" "))]
        column = next((key.start_mark.column for key, _ in servers.values()), head.start_mark.column + 2)
        colon = head.end_mark.index + 1
        empty = [] if servers else [Edit(colon, section.end_mark.index)]  # the `{}` of a section without servers
        place = _line_end(text, colon if servers else section.end_mark.index)
        return [*empty, Edit(place, place, line_end(text).join(["", *self._block(entry, " " * column)]))]

    def remove(self, text: str) -> list[Edit]:
        head, section = _keys(_root(text))[self.section]
        servers = _keys(section)
        ours, value = servers[self.name]
        colon, end = head.end_mark.index + 1, _last_place(text, value)
        is_section_ours = len(servers) == 1 and not text[colon : ours.start_mark.index].strip()
        first = (head if is_section_ours else ours).start_mark
        lines = remove_lines(text, first.index - first.column, end)
        return [lines] if is_section_ours or len(servers) > 1 else [Edit(colon, colon, " {}"), lines]

    def show(self, entry: Mapping[str, Any]) -> str:
        return "\n".join(self._block(entry, ""))

    def snippet(self, entry: Mapping[str, Any]) -> str:
        return "\n".join([f"{self.section}:", *self._block(entry, "  ")])

    def _block(self, entry: Mapping[str, Any], margin: str) -> list[str]:
        values = (f"{margin}  {_text(key, key)}: {_text(value)}" for key, value in entry.items())
        return [f"{margin}{self.name}:", *values]


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # yaml ships no types
    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise UnsafeFile("has a value that refers to another one")
        return super().compose_node(parent, index)


def _root(text: str) -> Any:
    """Returns the outermost value with the places of all that is in it, or None for a text without any."""
    if _FOREIGN_END.search(text):
        raise UnsafeFile("has line ends that not every parser of YAML reads")
    try:
        return _Loader(text).get_single_node()
    except (yaml.YAMLError, RecursionError) as error:
        raise UnsafeFile(f"is not YAML that can be read: {str(error).partition(chr(10))[0]}") from None


def _keys(block: Any) -> dict[str, tuple[Any, Any]]:
    """Returns the keys of a block with their values, by name. An empty value has none."""
    if block is None or block.tag == "tag:yaml.org,2002:null" or block.value == []:
        return {}
    if not isinstance(block, yaml.MappingNode) or block.flow_style:
        raise UnsafeFile("is no block of keys where our entry belongs")
    keys = {str(key.value): (key, value) for key, value in block.value}
    if len(keys) < len(block.value):
        raise UnsafeFile("has a key twice")
    return keys


def _last_place(text: str, value: Any) -> int:
    """Returns the end of the line in which the value ends. A block's own end is behind the comments that follow."""
    while isinstance(value, yaml.CollectionNode) and not value.flow_style and value.value:
        last = value.value[-1]
        value = last[1] if isinstance(last, tuple) else last
    return _line_end(text, len(text[: value.end_mark.index].rstrip()))


def _line_end(text: str, place: int) -> int:
    """Returns the end of the line in which the place is."""
    return place + len(re.split(r"[\r\n]", text[place:], maxsplit=1)[0])


def _text(value: Any, plain: str = "") -> str:
    """Returns a value in YAML, where each JSON text is one. A simple key needs no quotes."""
    return plain if re.fullmatch(r"[A-Za-z_]+", plain) else json.dumps(value, ensure_ascii=False, default=str)

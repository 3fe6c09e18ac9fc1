"""Our entry in a JSON file. Only its own text changes, so that comments, numbers and the order of the others stay."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .entry_file import UnsafeFile, with_ends
from .json_document import JsonDocument, Value, read_document


@dataclass(frozen=True)
class JsonEntry:
    """See `EntryFile`. Our entry is the member `name` of the object `section`.

    Comments and commas at an end are kept if the host reads them. Otherwise they are a mistake in the file.
    """

    section: str
    name: str
    with_comments: bool = False

    def read(self, text: str) -> Any:
        servers = self._servers(self._document(text))
        ours = servers and servers.member(self.name)
        return ours.value.data if ours else None

    def others(self, text: str) -> Any:
        document = self._document(text)
        servers = self._servers(document)
        if servers is None:
            return document.root.data, _words(document)
        others = {name: server for name, server in servers.data.items() if name != self.name}
        data = {key: value for key, value in document.root.data.items() if key != self.section}
        head, ours = document.root.member(self.section), servers.member(self.name)
        gaps = [(ours.start, ours.value.end)] if ours else []
        gaps += [(head.start, servers.start)] if head and not others else []
        return data | ({self.section: others} if others else {}), _words(document, *gaps)

    def add(self, text: str, entry: Mapping[str, Any]) -> str:
        if not text.strip():
            return "".join(with_ends(self.snippet(entry).split("\n"), text))
        document = self._document(text)
        servers = self._servers(document)
        if servers is None:
            return document.with_member(self.section, {self.name: entry}, of=document.root)
        ours = servers.member(self.name)
        if ours is None:
            return document.with_member(self.name, entry, of=servers)
        return text[: ours.value.start] + document.value_text(entry, servers) + text[ours.value.end :]

    def remove(self, text: str) -> str:
        document = self._document(text)
        servers = self._servers(document)
        ours = servers and servers.member(self.name)
        return document.without(ours, servers) if servers and ours else text

    def show(self, entry: Mapping[str, Any]) -> str:
        return f'"{self.name}": {json.dumps(entry, indent=2, ensure_ascii=False)}'

    def snippet(self, entry: Mapping[str, Any]) -> str:
        return json.dumps({self.section: {self.name: entry}}, indent=2, ensure_ascii=False)

    def _document(self, text: str) -> JsonDocument:
        try:
            return read_document(text if text.strip() else "{}", with_comments=self.with_comments)
        except ValueError as error:
            hint = "" if self.with_comments else " (comments and trailing commas are not JSON)"
            raise UnsafeFile(f"is {error}{hint}") from None

    def _servers(self, document: JsonDocument) -> Value | None:
        head = document.root.member(self.section)
        if head is not None and not isinstance(head.value.data, dict):
            raise UnsafeFile(f"{self.section} is no object")
        return head.value if head else None


def _words(document: JsonDocument, *gaps: tuple[int, int]) -> list[str]:
    """Returns the texts, numbers and comments as they are written, without those that stand in the places."""
    return [
        token.text
        for token in document.tokens
        if token.kind != "mark" and not any(start <= token.start < end for start, end in gaps)
    ]

"""Our entry in a JSON file. Only its own text changes, so that comments, numbers and the order of the others stay."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .entry_file import Edit, EntryFile, UnsafeFile, line_end
from .json_document import JsonDocument, read_document


@dataclass(frozen=True)
class JsonEntry(EntryFile):
    """See `EntryFile`. Our entry is the member `name` of the object `section`.

    Comments and commas at an end are kept if the host reads them. Otherwise they are a mistake in the file.
    """

    with_comments: bool = False

    def data(self, text: str) -> dict[str, Any]:
        data: dict[str, Any] = self._document(text).root.data
        return data

    def add(self, text: str, entry: Mapping[str, Any]) -> list[Edit]:
        if not text.strip():
            return [Edit(0, len(text), self.snippet(entry).replace("\n", line_end(text)) + line_end(text))]
        self._servers(text)
        document = self._document(text)
        section = document.root.member(self.section)
        if (
            section is None or section.value.data is None
        ):  # beside a null, the key stands twice, and the file is refused
            return [document.insertion(self.section, {self.name: entry}, document.root)]
        ours = section.value.member(self.name)
        if ours is None:
            return [document.insertion(self.name, entry, section.value)]
        return [Edit(ours.value.start, ours.value.end, document.value_text(entry, section.value))]

    def remove(self, text: str) -> list[Edit]:
        document = self._document(text)
        section = document.root.member(self.section)
        ours = section and section.value.member(self.name)
        if section is None or ours is None:
            return []
        has_comment = document.has_comment(section.start, ours.start) or document.has_comment(ours.end, section.end)
        if len(section.value.members) > 1 or has_comment:
            return document.removal(ours, section.value)
        return document.removal(section, document.root)

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

"""Our entry in a file of plain JSON. The file is written anew, in the form that it had."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roadster_server.cli.plain_json import read_json

from .entry_file import UnsafeFile


@dataclass(frozen=True)
class JsonEntry:
    """See `EntryFile`. Comments and commas at an end are not plain JSON: they would be lost."""

    section: str
    name: str

    def read(self, text: str) -> Any:
        return self._servers(_parse(text)).get(self.name)

    def add(self, text: str, entry: Mapping[str, Any]) -> str:
        document = _parse(text)
        servers = {**self._servers(document), self.name: dict(entry)}
        return _write({**document, self.section: servers}, text)

    def remove(self, text: str) -> str:
        document = _parse(text)
        others = {name: server for name, server in self._servers(document).items() if name != self.name}
        return _write({**document, self.section: others}, text)

    def show(self, entry: Mapping[str, Any]) -> str:
        return f'"{self.name}": {json.dumps(entry, indent=2, ensure_ascii=False)}'

    def snippet(self, entry: Mapping[str, Any]) -> str:
        return json.dumps({self.section: {self.name: entry}}, indent=2, ensure_ascii=False)

    def _servers(self, document: Mapping[str, Any]) -> dict[str, Any]:
        servers = document.get(self.section, {})
        if not isinstance(servers, dict):
            raise UnsafeFile(f"{self.section} is no object")
        return servers


def _parse(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        document = read_json(text)
    except ValueError as error:
        raise UnsafeFile(f"is {error} (comments and trailing commas are not JSON)") from None
    if not isinstance(document, dict):
        raise UnsafeFile("is no JSON object")
    return document


def _write(document: Mapping[str, Any], before: str) -> str:
    """Writes the document with the indentation, line ends and last line that the file had before."""
    before = before or "{\n  \n}\n"
    indentation = re.search(r"^([ \t]+)\S", before, re.MULTILINE)
    text = json.dumps(document, indent=indentation[1] if indentation else 2, ensure_ascii=False)
    text += "\n" if before.endswith("\n") or not before.strip() else ""
    return text.replace("\n", "\r\n") if "\r\n" in before else text

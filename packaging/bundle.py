"""Builds dist/roadster-mcp-VERSION.mcpb, an MCP bundle that a host such as Claude Desktop installs with a click.

    make bundle

The bundle is a zip with the project's sources and a manifest of version 0.4. Its server has the type uv, so the host
provides Python and installs the dependencies. Compiled dependencies such as pydantic cannot be bundled for every
platform. The same sources give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from roadster_tools import TOOLS

PROJECT = Path(__file__).parent.parent
FOLDERS = ("client", "tools", "prompts", "server", "sandbox")
"""The source roots that a server needs. Evaluation and tests are left out."""

FILES = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")
_ENTRY_TIME = (2020, 1, 1, 0, 0, 0)
"""The time of every entry, so that the bytes do not depend on the clock."""


def make_manifest() -> dict[str, Any]:
    """Returns the manifest. It tells the host what to show, what to ask the user for, and how to start the server."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {
        "manifest_version": "0.4",
        "name": project["name"],
        "display_name": "Roadster",
        "version": project["version"],
        "description": project["description"],
        "author": {"name": "the roadster-mcp developers"},
        "license": project["license"],
        "keywords": project["keywords"],
        "server": {
            "type": "uv",
            "entry_point": "server/roadster_server/__main__.py",
            "mcp_config": {
                "command": "uv",
                "args": [
                    *("run", "--no-dev", "--directory", "${__dirname}"),
                    *("roadster-mcp", "serve", "--config", "${user_config.configuration}"),
                ],
            },
        },
        "tools": [{"name": tool.name, "description": tool.description} for tool in TOOLS.values()],
        "user_config": {
            "configuration": {
                "type": "file",
                "title": "Configuration",
                "description": "roadster.toml: dealers, callers, and where the secrets are (file: or keyring:).",
                "required": True,
            }
        },
        "compatibility": {
            "platforms": ["darwin", "win32", "linux"],
            "runtimes": {"python": project["requires-python"]},
        },
    }


def build(folder: Path) -> Path:
    """Writes the bundle into `folder`, and returns its path."""
    manifest = make_manifest()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{manifest['name']}-{manifest['version']}.mcpb"
    with zipfile.ZipFile(path, "w") as bundle:
        _add(bundle, "manifest.json", (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode())
        for source in _sources():
            _add(bundle, source.relative_to(PROJECT).as_posix(), source.read_bytes())
    return path


def _sources() -> Iterator[Path]:
    yield from (PROJECT / name for name in FILES)
    for folder in FOLDERS:
        for path in sorted((PROJECT / folder).rglob("*")):
            is_hidden = any(part.startswith((".", "__pycache__")) for part in path.relative_to(PROJECT).parts)
            if path.is_file() and not is_hidden:
                yield path


def _add(bundle: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _ENTRY_TIME)
    entry.external_attr = 0o644 << 16
    bundle.writestr(entry, content, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    path = build(PROJECT / "dist")
    print(f"{path.relative_to(PROJECT)}  SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}")

"""Builds dist/roadster-mcp-VERSION.mcpb, an MCP bundle that a host such as Claude Desktop installs with a click.

    make bundle

The bundle is a zip with a manifest of version 0.4, the project's wheel, the lock of its dependencies, and start.py.
Its server has the type uv, so the host provides Python, and start.py installs the dependencies. Compiled dependencies
such as pydantic cannot be bundled for every platform. The same sources give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

from hatchling.builders.wheel import WheelBuilder

from roadster_tools import TOOLS

PROJECT = Path(__file__).parent.parent
LOCK = "requirements-bundle.lock"
"""The lock of a server with the extra keyring, because a bundle's user cannot add an extra."""

FILES = ("README.md", "LICENSE", "CHANGELOG.md")
_ENTRY_TIME = (2020, 1, 1, 0, 0, 0)
"""The time of every entry, so that the bytes do not depend on the clock."""


def make_manifest() -> dict[str, Any]:
    """Returns the manifest. It tells the host what to show, what to ask the user for, and how to start the server."""
    project = _read_project()
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
            "entry_point": "start.py",
            "mcp_config": {
                "command": "uv",
                "args": [
                    *("run", "--quiet", "--directory", "${__dirname}", "start.py"),
                    "--sandbox=${user_config.sandbox}",
                    "--configuration=${user_config.configuration}",
                ],
            },
        },
        "tools": [{"name": tool.name, "description": tool.description} for tool in TOOLS.values()],
        "user_config": {
            "configuration": {
                "type": "file",
                "title": "Configuration",
                "description": "roadster.toml: dealers, callers, and where the secrets are (file: or keyring:). "
                "Not needed for the sandbox.",
                "required": False,
            },
            "sandbox": {
                "type": "boolean",
                "title": "Sandbox",
                "description": "Try it with invented dealers, without any key. The configuration is not read, and "
                "nothing reaches Roadster.",
                "required": False,
                "default": False,
            },
        },
        "compatibility": {
            "platforms": ["darwin", "win32", "linux"],
            "runtimes": {"python": _python_versions(project)},
        },
    }


def build(folder: Path) -> Path:
    """Writes the bundle into `folder`, and returns its path."""
    manifest = make_manifest()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{manifest['name']}-{manifest['version']}.mcpb"
    with tempfile.TemporaryDirectory() as wheel_folder, zipfile.ZipFile(path, "w") as bundle:
        wheel = Path(next(WheelBuilder(str(PROJECT)).build(directory=wheel_folder, versions=["standard"])))
        _add(bundle, "manifest.json", (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode())
        _add(bundle, "pyproject.toml", _make_pyproject().encode())
        _add(bundle, "start.py", (PROJECT / "packaging" / "bundle_start.py").read_bytes())
        _add(bundle, "requirements.lock", _make_lock(wheel).encode())
        _add(bundle, wheel.name, wheel.read_bytes())
        for name in FILES:
            _add(bundle, name, (PROJECT / name).read_bytes())
    return path


def _read_project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


def _python_versions(project: dict[str, Any]) -> str:
    """Returns the versions that the lock has wheels for: from the oldest to the newest that the project names."""
    minors = [int(minor) for minor in re.findall(r"Python :: 3\.(\d+)", "\n".join(project["classifiers"]))]
    return f">=3.{min(minors)},<3.{max(minors) + 1}"


def _make_pyproject() -> str:
    """Returns the project of the environment that uv makes in the bundle. It has no dependencies: start.py installs."""
    project = _read_project()
    return (
        "[project]\n"
        f'name = "{project["name"]}-bundle"\n'
        f'version = "{project["version"]}"\n'
        f'requires-python = "{_python_versions(project)}"\n'
        "\n[tool.uv]\npackage = false\n"
    )


def _make_lock(wheel: Path) -> str:
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"./{wheel.name} \\\n    --hash=sha256:{digest}\n{(PROJECT / LOCK).read_text(encoding='utf-8')}"


def _add(bundle: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _ENTRY_TIME)
    entry.external_attr = 0o644 << 16
    bundle.writestr(entry, content, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    path = build(PROJECT / "dist")
    print(f"{path.relative_to(PROJECT)}  SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}")

"""The bundle and the registry's entry have the documented structure, and describe this program.

The structures are those of mcpb-manifest-v0.4.schema.json and of the registry's server.schema.json.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from roadster_tools import TOOLS
from tests.conftest import PROJECT

sys.path.insert(0, str(PROJECT / "packaging"))
import bundle

PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
SERVER: dict[str, Any] = json.loads((PROJECT / "server.json").read_text())


@pytest.fixture(scope="module")
def bundle_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle.build(tmp_path_factory.mktemp("dist"))


def test_manifest_has_the_documented_structure(bundle_file: Path) -> None:
    with zipfile.ZipFile(bundle_file) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        names = archive.namelist()
    assert manifest["manifest_version"] == "0.4"
    assert {"name", "version", "description", "author", "server"} <= manifest.keys()
    assert manifest.keys() <= {
        *("manifest_version", "name", "display_name", "version", "description", "author", "license", "keywords"),
        *("server", "tools", "user_config", "compatibility"),
    }
    assert manifest["server"].keys() == {"type", "entry_point", "mcp_config"}
    assert manifest["server"]["type"] == "uv"
    assert manifest["server"]["entry_point"] in names
    assert manifest["server"]["mcp_config"].keys() == {"command", "args"}
    assert all(tool.keys() == {"name", "description"} for tool in manifest["tools"])
    (setting,) = manifest["user_config"].values()
    assert setting.keys() == {"type", "title", "description", "required"}


def test_manifest_describes_this_program(bundle_file: Path) -> None:
    manifest = bundle.make_manifest()
    assert (manifest["name"], manifest["version"]) == (PYPROJECT["name"], PYPROJECT["version"])
    assert [tool["name"] for tool in manifest["tools"]] == list(TOOLS)
    settings = set(re.findall(r"\$\{user_config\.(\w+)}", " ".join(manifest["server"]["mcp_config"]["args"])))
    assert settings == manifest["user_config"].keys()
    assert bundle_file.name == f"roadster-mcp-{PYPROJECT['version']}.mcpb"


def test_bundle_has_the_sources_of_the_server_only(bundle_file: Path) -> None:
    with zipfile.ZipFile(bundle_file) as archive:
        names = archive.namelist()
    packages = {
        path.relative_to(PROJECT).as_posix() for root in bundle.FOLDERS for path in (PROJECT / root).rglob("*.py")
    }
    assert packages <= set(names)
    assert {"pyproject.toml", "README.md", "LICENSE", "tools/roadster_tools/schemas.json"} <= set(names)
    assert not [
        name for name in names if "__pycache__" in name or name.startswith(("tests/", ".", "/")) or ".." in name
    ]


def test_bundle_of_the_same_sources_has_the_same_bytes(bundle_file: Path, tmp_path: Path) -> None:
    assert bundle.build(tmp_path).read_bytes() == bundle_file.read_bytes()


def test_registry_entry_has_the_documented_structure() -> None:
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", SERVER["name"])
    assert 1 <= len(SERVER["description"]) <= 100
    assert SERVER["version"] == PYPROJECT["version"]
    (package,) = SERVER["packages"]
    assert package.keys() <= {
        *("registryType", "identifier", "version", "runtimeHint", "transport", "packageArguments"),
    }
    assert {"registryType", "identifier", "transport"} <= package.keys()
    assert (package["identifier"], package["version"]) == (PYPROJECT["name"], PYPROJECT["version"])
    for argument in package["packageArguments"]:
        assert argument["type"] in {"positional", "named"}
        assert ("name" in argument) == (argument["type"] == "named")
        assert argument.get("format", "string") in {"string", "number", "boolean", "filepath"}

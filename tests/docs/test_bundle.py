"""The bundle and the registry's entry: of the documented structure, and of what the program is.

The structure is that of mcpb-manifest-v0.4.schema.json and of the registry's server.schema.json.
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
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle.build(tmp_path_factory.mktemp("dist"))


def test_the_manifest_has_the_documented_structure(built: Path) -> None:
    with zipfile.ZipFile(built) as archive:
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


def test_the_manifest_says_what_the_program_is(built: Path) -> None:
    manifest = bundle.manifest()
    assert (manifest["name"], manifest["version"]) == (PYPROJECT["name"], PYPROJECT["version"])
    assert [tool["name"] for tool in manifest["tools"]] == list(TOOLS)
    asked = set(re.findall(r"\$\{user_config\.(\w+)}", " ".join(manifest["server"]["mcp_config"]["args"])))
    assert asked == manifest["user_config"].keys()
    assert built.name == f"roadster-mcp-{PYPROJECT['version']}.mcpb"


def test_the_bundle_has_all_that_the_project_is_built_of_and_nothing_else(built: Path) -> None:
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
    packages = {
        path.relative_to(PROJECT).as_posix() for root in bundle.FOLDERS for path in (PROJECT / root).rglob("*.py")
    }
    assert packages <= set(names)
    assert {"pyproject.toml", "README.md", "LICENSE", "tools/roadster_tools/schemas.json"} <= set(names)
    assert not [
        name for name in names if "__pycache__" in name or name.startswith(("tests/", ".", "/")) or ".." in name
    ]


def test_the_same_sources_give_the_same_bytes(built: Path, tmp_path: Path) -> None:
    assert bundle.build(tmp_path).read_bytes() == built.read_bytes()


def test_the_registrys_entry_has_the_documented_structure() -> None:
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

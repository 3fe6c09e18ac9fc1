"""The bundle and the registry's entry have the documented structure, and describe this program.

The structures are those of mcpb-manifest-v0.4.schema.json and of the registry's server.schema.json.
"""

from __future__ import annotations

import hashlib
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
import bundle_start

PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
SERVER: dict[str, Any] = json.loads((PROJECT / "server.json").read_text())


def test_readme_has_the_name_that_the_registry_looks_for() -> None:
    """The registry takes an entry only if the README of the published package names it."""
    readme = (PROJECT / PYPROJECT["readme"]).read_text(encoding="utf-8")
    assert re.findall(r"^<!-- mcp-name: (\S+) -->$", readme, re.MULTILINE) == [SERVER["name"]]


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
    for setting in manifest["user_config"].values():
        assert setting.keys() - {"default"} == {"type", "title", "description", "required"}


def test_manifest_describes_this_program(bundle_file: Path) -> None:
    manifest = bundle.make_manifest()
    assert (manifest["name"], manifest["version"]) == (PYPROJECT["name"], PYPROJECT["version"])
    assert [tool["name"] for tool in manifest["tools"]] == list(TOOLS)
    settings = set(re.findall(r"\$\{user_config\.(\w+)}", " ".join(manifest["server"]["mcp_config"]["args"])))
    assert settings == manifest["user_config"].keys()
    assert bundle_file.name == f"roadster-mcp-{PYPROJECT['version']}.mcpb"


def test_manifest_offers_the_sandbox_without_a_configuration() -> None:
    settings = bundle.make_manifest()["user_config"]
    assert not settings["configuration"]["required"]
    assert (settings["sandbox"]["type"], settings["sandbox"]["default"]) == ("boolean", False)


@pytest.mark.parametrize(
    ("sandbox", "configuration", "arguments"),
    [
        ("true", "${user_config.configuration}", ["--sandbox"]),
        ("true", "/home/steve/roadster.toml", ["--sandbox"]),
        ("false", "/home/steve/roadster.toml", ["--config", "/home/steve/roadster.toml"]),
        ("${user_config.sandbox}", "/home/steve/roadster.toml", ["--config", "/home/steve/roadster.toml"]),
    ],
)
def test_bundle_starts_with_what_the_user_has_chosen(sandbox: str, configuration: str, arguments: list[str]) -> None:
    assert bundle_start.serve_arguments(sandbox, configuration) == arguments


@pytest.mark.parametrize("configuration", ["", "${user_config.configuration}"])
def test_bundle_without_a_choice_says_what_to_choose(configuration: str) -> None:
    with pytest.raises(SystemExit, match="Configuration, or turn Sandbox on"):
        bundle_start.serve_arguments("false", configuration)


def test_bundle_has_the_wheel_and_its_lock(bundle_file: Path) -> None:
    with zipfile.ZipFile(bundle_file) as archive:
        names = archive.namelist()
        (wheel,) = (name for name in names if name.endswith(".whl"))
        content = archive.read(wheel)
        lock = archive.read("requirements.lock").decode()
    assert set(names) == {
        *("manifest.json", "pyproject.toml", "start.py", "requirements.lock", wheel),
        *("README.md", "LICENSE", "CHANGELOG.md"),
    }
    assert lock.startswith(f"./{wheel} \\\n    --hash=sha256:{hashlib.sha256(content).hexdigest()}\n")
    assert "://" not in lock, "a lock names no index"


def test_bundle_has_the_pinned_packages_and_the_keyring(bundle_file: Path) -> None:
    with zipfile.ZipFile(bundle_file) as archive:
        pins = pins_of(archive.read("requirements.lock").decode())
    assert pins_of((PROJECT / "requirements.lock").read_text()).items() <= pins.items()
    assert "keyring" in pins


def pins_of(lock: str) -> dict[str, str]:
    """Returns the version and the condition of each package that is pinned with a hash."""
    return dict(re.findall(r"^([\w.-]+)==(\S+(?: ; .*)?) \\\n    --hash=sha256:", lock, re.MULTILINE))


def test_bundle_runs_on_the_versions_of_python_that_the_project_names(bundle_file: Path) -> None:
    with zipfile.ZipFile(bundle_file) as archive:
        pyproject = tomllib.loads(archive.read("pyproject.toml").decode())
    assert pyproject["project"]["requires-python"] == ">=3.11,<3.15"
    assert pyproject.keys() == {"project", "tool"}, "there is no group that could contradict another one"
    assert "dependencies" not in pyproject["project"]


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

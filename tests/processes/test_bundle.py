"""The bundle starts as a host such as Claude Desktop starts it, and uv accepts the project.

Both need the package index that uv is set to.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from uv import find_uv_bin

from roadster_tools import TOOLS
from tests.conftest import PROJECT, answer_of

sys.path.insert(0, str(PROJECT / "packaging"))
import bundle


def command_of(folder: Path, **chosen: str) -> StdioServerParameters:
    """Returns the manifest's command for the values that a user has chosen. A host leaves the others as they are."""
    config = json.loads((folder / "manifest.json").read_text())["server"]["mcp_config"]
    assert config["command"] == "uv"
    values = {"__dirname": str(folder), **{f"user_config.{name}": value for name, value in chosen.items()}}
    arguments = []
    for argument in config["args"]:
        for name, value in values.items():
            argument = argument.replace(f"${{{name}}}", value)  # noqa: PLW2901
        arguments.append(argument)
    # The folder is this bundle's own, so that uv does not take the environment of the tests for it.
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    return StdioServerParameters(command=find_uv_bin(), args=arguments, env=environment)


@pytest.mark.anyio
async def test_bundle_starts_by_the_command_of_its_manifest(tmp_path: Path) -> None:
    """The second start asks no index. The keyring works, because the manifest offers its secrets."""
    folder = tmp_path / "bundle"
    with zipfile.ZipFile(bundle.build(tmp_path)) as archive:
        archive.extractall(folder)
    command = command_of(folder, sandbox="true")
    for environment in ({}, {"UV_OFFLINE": "1", "UV_NO_CACHE": "1"}):
        parameters = command.model_copy(update={"env": {**(command.env or {}), **environment}})
        with (tmp_path / "log").open("w+") as log:
            try:
                async with Client(stdio_client(parameters, errlog=log)) as client:
                    assert len((await client.list_tools()).tools) == len(TOOLS)
                    inventory = await client.call_tool("list_inventory", {"dealer": "umazda", "limit": 3})
                    assert answer_of(inventory)["searched"] == 3
                    assert (await client.read_resource("ui://roadster/quote")).contents
            except BaseException as error:
                log.seek(0)
                error.add_note(f"The bundle wrote:\n{log.read()}")
                raise
    python = next(path for path in folder.glob(".venv/*/python*") if path.stem == "python")
    for backend, mend in (
        ("null", "the keyring holds no api of roadster; keyring set roadster api"),
        ("fail", "the system's keyring cannot be used (NoKeyringError); unlock it, set one up, or use file:PATH"),
    ):
        assert mend in output_with_keyring(python, backend, tmp_path)


def output_with_keyring(python: Path, backend: str, folder: Path) -> str:
    """Returns the output of `doctor` for a configuration with a secret in the keyring."""
    config = folder / "roadster.toml"
    config.write_text('[roadster]\napi_key = "keyring:roadster/api"\n[dealers.umazda]\n[callers.local]\n')
    process = subprocess.run(
        [python, "-m", "roadster_server", "doctor", "--config", config],
        env={**os.environ, "PYTHON_KEYRING_BACKEND": f"keyring.backends.{backend}.Keyring"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in process.stderr
    return process.stdout


def test_uv_can_lock_and_install_the_project() -> None:
    """`uv sync` in a clone locks all groups together. Git ignores uv.lock, which names the address of its index."""
    sync = subprocess.run(
        [find_uv_bin(), "sync", "--dry-run"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert sync.returncode == 0, sync.stderr
    assert "uv.lock" in (PROJECT / ".gitignore").read_text().splitlines()

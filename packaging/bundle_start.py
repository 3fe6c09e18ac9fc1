"""Starts the server of an MCP bundle. The bundle calls this file start.py.

    uv run --directory BUNDLE start.py --sandbox=false --configuration=/absolute/path/to/roadster.toml

uv runs this file in an environment inside the bundle, which is empty at first. Each start compares the environment
with requirements.lock, and installs what is missing. uv accepts only files that have the hashes of the lock.
"""

from __future__ import annotations

import argparse
import os
import runpy
import site
import subprocess
import sys
import sysconfig
from pathlib import Path

BUNDLE = Path(__file__).parent
MEND = "choose your roadster.toml as Configuration, or turn Sandbox on, in the settings of this extension"


def serve_arguments(sandbox: str, configuration: str) -> list[str]:
    """Returns the arguments of `serve` for the values that the host has put into the manifest's command."""
    if sandbox == "true":
        return ["--sandbox"]
    # A host leaves ${user_config.configuration} as it is where the user has chosen no file.
    if not configuration or configuration.startswith("${"):
        sys.exit(f"There is no configuration: {MEND}.")
    return ["--config", configuration]


def install() -> None:
    """Makes the environment equal to the lock. It asks no index if nothing is missing."""
    command = [
        *(os.environ.get("UV", "uv"), "pip", "sync", "--quiet", "--python", sys.executable),
        *("--require-hashes", "--no-build", "requirements.lock"),
    ]
    # stdout belongs to the protocol.
    if subprocess.run(command, cwd=BUNDLE, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode:
        sys.exit("The packages could not be installed. The lines above say why. The first start needs a package index.")
    # The environment was empty when this process began, so its .pth files have not been read.
    site.addsitedir(sysconfig.get_path("purelib"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sandbox", default="false")
    parser.add_argument("--configuration", default="")
    options = parser.parse_args()
    arguments = serve_arguments(options.sandbox, options.configuration)
    install()
    sys.argv = ["roadster-mcp", "serve", *arguments]
    runpy.run_module("roadster_server", run_name="__main__", alter_sys=True)

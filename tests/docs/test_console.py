"""Each console block of each page shows what happens: a page's blocks are run from top to bottom."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.command_line import run_cli
from tests.conftest import PROJECT
from tests.servers import PATIENCE, free_port, serving

from .pages import PAGES, blocks

SECRETS = {
    "ROADSTER_API_KEY": "sandbox-key",
    "UMAZDA_LINK_KEY": "k" * 32,
    "ROADIE_TOKEN": "made-up",
    "MYKAARMA_USERNAME": "made-up",
    "MYKAARMA_PASSWORD": "made-up",
    "ROADSTER_WEBHOOK_KEY": "our-own-key",
    "ROADIE_WEBHOOK_KEY": "made-up",
    "REDIS_URL": "redis://127.0.0.1:6379",
    "PAGES_CLIENT_SECRET": "made-up",
}
"""What the configurations of the examples name, for pages that do not say it themselves."""
PORTS = ("8000", "9000")
"""The ports that pages show. Free ones stand in for them."""


@dataclass(frozen=True)
class Step:
    """A command as it is typed, and what it shows; `…` in that stands for any text."""

    command: str
    output: str

    @property
    def starts_a_server(self) -> bool:
        return self.command.endswith(" &")


def steps(block: str) -> list[Step]:
    return [
        Step(command.strip(), output.strip())
        for command, _, output in (part.partition("\n") for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:])
    ]


CONSOLE = {name: blocks(text, "console") for name, text in PAGES.items() if "\n```console\n" in text}


@dataclass
class Terminal:
    """A terminal in a folder with the examples. A server that a page starts runs to the page's end."""

    folder: Path
    running: ExitStack
    environment: dict[str, str] = field(default_factory=lambda: dict(SECRETS))
    servers: set[str] = field(default_factory=set)
    exit_code: int = 0

    def follow(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if step.starts_a_server:
                self._start(step.command)
            elif step.command.startswith("export "):
                self.environment |= dict(word.split("=", 1) for word in shlex.split(step.command)[1:])
            elif step.command == "echo $?":
                assert step.output == str(self.exit_code)
            else:
                output = self._output(step.command)
                assert matches(step.output, output), output

    def _start(self, command: str) -> None:
        """Starts a server, unless a block above has."""
        if command in self.servers:
            return
        self.servers.add(command)
        arguments = shlex.split(command.removesuffix(" &"))[1:]
        probe = "__sandbox/state" if arguments[0] == "sandbox" else "healthz"
        url = f"http://127.0.0.1:{arguments[arguments.index('--port') + 1]}/{probe}"
        self.running.enter_context(serving(*arguments, url=url, cwd=self.folder, **self._variables()))

    def _output(self, command: str) -> str:
        """Runs the command; returns what it prints, without log lines."""
        words = shlex.split(command)
        assignments = [word for word in words if re.match(r"[A-Z_]+=", word)]
        if words[len(assignments)] == "roadster-mcp":
            variables = self._variables() | dict(word.split("=", 1) for word in assignments)
            result = run_cli(*words[len(assignments) + 1 :], cwd=self.folder, **variables)
        else:
            result = self._in_shell(command)
        self.exit_code = result.returncode
        return result.stdout + "".join(line for line in result.stderr.splitlines(keepends=True) if line[0] != "{")

    def _in_shell(self, command: str) -> subprocess.CompletedProcess[str]:
        variables = {**self._variables(), "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        return subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=variables,
            stdin=subprocess.DEVNULL,  # nobody is there to be asked
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def _variables(self) -> dict[str, str]:
        return {**self.environment, "HOME": str(self.folder), "XDG_STATE_HOME": str(self.folder / "state")}


def matches(expected: str, output: str) -> bool:
    pattern = ".*".join(map(re.escape, expected.split("…")))
    return re.fullmatch(pattern, output.strip(), re.DOTALL) is not None


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    shutil.copytree(PROJECT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("node_modules"))
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    with ExitStack() as running:
        yield Terminal(tmp_path, running)


@pytest.mark.parametrize("name", CONSOLE)
def test_a_page_shows_what_happens(name: str, terminal: Terminal) -> None:
    text = "".join(CONSOLE[name])
    if "curl" in text and None in (shutil.which("curl"), shutil.which("jq")):
        pytest.skip("the curl or the jq command is not installed")
    config = terminal.folder / "examples" / "sandbox.toml"
    for port in PORTS:
        free = str(free_port())
        text = text.replace(port, free)
        config.write_text(config.read_text().replace(port, free))
    terminal.follow(steps(text))


def test_every_command_stands_in_a_block_that_is_run() -> None:
    for name, text in PAGES.items():
        for block in blocks(text, "sh"):
            assert not re.search(r"^(\S*/)?roadster-mcp ", block, re.MULTILINE), name
    commands = {
        step.command.split("roadster-mcp ")[1].split()[0]
        for page_blocks in CONSOLE.values()
        for block in page_blocks
        for step in steps(block)
        if "roadster-mcp" in step.command
    }
    assert commands == {
        "audit",
        "call",
        "doctor",
        "forget",
        "people",
        "policy",
        "run",
        "sandbox",
        "serve",
        "store",
        "token",
    }

"""The manners of the command line: help for every terminal, a version, completion, and a start that loads little."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
from typer.main import get_command

from roadster_server.cli.app import app
from tests.command_line import run_cli


def commands_of(command: Any, *words: str) -> Iterator[list[str]]:
    """Yields the words of the command and of all commands in it."""
    yield list(words)
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands_of(inner, *words, name)


COMMANDS = list(commands_of(get_command(app)))


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_of_every_command_teaches(option: str) -> None:
    assert ["audit", "export"] in COMMANDS
    for command in COMMANDS:
        end = run_cli(*command, option)
        assert (end.returncode, end.stderr) == (0, "")
        assert end.stdout.startswith(f"Usage: {' '.join(['roadster-mcp', *command])} ")
        assert "-h, --help" in end.stdout


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_help_fits_the_terminal_and_cuts_nothing(columns: int) -> None:
    for command in COMMANDS:
        usage, _, text = run_cli(*command, "--help", COLUMNS=str(columns)).stdout.partition("\n\n")
        lines = [*usage.splitlines(), *text.splitlines()]
        assert [line for line in lines if len(line.rstrip()) > min(columns, 80)] == []
        assert "..." not in text


def test_help_of_a_group_holds_whole_sentences() -> None:
    sentence = "Put this server into an application's configuration, with --sandbox or with a configuration."
    for columns in ("40", "80"):
        assert sentence in " ".join(run_cli("--help", COLUMNS=columns).stdout.split())


def test_narrow_help_puts_descriptions_below_their_options() -> None:
    lines = run_cli("serve", "--help", COLUMNS="40").stdout.splitlines()
    place = lines.index("  --transport <stdio|http|sse>")
    assert lines[place + 1 : place + 3] == ["            How assistants connect.", "            [default: stdio]"]


def test_version_is_the_packages() -> None:
    end = run_cli("--version")
    assert (end.returncode, end.stdout) == (0, f"roadster-mcp {version('roadster-mcp')}\n")


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["serve", "--help"], ["audit"], ["--version"], ["nonsense"], ["token", "make", "sales-bot"]],
)
def test_start_of_simple_commands_loads_no_server(arguments: list[str]) -> None:
    """Help, mistakes and completion come at once. Of the project, only the command line itself is loaded."""
    script = (
        "import atexit, sys\n"
        "heavy = ('mcp', 'anyio', 'httpx2', 'starlette', 'sqlalchemy', 'rich', 'cryptography',"
        " 'roadster_client', 'roadster_tools', 'roadster_sandbox', 'roadster_server.backend')\n"
        "atexit.register(lambda: print([name for name in heavy if name in sys.modules], file=sys.stderr))\n"
        f"sys.argv = ['roadster-mcp', *{arguments!r}]\n"
        "from roadster_server.__main__ import main\n"
        "main()"
    )
    end = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert end.stderr.splitlines()[-1] == "[]"


def test_completion_knows_commands_options_and_choices() -> None:
    def complete(words: str) -> list[str]:
        variables = {
            "_ROADSTER_MCP_COMPLETE": "complete_bash",
            "COMP_WORDS": f"roadster-mcp {words}",
            "COMP_CWORD": str(len(words.split(" "))),
        }
        return run_cli(**variables).stdout.split()

    assert complete("aud") == ["audit"]
    assert complete("audit ") == ["verify", "tail", "export"]
    assert complete("serve --trans") == ["--transport"]
    assert complete("serve --transport ") == ["stdio", "http", "sse"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_shown_for_a_shell(shell: str) -> None:
    end = run_cli("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert end.returncode == 0
    assert "_ROADSTER_MCP_COMPLETE" in end.stdout

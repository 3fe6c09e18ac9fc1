"""The command line at a terminal: addresses for a person, questions without log lines, and pipes that end early."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from roadster_sandbox import SandboxTransport
from roadster_server.backend import Backend
from roadster_server.cli.calls.call import call_once
from roadster_server.settings.live import LiveSettings
from roadster_server.store import open_store
from roadster_server.telemetry.logs import configure_logs, flush_logs, log
from tests.command_line import separate_logging
from tests.conftest import World, settings_for
from tests.server.store.databases import RECORD
from tests.server.transports.test_http import SECRETS, write_config
from tests.servers import PATIENCE, ROADSTER_MCP
from tests.tool_examples import STEVE

pytestmark = pytest.mark.anyio


@contextmanager
def at_terminal(*arguments: str, stdin: int = subprocess.PIPE) -> Iterator[tuple[subprocess.Popen[bytes], io.FileIO]]:
    """Runs the command with a terminal as stderr. Yields the process, and the terminal's other end."""
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen(
            [*ROADSTER_MCP, *arguments], stdin=stdin, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        try:
            yield process, screen
        finally:
            process.kill()
            process.communicate()


def read_until(screen: io.FileIO, text: str) -> str:
    """Reads what the terminal shows, up to a line that holds `text`."""
    content = b""
    while text.encode() not in content or not content.endswith(b"\n"):
        content += screen.read(4096)
    return content.decode()


@pytest.mark.parametrize(("transport", "path"), [("http", "mcp"), ("sse", "sse")])
def test_serve_shows_its_address_and_how_to_stop(transport: str, path: str) -> None:
    with at_terminal("serve", "--sandbox", "--transport", transport, "--port", "0") as (process, screen):
        text = read_until(screen, "roadster-mcp: ")
        assert f"/{path}; Ctrl-C stops it" in text
        assert "roadster-mcp: serving at http://127.0.0.1:" in text
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


def test_serve_on_stdio_says_what_it_waits_for() -> None:
    with at_terminal("serve", "--sandbox") as (process, screen):
        text = read_until(screen, "roadster-mcp: ")
        assert "waiting on stdin for the host that starts this server; Ctrl-C stops it" in text
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


def test_serve_in_a_log_says_nothing_to_a_person() -> None:
    end = subprocess.run([*ROADSTER_MCP, "serve", "--sandbox"], input=b"", capture_output=True, check=False)
    assert end.returncode == 0
    assert all(json.loads(line)["event"] for line in end.stderr.splitlines())


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Puts back what Ctrl-C does: a question changes it for the rest of the process."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize(("answer", "code"), [("yes", 0), ("y", 0), ("no", 3), ("", 3)])
async def test_question_has_no_log_lines_in_it(
    answer: str, code: int, world: World, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines that come while a person reads and types are written after the answer."""
    stderr = io.StringIO()

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

        def readline(self, *_: object) -> str:
            log.info("meanwhile")
            time.sleep(0.1)  # enough for the thread that writes lines, if nothing held it
            stderr.write(f"{answer}\n")
            return f"{answer}\n"

    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(sys, "stdin", Terminal())
    settings = settings_for(store_url, access={"customers": "confirm"})
    backend = Backend(LiveSettings(settings), SandboxTransport(world.app))
    with separate_logging():
        logging.getLogger().handlers.clear()
        configure_logs()
        outcome = await call_once(backend, "tester", "create_customer", {"dealer": "umazda", "customer": STEVE}, False)
        flush_logs()
    assert outcome.code == code
    before, _, after = stderr.getvalue().partition(f"Send exactly this? Type yes: {answer}\n")
    assert '"meanwhile"' not in before
    assert '"meanwhile"' in after


def pipe_into_head(*arguments: str, cwd: Path, stdin: str = "", **environment: str) -> tuple[int, str, str]:
    """Runs the command, reads one line of its output and leaves. Returns its exit code, the line, and stderr."""
    process = subprocess.Popen(
        [*ROADSTER_MCP, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), **environment},
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(stdin)
    process.stdin.close()
    line = process.stdout.readline()
    process.stdout.close()
    stderr = process.stderr.read()
    process.stderr.close()
    return process.wait(PATIENCE), line, stderr


def test_run_into_head_ends_quietly(tmp_path: Path) -> None:
    """It makes no more calls. Shells give the same code to any program that loses its reader."""
    stock = json.dumps({"tool": "list_inventory", "arguments": {"dealer": "umazda"}})
    code, line, stderr = pipe_into_head("run", "-", "--sandbox", stdin=f"{stock}\n" * 200, cwd=tmp_path)
    assert (code, stderr) == (141, "")
    assert json.loads(line)["code"] == 0


async def test_audit_export_into_head_ends_quietly(tmp_path: Path) -> None:
    config = write_config(tmp_path, "https://api.example.com")
    async with open_store(f"sqlite:///{tmp_path}/store.db") as store:
        for number in range(400):
            await store.append(replace(RECORD, call_id=f"c-{number}"))
    code, line, stderr = pipe_into_head("audit", "export", "--config", str(config), cwd=tmp_path, **SECRETS)
    assert (code, stderr) == (141, "")
    assert json.loads(line)["seq"] == 1


@pytest.mark.parametrize("arguments", [["demo"], ["tools"], ["doctor", "--sandbox"]])
def test_command_into_head_ends_quietly(arguments: list[str], tmp_path: Path) -> None:
    """A short output fits into the pipe's buffer and is no error at all."""
    code, line, stderr = pipe_into_head(*arguments, cwd=tmp_path)
    assert code in {0, 141}
    assert line
    assert stderr == ""


def test_command_without_a_reader_ends_quietly(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stock = json.dumps({"dealer": "umazda"})
    for arguments in (["tools"], ["call", "list_inventory", stock, "--sandbox"], ["token", "make", "sales-bot"]):
        end = subprocess.run(
            [*ROADSTER_MCP, *arguments], stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE, check=False
        )
        assert end.returncode == 141
        assert b"Traceback" not in end.stderr
        assert b"Exception" not in end.stderr
    os.close(writer)


def screen_of(*arguments: str, columns: int = 120, code: int = 0) -> str:
    """Runs the command with a terminal as stdout. Returns what the terminal shows."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [*ROADSTER_MCP, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": str(columns), "TERM": "vt100", "NO_COLOR": "1"},
    )
    os.close(theirs)
    content = b""
    # Linux ends the terminal of an ended process with an error.
    with os.fdopen(ours, "rb", buffering=0) as screen, suppress(OSError):
        while part := screen.read(4096):
            content += part
    assert process.wait(PATIENCE) == code
    return content.decode().replace("\r\n", "\n")


def test_show_prints_the_deals_side_by_side_at_a_terminal() -> None:
    call = [
        "call",
        "quote_payments",
        '{"vin": "3MVDMBBM0SM472067", "dealer": "umazda", "term_months": 36}',
        "--sandbox",
    ]
    screen = screen_of(*call, "--show")
    rows = [[cell.strip() for cell in line.split("\u2502")[1:-1]] for line in screen.split("\n") if "\u2502" in line]
    assert screen.startswith("reserved: 3MVDMBBM0SM472067 2025 Mazda CX-30")
    assert rows[0] == ["monthly payment", "", "973.82", "457.27"]
    assert ["term months", "", "36", "36"] in rows
    assert ["annual miles", "", "", "12,000"] in rows
    assert ["security deposit", "", "", "0"] in rows
    assert next(row for row in rows if row[0] == "sales tax")[1:3] == ["3,136.64"] * 2
    assert "A leased car goes back." in screen
    assert "Not applied: cash: no term_months" in screen
    assert "monthly payment" not in screen.split("Not applied", 1)[1]
    assert json.loads(screen_of(*call))["stock"] == "reserved"


def test_show_keeps_the_parts_of_a_figure_below_it_on_a_narrow_terminal() -> None:
    call = ["call", "quote_payments", '{"vin": "3MVDMBBM0SM472067", "dealer": "umazda"}', "--sandbox", "--show"]
    names = [line.split("\u2502")[1] for line in screen_of(*call, columns=60).split("\n") if "\u2502" in line]
    start = names.index(next(name for name in names if "signing parts" in name)) + 1
    end = names.index(next(name for name in names if "acquisition" in name))
    assert " ".join(" ".join(names[start:end]).split()) == "first payment fees taxes security deposit"
    assert all(name.startswith("   ") for name in names[start:end]), names[start:end]


def test_show_prints_a_full_quote_and_a_failure_in_words() -> None:
    call = ["call", "quote_payments", "--sandbox", "--show"]
    full = screen_of(*call, '{"vin": "3MVDMBBM0SM472067", "dealer": "umazda", "detail": "full"}')
    assert "prices.base: 28,990" in full
    assert "year: 2025" in full
    assert "{" not in full
    refusal = screen_of(*call, '{"vin": "3MVDMBBM0SM472067", "dealer": "umazda", "plans": [{"id": 99}]}', code=1)
    assert refusal.startswith("Invalid arguments: plans.0.id: is none of a cash deal's plans")
    assert "{" not in refusal


def test_show_prints_any_other_answer_as_its_text() -> None:
    assert screen_of("call", "list_dealers", "--sandbox", "--show").startswith("Dealers (dpid | name")


def test_show_prints_json_into_a_pipe() -> None:
    call = [*ROADSTER_MCP, "call", "quote_payments", '{"vin": "3MVDMBBM0SM472067", "dealer": "umazda"}']
    end = subprocess.run([*call, "--sandbox", "--show"], capture_output=True, check=True, timeout=PATIENCE)
    assert json.loads(end.stdout)["stock"] == "reserved"

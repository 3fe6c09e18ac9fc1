"""The examples for agent frameworks find a car, quote it and report a refusal, against a server with tokens.

Each runs unchanged in its own environment. Its model is a script behind OpenAI's API, without key and network.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.command_line import run_cli
from tests.conftest import PROJECT
from tests.scripted_model import scripted_model
from tests.server.transports.test_http import SALES, SECRETS, write_config
from tests.servers import PATIENCE, free_port, serving

FRAMEWORKS = PROJECT / "examples" / "frameworks"
TYPESCRIPT = FRAMEWORKS / "typescript"
VIN = "JM3KFBCM0S0202106"
REFUSAL = "Refused: callers.sales-bot.dealers does not name this dealer; one of umazda, hyundaidemo."


@dataclass(frozen=True)
class Running:
    """A server that needs a token, over both HTTP transports, and the lease that it quotes."""

    address: str
    lease: str


@pytest.fixture(scope="module")
def server(upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    config = str(write_config(tmp_path_factory.mktemp("frameworks"), upstream))
    quote = run_cli("call", "quote_payments", f'{{"dealer": "umazda", "vin": "{VIN}"}}', "--sandbox").stdout
    lease = re.search(r'"lease": \{"monthly_payment": ([\d.]+)', quote)
    assert lease is not None
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", config)
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS):
        yield Running(f"http://127.0.0.1:{port}", lease[1])


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    with scripted_model() as address:
        yield address


def run_example(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Runs an example, which must end with 0 and without a traceback. Returns its output."""
    process = subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), "ROADSTER_MCP_TOKEN": SALES, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert "Traceback" not in process.stdout + process.stderr
    return process.stdout


def require(installation: Path) -> Path:
    """Returns the path, or skips the test without `make frameworks`. CI runs `make check`, so there it must exist."""
    if not installation.exists() and not os.environ.get("CI"):
        pytest.skip(f"no {installation.relative_to(PROJECT)}: make frameworks")
    return installation


AGENTS = {
    "openai_agents_sdk.py": ("agents", "gpt-5"),
    "pydantic_ai_agent.py": ("agents", "openai:gpt-5"),
    "langchain_agent.py": ("langchain", "openai:gpt-5"),
}
"""The examples with a model, each with its environment and its name for a model of OpenAI."""


@pytest.mark.parametrize("name", AGENTS)
def test_agent_quotes_a_car_and_reports_the_refusal(name: str, server: Running, model: str, tmp_path: Path) -> None:
    """The model's last message repeats only texts that its framework passed on from the tools."""
    environment, model_name = AGENTS[name]
    stamp = require(PROJECT / f".venv-{environment}" / ".installed")
    command = (
        stamp.parent / "bin" / "python",
        FRAMEWORKS / name,
        "--model",
        model_name,
        "--url",
        f"{server.address}/mcp",
    )
    output = run_example(*command, cwd=tmp_path, OPENAI_BASE_URL=model, OPENAI_API_KEY="made-up")
    assert f"The lease is {server.lease} a month." in output
    assert REFUSAL in output


def test_typescript_client_compiles_and_quotes_a_car(server: Running, tmp_path: Path) -> None:
    stamp = require(TYPESCRIPT / "node_modules" / ".installed")
    for path in TYPESCRIPT.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    (tmp_path / "node_modules").symlink_to(stamp.parent)
    output = run_example(
        "npm", "start", "--silent", "--", f"{server.address}/mcp", cwd=tmp_path, NO_UPDATE_NOTIFIER="1"
    )
    assert f"lease: {server.lease} a month" in output
    assert REFUSAL in output


def test_plain_requests_without_a_session_quote_a_car(server: Running, tmp_path: Path) -> None:
    for command in ("curl", "jq"):
        if shutil.which(command) is None:
            pytest.skip(f"the {command} command is not installed")
    output = run_example("sh", FRAMEWORKS / "curl.sh", f"{server.address}/mcp", cwd=tmp_path)
    assert re.match(r"tools: \d+\n", output)
    assert f"lease: {server.lease} a month" in output
    assert REFUSAL in output


@pytest.mark.parametrize("path", ["/mcp", "/sse"])
def test_python_client_quotes_a_car_over_both_http_transports(path: str, server: Running, tmp_path: Path) -> None:
    """test_examples.py tests it over stdio."""
    output = run_example(sys.executable, PROJECT / "examples" / "client.py", f"{server.address}{path}", cwd=tmp_path)
    lease = re.search(r"^Lease: monthly payment ([\d.,]+),", output, re.MULTILINE)
    assert lease is not None
    assert f"lease: {lease[1].replace(',', '')} a month" in output
    assert REFUSAL in output


def test_page_lists_each_example_with_its_command() -> None:
    page = (PROJECT / "docs" / "develop" / "frameworks.md").read_text()
    rows = re.findall(r"^\|.*\]\(../../(examples/\S+)\) \| `(.+)` \|$", page, re.MULTILINE)
    assert {example for example, _ in rows} == {
        "examples/client.py",
        "examples/frameworks/typescript/client.ts",
        *(path.relative_to(PROJECT).as_posix() for path in FRAMEWORKS.iterdir() if path.is_file()),
    }
    for example, command in rows:
        assert Path(example).parent.as_posix() in command
        for environment in re.findall(r"\.venv-(\w+)/", command):
            assert (PROJECT / f"requirements-{environment}.lock").is_file()


@pytest.mark.parametrize(
    "lock",
    [
        "requirements-agents.lock",
        "requirements-langchain.lock",
        "examples/frameworks/typescript/package-lock.json",
        "tests/processes/conformance/package-lock.json",
        "tests/processes/oauth/package-lock.json",
    ],
)
def test_lock_names_no_address_of_a_package_index(lock: str) -> None:
    """An address in a lock would be used on every machine, instead of the index that is configured there."""
    text = (PROJECT / lock).read_text()
    assert text.count("sha512-" if lock.endswith(".json") else "--hash=sha256:") > 10
    assert "resolved" not in text
    assert "index-url" not in text
    assert "registry" not in text


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
@pytest.mark.parametrize(
    ("target", "environments"), [("frameworks", {"agents", "langchain"}), ("check", {"agents", "langchain", "evals"})]
)
def test_make_installs_the_environments_of_its_target_only(target: str, environments: set[str]) -> None:
    """The examples for frameworks do not need the evaluation. CI needs all environments."""
    dry = subprocess.run(  # as if every file were old
        ["make", "--dry-run", "--always-make", target], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert set(re.findall(r"-m venv --clear --without-pip \.venv-(\w+)", dry.stdout)) == environments

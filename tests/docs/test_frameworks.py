"""The examples for others' frameworks find a car, quote it and tell a refusal: unchanged, against a server with tokens.

Each runs in its own environment. Its model is a scripted one behind OpenAI's API: no key and no network is needed."""

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

from tests.conftest import PROJECT, free_port, run_cli, serving
from tests.scripted_model import scripted_model
from tests.server.transports.test_http import SALES, SECRETS, write_config

pytestmark = pytest.mark.timeout(300)  # a framework's first start compiles it
FRAMEWORKS = PROJECT / "examples" / "frameworks"
TYPESCRIPT = FRAMEWORKS / "typescript"
VIN = "JM3KFBCM0S0202106"
REFUSAL = "Refused: callers.sales-bot.dealers does not name this dealer; one of umazda, hyundaidemo."


@dataclass(frozen=True)
class Running:
    """A server that wants a token, over both HTTP transports; what it will quote."""

    address: str
    lease: str


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    upstream = f"http://127.0.0.1:{free_port()}"
    config = str(write_config(tmp_path_factory.mktemp("frameworks"), upstream))
    quote = run_cli("call", "quote_payments", f'{{"dealer": "umazda", "vin": "{VIN}"}}', "--sandbox").stdout
    lease = re.search(r'"lease": \{"monthly_payment": ([\d.]+)', quote)
    assert lease is not None
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", config)
    with (
        serving("sandbox", "--port", upstream.rpartition(":")[2], url=f"{upstream}/__sandbox/state"),
        serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS),
    ):
        yield Running(f"http://127.0.0.1:{port}", lease[1])


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    with scripted_model() as address:
        yield address


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What the example prints, where it ends well and complains of nothing."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), "ROADSTER_MCP_TOKEN": SALES, **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout


def needed(what: Path) -> Path:
    """Something that `make frameworks` installs. CI runs `make check`, so there it must be."""
    if not what.exists() and not os.environ.get("CI"):
        pytest.skip(f"no {what.relative_to(PROJECT)}: make frameworks")
    return what


AGENTS = {
    "openai_agents_sdk.py": ("agents", "gpt-5"),
    "pydantic_ai_agent.py": ("agents", "openai:gpt-5"),
    "langchain_agent.py": ("langchain", "openai:gpt-5"),
}
"""The examples with a model: their environment, and how they name one of OpenAI's."""


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_quotes_a_car_and_is_told_of_the_refusal(
    name: str, server: Running, model: str, tmp_path: Path
) -> None:
    """The model's last words hold only what its framework handed back to it from the tools."""
    environment, model_name = AGENTS[name]
    installed = needed(PROJECT / f".venv-{environment}" / ".installed")
    command = (
        installed.parent / "bin" / "python",
        FRAMEWORKS / name,
        "--model",
        model_name,
        "--url",
        f"{server.address}/mcp",
    )
    said = run(*command, cwd=tmp_path, OPENAI_BASE_URL=model, OPENAI_API_KEY="made-up")
    assert f"The lease is {server.lease} a month." in said
    assert REFUSAL in said


def test_the_typescript_client_compiles_and_quotes_a_car(server: Running, tmp_path: Path) -> None:
    installed = needed(TYPESCRIPT / "node_modules" / ".installed")
    for path in TYPESCRIPT.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    (tmp_path / "node_modules").symlink_to(installed.parent)
    said = run("npm", "start", "--silent", "--", f"{server.address}/mcp", cwd=tmp_path, NO_UPDATE_NOTIFIER="1")
    assert f"lease: {server.lease} a month" in said
    assert REFUSAL in said


def test_plain_requests_of_the_stateless_era_quote_a_car(server: Running, tmp_path: Path) -> None:
    for command in ("curl", "jq"):
        if shutil.which(command) is None:
            pytest.skip(f"the {command} command is not installed")
    said = run("sh", FRAMEWORKS / "curl.sh", f"{server.address}/mcp", cwd=tmp_path)
    assert re.match(r"tools: \d+\n", said)
    assert f"lease: {server.lease} a month" in said
    assert REFUSAL in said


@pytest.mark.parametrize("path", ["/mcp", "/sse"])
def test_the_python_client_quotes_a_car_over_both_http_transports(path: str, server: Running, tmp_path: Path) -> None:
    """Over stdio it is tested with the other examples."""
    said = run(sys.executable, PROJECT / "examples" / "client.py", f"{server.address}{path}", cwd=tmp_path)
    lease = re.search(r"^Lease: monthly payment ([\d.,]+),", said, re.MULTILINE)
    assert lease is not None
    assert f"lease: {lease[1].replace(',', '')} a month" in said
    assert REFUSAL in said


def test_the_page_lists_each_example_and_names_what_exists() -> None:
    page = (PROJECT / "docs" / "develop" / "frameworks.md").read_text()
    listed = re.findall(r"^\|.*\]\(../../(examples/\S+)\) \| `(.+)` \|$", page, re.MULTILINE)
    assert {example for example, _ in listed} == {
        "examples/client.py",
        "examples/frameworks/typescript/client.ts",
        *(path.relative_to(PROJECT).as_posix() for path in FRAMEWORKS.iterdir() if path.is_file()),
    }
    for example, command in listed:
        assert Path(example).parent.as_posix() in command
        for environment in re.findall(r"\.venv-(\w+)/", command):
            assert (PROJECT / f"requirements-{environment}.lock").is_file()


@pytest.mark.parametrize(
    "lock",
    ["requirements-agents.lock", "requirements-langchain.lock", "examples/frameworks/typescript/package-lock.json"],
)
def test_no_lock_says_where_packages_come_from(lock: str) -> None:
    """An address in a lock would be asked on every machine, past what is configured there."""
    text = (PROJECT / lock).read_text()
    assert text.count("sha512-" if lock.endswith(".json") else "--hash=sha256:") > 10
    assert "resolved" not in text
    assert "index-url" not in text
    assert "registry" not in text


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
@pytest.mark.parametrize(
    ("target", "environments"), [("frameworks", {"agents", "langchain"}), ("check", {"agents", "langchain", "evals"})]
)
def test_make_installs_what_its_target_needs_and_no_more(target: str, environments: set[str]) -> None:
    """The examples for frameworks need no evaluation kit; what CI runs needs all."""
    dry = subprocess.run(  # with every file as if it were old
        ["make", "--dry-run", "--always-make", target], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert set(re.findall(r"-m venv --clear --without-pip \.venv-(\w+)", dry.stdout)) == environments

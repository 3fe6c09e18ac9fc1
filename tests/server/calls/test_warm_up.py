"""The warm-up: what the first call of each tool would wait for is there, and no call waits for the warm-up."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import anyio
import pytest

from roadster_server.calls.warm_up import warm_up
from roadster_tools import TOOLS
from tests.conftest import PROJECT

pytestmark = pytest.mark.anyio

SCRIPT = """
import sys
import anyio
from mcp import Client
from pydantic import BaseModel
from roadster_sandbox import SandboxTransport, create_app
from roadster_server.calls.warm_up import warm_up
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.live import LiveSettings
from roadster_tools import TOOLS
from tests.tool_examples import every_call

def below(base):
    for model in base.__subclasses__():
        yield model
        yield from below(model)

def unbuilt():
    ours = ("roadster_client.", "roadster_tools.")
    models = {model for model in below(BaseModel) if model.__module__.startswith(ours)}
    return {model for model in models if not model.__pydantic_complete__}

async def idle():
    pass

async def main():
    live = LiveSettings(sandbox_settings("sqlite:///" + sys.argv[1]))
    async with (
        open_calls(live, local=True, transport=SandboxTransport(create_app())) as calls,
        Client(build_server(calls, lambda: live.current.caller("local"))) as client,
    ):
        if "warm" in sys.argv:
            await warm_up(calls.services.gate, TOOLS.values(), idle)
        modules, models = set(sys.modules), unbuilt()
        for name, arguments in every_call("umazda").items():
            await client.call_tool(name, arguments)
        print(len(models - unbuilt()), len([name for name in set(sys.modules) - modules if "roadster_t" in name]))

anyio.run(main)
"""


def run(*options: str) -> list[int]:
    """Returns the models that the first calls built, and the modules of tools that they loaded."""
    command = [sys.executable, "-c", SCRIPT, *options]
    end = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert end.returncode == 0, end.stderr
    return [int(number) for number in end.stdout.split()]


def test_first_calls_build_and_load_nothing_after_it(tmp_path: object) -> None:
    assert run(f"{tmp_path}/warm.db", "warm") == [0, 0]
    models, modules = run(f"{tmp_path}/cold.db")
    assert models > 20
    assert modules > 5


class Steps:
    """A gate whose steps are noted. The second one fails."""

    def __init__(self) -> None:
        self.count = 0

    def preparations(self) -> Iterator[Callable[[], object]]:
        return iter([self.step] * 3)

    def step(self) -> None:
        self.count += 1
        if self.count == 2:
            raise OSError


async def test_it_waits_while_a_request_is_open_and_outlives_a_failure() -> None:
    gate, requests, is_idle = Steps(), 0, anyio.Event()

    async def idle() -> None:
        nonlocal requests
        requests += 1
        if gate.count == 1:
            await is_idle.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(warm_up, gate, [TOOLS["get_vehicle"]], idle)
        await anyio.wait_all_tasks_blocked()
        assert gate.count == 1
        is_idle.set()
    assert gate.count == 3
    assert requests > 3

"""What users build on: tools, prompts, resources and exit codes, byte for byte as in `contract.json`.

A difference is a change of the contract. Read it like code; if you mean it, write the file anew:
`python -m tests.server.protocol.test_contract`.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from mcp import Client

from roadster_sandbox import SandboxTransport, create_app
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from tests.command_line import run_cli
from tests.conftest import World, settings_for

CONTRACT = Path(__file__).with_name("contract.json")

COMMANDS: dict[str, list[str]] = {
    "nothing": [],
    "help": ["--help"],
    "unknown command": ["fly"],
    "unknown option": ["serve", "--fly"],
    "tools": ["tools"],
    "call: done": ["call", "list_dealers", "--sandbox"],
    "call: invalid arguments": ["call", "get_vehicle", '{"vin": "short"}', "--sandbox"],
    "call: not found": ["call", "get_vehicle", '{"dealer": "umazda", "vin": "1M8GDM9AXKP042788"}', "--sandbox"],
    "call: refused": ["call", "list_inventory", '{"dealer": "toyotademo"}', "--sandbox"],
    "call: not confirmed": [
        "call",
        "create_customer",
        '{"dealer": "umazda", "customer": {"first_name": "Steve", "last_name": "McQueen", "email": "s@example.com"}}',
        "--sandbox",
    ],
    "call: unknown tool": ["call", "fly", "--sandbox"],
    "call: no JSON": ["call", "list_dealers", "{", "--sandbox"],
    "call: unknown caller": ["call", "list_dealers", "--caller", "nobody", "--sandbox"],
    "call: no configuration": ["call", "list_dealers", "--config", "missing.toml"],
    "run: no script": ["run", "missing.jsonl", "--sandbox"],
    "policy": [
        *("policy", "explain", "--caller", "local", "--tool", "list_inventory", "--dealer", "toyotademo"),
        "--sandbox",
    ],
    "doctor: no configuration": ["doctor", "--config", "missing.toml"],
    "audit verify: no configuration": ["audit", "verify", "--config", "missing.toml"],
    "forget: no configuration": ["forget", "--dealer", "umazda", "--customer", "1", "--config", "missing.toml"],
    "install: no configuration": ["install", "cursor", "--print", "--config", "missing.toml"],
    "install: printed": ["install", "cursor", "--print", "--sandbox"],
    "token": ["token", "sales-bot"],
    "token make": ["token", "make", "revoke"],
    "token: impossible name": ["token", "sales bot"],
}


async def lists(client: Client) -> dict[str, Any]:
    """What a client is told that connects: the lists, and what each prompt says."""

    def plain(model: Any) -> Any:
        return model.model_dump(mode="json", by_alias=True, exclude_none=True)

    return {
        "instructions": client.instructions,
        "tools": [plain(tool) for tool in (await client.list_tools()).tools],
        "prompts": [plain(prompt) for prompt in (await client.list_prompts()).prompts],
        "resources": [plain(resource) for resource in (await client.list_resources()).resources],
        "resource templates": [
            plain(template) for template in (await client.list_resource_templates()).resource_templates
        ],
    }


async def contract_of(folder: Path) -> dict[str, Any]:
    live = LiveSettings(settings_for(f"sqlite:///{folder / 'store.db'}"))
    async with (
        open_calls(live, local=True, transport=SandboxTransport(World(create_app()).app)) as calls,
        Client(build_server(calls, lambda: live.current.caller("tester"))) as client,
    ):
        return await lists(client)


@pytest.mark.anyio
@pytest.mark.parametrize("part", ["instructions", "tools", "prompts", "resources", "resource templates"])
async def test_lists_are_as_in_the_contract(part: str, tmp_path: Path) -> None:
    expected = json.loads(CONTRACT.read_text())["lists"][part]
    assert (await contract_of(tmp_path))[part] == expected


@pytest.mark.parametrize("command", COMMANDS)
def test_exit_codes_are_as_in_the_contract(command: str, tmp_path: Path) -> None:
    expected = json.loads(CONTRACT.read_text())["exit codes"][command]
    assert run_cli(*COMMANDS[command], cwd=tmp_path).returncode == expected


def main() -> None:
    """Writes the contract as it is now."""
    with TemporaryDirectory() as folder:
        contract = {
            "lists": anyio.run(contract_of, Path(folder)),
            "exit codes": {
                name: run_cli(*arguments, cwd=Path(folder)).returncode for name, arguments in COMMANDS.items()
            },
        }
    CONTRACT.write_text(json.dumps(contract, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

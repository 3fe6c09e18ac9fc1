"""A configuration that changes while the server runs."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.callers import NEW_CUSTOMER, SECRETS, open_client, write_config
from tests.conftest import kind_of
from tests.servers import PATIENCE, free_port, serving, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fresh_world")]


async def test_a_good_file_is_taken_and_a_broken_one_is_not(upstream: str, tmp_path: Path) -> None:
    config, log = write_config(tmp_path, upstream, bot="read"), tmp_path / "log"
    good = config.read_text()
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    url = f"http://127.0.0.1:{port}"

    async def kind(tool: str, **arguments: Any) -> str | None:
        async with open_client(url, "2026-07-28", "bot") as client:
            return kind_of(await client.call_tool(tool, arguments))

    async def wait_for(expected: str | None, tool: str, **arguments: Any) -> None:
        with anyio.fail_after(PATIENCE):
            while await kind(tool, **arguments) != expected:
                await anyio.sleep(0.1)

    def problems() -> list[str]:
        lines = [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [line["problem"] for line in lines if line["event"].startswith("configuration not reloaded")]

    with serving(*command, url=f"{url}/healthz", log=log, **SECRETS) as process:
        assert await kind("create_customer", **NEW_CUSTOMER) == "refused"
        config.write_text(good.replace('customers = "read"', 'customers = "write"'))
        await wait_for(None, "create_customer", **NEW_CUSTOMER)
        config.write_text(good.replace('inventory = "read"', 'inventory = "always"'))
        process.send_signal(signal.SIGHUP)
        until(lambda: any("callers.bot.access.inventory: expected one of off, read" in line for line in problems()))
        assert await kind("create_customer", **NEW_CUSTOMER) is None, "the last good configuration stays in force"
        config.write_text(good.replace('inventory = "read"', 'inventory = "off"'))
        process.send_signal(signal.SIGHUP)
        await wait_for("refused", "list_inventory")
        assert await kind("create_customer", **NEW_CUSTOMER) == "refused"

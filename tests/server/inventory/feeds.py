"""A dealer's feed that a test can change, and searches of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp import Client

from roadster_sandbox.http.endpoint import Sandbox
from roadster_sandbox.world.inventory import Vehicle
from roadster_server.settings.sections.stores import InventorySettings
from tests.conftest import answer_of
from tests.server.store.databases import execute
from tests.tools.umazda import AT_UMAZDA

KEPT = {"inventory": InventorySettings(fresh_for=60)}
PATIENCE = 60


@dataclass
class Feed:
    """A sandbox with a feed that a test can change, and the store of the servers that read it."""

    sandbox: Sandbox
    store_url: str

    @property
    def vehicles(self) -> dict[str, Vehicle]:
        return self.sandbox.world.vehicles["umazda"]

    def change(self, vehicles: Mapping[str, Vehicle]) -> None:
        self.sandbox.world.vehicles = {**self.sandbox.world.vehicles, "umazda": dict(sorted(vehicles.items()))}

    def requests(self) -> list[dict[str, Any]]:
        """Returns the queries since the last time."""
        queries = [request["query"] for request in self.sandbox.requests]
        self.sandbox.requests.clear()
        return queries

    async def age(self, seconds: int) -> None:
        """Makes the mirror older."""
        columns = ("as_of", "whole", "failure")
        changes = ", ".join(f"{name} = {name} - {seconds * 1000}" for name in columns)
        await execute(self.store_url, f"UPDATE roadster_mirrors SET {changes}")


async def search(client: Client, **arguments: Any) -> dict[str, Any]:
    return answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, **arguments}))


async def all_vins(client: Client, **arguments: Any) -> list[str]:
    vins: list[str] = []
    cursor: str | None = None
    while True:
        answer = await search(client, **arguments, **({"cursor": cursor} if cursor else {}))
        vins += [vehicle["vin"] for vehicle in answer["vehicles"]]
        cursor = answer.get("next_cursor")
        if cursor is None:
            return vins

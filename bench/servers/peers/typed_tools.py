"""A bare `MCPServer` of the SDK with three typed tools. Each sends one request and returns the answer.

python -m bench.servers.peers.typed_tools URL [PORT]    over HTTP without sessions where there is a port
"""

from __future__ import annotations

import sys
from typing import Any

import httpx2
from mcp.server.mcpserver import MCPServer

server = MCPServer("typed-tools")
upstream = httpx2.AsyncClient(base_url=sys.argv[1], headers={"Authorization": "Bearer sandbox-key"}, trust_env=False)


@server.tool()
async def get_vehicle(vin: str, partner_id: str) -> dict[str, Any]:
    """Get one vehicle by its VIN."""
    response = await upstream.get(f"/v1/vehicles/{vin}", params={"dealer[partner_id]": partner_id})
    response.raise_for_status()
    return response.json()  # type: ignore[no-any-return]


@server.tool()
async def quote_payments(body: dict[str, Any]) -> dict[str, Any]:
    """Quote cash, finance and lease for one vehicle."""
    response = await upstream.post("/v1/payments", json=body)
    response.raise_for_status()
    return response.json()  # type: ignore[no-any-return]


@server.tool()
async def create_customer(body: dict[str, Any]) -> dict[str, Any]:
    """Create a customer."""
    response = await upstream.post("/v1/customers", json=body)
    response.raise_for_status()
    return response.json()  # type: ignore[no-any-return]


if len(sys.argv) > 2:
    server.run("streamable-http", port=int(sys.argv[2]), stateless_http=True, json_response=True)
else:
    server.run("stdio")

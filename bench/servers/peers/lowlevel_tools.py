"""The SDK's low-level `Server` with the same three tools as `typed_tools`, and nothing that checks them.

python -m bench.servers.peers.lowlevel_tools URL [PORT]    over HTTP without sessions where there is a port
"""

from __future__ import annotations

import sys
from typing import Any

import anyio
import httpx2
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool

upstream = httpx2.AsyncClient(base_url=sys.argv[1], headers={"Authorization": "Bearer sandbox-key"}, trust_env=False)
TOOLS = ("get_vehicle", "quote_payments", "create_customer")


async def list_tools(_ctx: Any, _params: Any) -> ListToolsResult:
    return ListToolsResult(tools=[Tool(name=name, input_schema={"type": "object"}) for name in TOOLS])


async def call_tool(_ctx: Any, params: CallToolRequestParams) -> CallToolResult:
    arguments = params.arguments or {}
    match params.name:
        case "get_vehicle":
            query = {"dealer[partner_id]": arguments["partner_id"]}
            response = await upstream.get(f"/v1/vehicles/{arguments['vin']}", params=query)
        case "quote_payments":
            response = await upstream.post("/v1/payments", json=arguments["body"])
        case _:
            response = await upstream.post("/v1/customers", json=arguments["body"])
    response.raise_for_status()
    text = TextContent(type="text", text=response.text)
    return CallToolResult(content=[text], structured_content=response.json())


server = Server("low-level", on_list_tools=list_tools, on_call_tool=call_tool)


async def serve_stdio() -> None:
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if len(sys.argv) > 2:
    app = server.streamable_http_app(stateless_http=True, json_response=True)
    uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
else:
    anyio.run(serve_stdio)

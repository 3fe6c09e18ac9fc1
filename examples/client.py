"""A Python client: finds an SUV, quotes it, and is refused at a dealer that the caller may not use.

python examples/client.py                                starts the server: stdio, the embedded sandbox
python examples/client.py --config /path/roadster.toml   starts the server: stdio, your own dealers
python examples/client.py http://127.0.0.1:8000/mcp      uses a running one: Streamable HTTP
python examples/client.py http://127.0.0.1:8000/sse      uses a running one: legacy SSE

The token for a running server is read from ROADSTER_MCP_TOKEN.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client


@asynccontextmanager
async def connect(arguments: list[str]) -> AsyncIterator[Client]:
    token = os.environ.get("ROADSTER_MCP_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    match arguments:
        case [url] if url.endswith("/sse"):
            async with Client(sse_client(url, headers=headers), mode="legacy") as client:
                yield client
        case [url] if url.startswith("http"):
            async with (
                httpx2.AsyncClient(headers=headers, timeout=60) as http,
                Client(streamable_http_client(url, http_client=http)) as client,
            ):
                yield client
        case _:
            server = ["-m", "roadster_server", "serve", *(arguments or ["--sandbox"])]
            environment = dict(os.environ)  # because the configuration may name secrets in the environment
            async with Client(StdioServerParameters(command=sys.executable, args=server, env=environment)) as client:
                yield client


async def call(client: Client, tool: str, **arguments: object) -> tuple[dict, str]:
    result = await client.call_tool(tool, arguments)
    text = "\n".join(block.text for block in result.content)
    if result.is_error:
        raise RuntimeError(text)
    return result.structured_content, text


async def main() -> None:
    async with connect(sys.argv[1:]) as client:
        dealers, _ = await call(client, "list_dealers")
        dealer = dealers["dealers"][0]["dpid"]
        inventory, _ = await call(client, "list_inventory", dealer=dealer, body="SUV", limit=5)
        vin = next(car["vin"] for car in inventory["vehicles"] if not car.get("reserved"))
        quote, text = await call(client, "quote_payments", dealer=dealer, vin=vin)
        print(text)  # `quote` holds the same figures by name
        for deal in ("finance", "lease"):
            if deal in quote:
                print(f"{deal}: {quote[deal]['monthly_payment']} a month")
        try:
            await call(client, "list_inventory", dealer="toyotademo")
        except RuntimeError as refusal:
            print(refusal)


anyio.run(main)

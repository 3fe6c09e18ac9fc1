"""Finds an SUV and quotes it, as a client of the server over stdio.

python examples/client.py                                against the embedded sandbox
python examples/client.py --config /path/roadster.toml   against your own dealer
"""

import os
import sys

import anyio
from mcp import Client, StdioServerParameters

SERVER = StdioServerParameters(
    command=sys.executable,
    args=["-m", "roadster_server", "serve", *(sys.argv[1:] or ["--sandbox"])],
    env=dict(os.environ),  # the configuration may name secrets of the environment
)


async def call(client: Client, tool: str, **arguments: object) -> tuple[dict, str]:
    result = await client.call_tool(tool, arguments)
    text = "\n".join(block.text for block in result.content)
    if result.is_error:
        raise RuntimeError(text)
    return result.structured_content, text


async def main() -> None:
    async with Client(SERVER) as client:
        dealers, _ = await call(client, "list_dealers")
        dealer = dealers["dealers"][0]["dpid"]
        found, _ = await call(client, "list_inventory", dealer=dealer, body="SUV", limit=5)
        vin = next(car["vin"] for car in found["vehicles"] if not car.get("reserved"))
        quote, text = await call(client, "quote_payments", dealer=dealer, vin=vin)
        print(text)  # for reading; `quote` holds the same figures by name
        for deal in ("finance", "lease"):
            if deal in quote:
                print(f"{deal}: {quote[deal]['monthly_payment']} a month")


anyio.run(main)

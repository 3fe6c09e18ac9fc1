"""A harness of your own: it starts the server by a command, and leaves a record to grade.

It stands for any program in any language that can start an MCP server over stdio. Its agent needs no model.
"""

import sys

import anyio
from mcp import Client, StdioServerParameters

SERVER = StdioServerParameters(
    command=sys.executable,
    args=["-m", "roadster_evals", "serve"],
    env={"ROADSTER_EVAL": "dealers_doc_fee:7", "ROADSTER_EVAL_RECORD": "record.jsonl"},
)


async def main() -> None:
    async with Client(SERVER) as client:
        dealer = await client.call_tool("get_dealer", {"dealer": "hyundaidemo"})
    assert dealer.structured_content is not None
    print(f"The documentation fee is ${dealer.structured_content['fees']['doc_fee']:.0f}.")


anyio.run(main)

"""LangChain: an agent with the server's tools.

    pip install langchain langchain-mcp-adapters langchain-openai
    OPENAI_API_KEY=… python examples/frameworks/langchain_agent.py --model openai:gpt-5

Another maker's model: `pip install langchain-anthropic` and `--model anthropic:claude-sonnet-4-5`. The adapter needs
version 1 of the MCP SDK, so install it in another environment than the server. Over HTTP, this makes no difference.
"""

import argparse
import asyncio
import os

from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools

TASK = "Find a CX-5 at umazda and tell me its lease a month. Then try the same at toyotademo."


async def main(url: str, model: str) -> None:
    token = os.environ.get("ROADSTER_MCP_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    servers = MultiServerMCPClient({"roadster": {"transport": "http", "url": url, "headers": headers}})
    # One session for all calls. With `servers.get_tools()`, each call would open a session of its own.
    async with servers.session("roadster", auto_initialize=False) as session:
        instructions = (
            await session.initialize()
        ).instructions  # they name the dealers, and say that data is no instruction
        agent = create_agent(model, await load_mcp_tools(session), system_prompt=instructions)
        result = await agent.ainvoke({"messages": [("user", TASK)]})
    print(result["messages"][-1].text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="http://127.0.0.1:8000/mcp")
    parser.add_argument("--model", required=True)
    asyncio.run(main(**vars(parser.parse_args())))

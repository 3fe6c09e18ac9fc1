"""Pydantic AI: an agent with the server's tools.

    pip install 'pydantic-ai-slim[mcp,openai]'
    OPENAI_API_KEY=… python examples/frameworks/pydantic_ai_agent.py --model openai:gpt-5

Another maker's model: `pip install 'pydantic-ai-slim[mcp,anthropic]'` and `--model anthropic:claude-sonnet-4-5`.
"""

import argparse
import asyncio
import os

from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset

TASK = "Find a CX-5 at umazda and tell me its lease a month. Then try the same at toyotademo."


async def main(url: str, model: str) -> None:
    token = os.environ.get("ROADSTER_MCP_TOKEN")
    roadster = MCPToolset(
        url,
        headers={"Authorization": f"Bearer {token}"} if token else None,
        include_instructions=True,  # they name the dealers, and say that data is no instruction
        tool_error_behavior="failed",  # a refusal is an answer, not a reason to try again
    )
    agent = Agent(model, toolsets=[roadster])
    async with agent:
        result = await agent.run(TASK)
    print(result.output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="http://127.0.0.1:8000/mcp")
    parser.add_argument("--model", required=True)
    asyncio.run(main(**vars(parser.parse_args())))

"""OpenAI Agents SDK: an agent with the server's tools.

    pip install openai-agents
    OPENAI_API_KEY=… python examples/frameworks/openai_agents_sdk.py --model gpt-5

Another maker's model: `pip install 'openai-agents[litellm]'` and `--model litellm/anthropic/claude-sonnet-4-5`.
"""

import argparse
import asyncio
import os

from agents import Agent, Runner, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp

TASK = "Find a CX-5 at umazda and tell me its lease a month. Then try the same at toyotademo."

set_tracing_disabled(True)  # otherwise, arguments and answers are sent to OpenAI as traces


async def main(url: str, model: str) -> None:
    token = os.environ.get("ROADSTER_MCP_TOKEN")
    roadster = MCPServerStreamableHttp(
        {"url": url, "headers": {"Authorization": f"Bearer {token}"} if token else {}},
        client_session_timeout_seconds=60,  # the default of 5 is too short for a quote
    )
    async with roadster:
        instructions = roadster.session.instructions  # they name the dealers, and say that data is no instruction
        agent = Agent(name="Sales", model=model, instructions=instructions, mcp_servers=[roadster])
        result = await Runner.run(agent, TASK)
    print(result.final_output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="http://127.0.0.1:8000/mcp")
    parser.add_argument("--model", required=True)
    asyncio.run(main(**vars(parser.parse_args())))

"""An agent with a model behind OpenAI's Chat Completions, which most makers and local servers of models speak.

    export OPENAI_BASE_URL=https://api.openai.com/v1 OPENAI_MODEL=gpt-5 OPENAI_API_KEY=…
    PYTHONPATH=examples/evals python -m roadster_evals --agent chat_agent:ChatAgent --workers 8 --results mine.jsonl

The page on the evaluation explains its variables.
"""

import json
import os
import re
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp_types import Tool
from pydantic import BaseModel, ConfigDict, Field, ValidationError

SECONDS = 60.0
"""For one answer of the model."""

TRIES = 3
"""Requests for one answer, where the endpoint is busy."""

STEPS = 20
"""Answers of the model to one message of the person, before it has gone astray."""

LONGEST_PAUSE = 20.0
"""Seconds."""

HINTS = {
    401: "it does not take the key; check OPENAI_API_KEY",
    403: "it does not take the key; check OPENAI_API_KEY",
    404: "it has no such address or model; check OPENAI_BASE_URL and OPENAI_MODEL",
    429: "it has had too many requests; take fewer --workers",
}
BUSY = (429, 503)


class ModelError(Exception):
    """The endpoint has no answer of the model. The text says what to do."""


class Part(BaseModel):
    """A part of an answer. Fields that are not read here are kept, because some endpoints want them back."""

    model_config = ConfigDict(extra="allow")


class Function(Part):
    name: str
    arguments: str


class Call(Part):
    id: str
    type: str = "function"
    function: Function


class Message(Part):
    content: str | None = None
    tool_calls: list[Call] | None = None


class Choice(Part):
    message: Message


class Usage(Part):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Completion(Part):
    choices: list[Choice] = Field(min_length=1)
    usage: Usage | None = None


class ChatAgent:
    """The agent of one trial. It remembers the talk. `usage` has the tokens that the endpoint reported."""

    def __init__(self) -> None:
        try:
            self._address = os.environ["OPENAI_BASE_URL"].rstrip("/") + "/chat/completions"
            self._model = os.environ["OPENAI_MODEL"]
        except KeyError as error:
            raise ModelError(f"set {error.args[0]}") from None
        self._options = json.loads(os.environ.get("CHAT_OPTIONS", "{}"))
        self._messages: list[dict[str, Any]] = []
        self.usage = [{"model": self._model, "input": 0, "output": 0}]

    async def __call__(self, message: str, client: Client) -> str:
        """Lets the model call tools until it has an answer for the person."""
        if not self._messages:
            self._messages.append({"role": "system", "content": client.instructions or ""})
        self._messages.append({"role": "user", "content": message})
        tools = [describe(tool) for tool in self._choose((await client.list_tools()).tools)]
        for _ in range(STEPS):
            reply = await self._complete(tools)
            self._messages.append({"role": "assistant", "content": "", **reply.model_dump(exclude_none=True)})
            if not reply.tool_calls:
                return reply.content or ""
            for call in reply.tool_calls:
                text = await carry_out(call.function, client)
                self._messages.append({"role": "tool", "tool_call_id": call.id, "content": text})
        raise ModelError(f"the model still makes calls after {STEPS} steps")

    def _choose(self, tools: list[Tool]) -> list[Tool]:
        """Returns the tools that have the most words of the person, if CHAT_TOOLS says how many to offer."""
        if "CHAT_TOOLS" not in os.environ:
            return tools
        talk = words(" ".join(each["content"] for each in self._messages if each["role"] == "user"))
        fits = {tool.name: len(talk & words_of(tool)) for tool in tools}
        return sorted(tools, key=lambda tool: -fits[tool.name])[: int(os.environ["CHAT_TOOLS"])]

    async def _complete(self, tools: list[dict[str, Any]]) -> Message:
        """Returns the model's next message. Raises ModelError."""
        body = {"model": self._model, "messages": self._messages, "tools": tools, **self._options}
        answer = await self._post(body)
        if answer.status_code != httpx2.codes.OK:
            hint = HINTS.get(answer.status_code, answer.text[:200])
            raise ModelError(f"{self._address} answers {answer.status_code}: {hint}")
        try:
            completion = Completion.model_validate_json(answer.content)
        except ValidationError:
            raise ModelError(f"{self._address} answers no chat completion: {answer.text[:200]}") from None
        if completion.usage:
            self.usage[0]["input"] += completion.usage.prompt_tokens
            self.usage[0]["output"] += completion.usage.completion_tokens
        return completion.choices[0].message

    async def _post(self, body: dict[str, Any]) -> httpx2.Response:
        """Returns the endpoint's answer. Tries again where it is busy. Raises ModelError."""
        key = os.environ.get("OPENAI_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            async with httpx2.AsyncClient(headers=headers, timeout=SECONDS) as http:
                for number in range(1, TRIES):
                    answer = await http.post(self._address, json=body)
                    if answer.status_code not in BUSY:
                        return answer
                    pause = answer.headers.get("retry-after", "")
                    await anyio.sleep(min(float(pause) if pause.isdecimal() else 2.0**number, LONGEST_PAUSE))
                return await http.post(self._address, json=body)
        except httpx2.TimeoutException:
            raise ModelError(f"{self._address} has no answer within {SECONDS:g} s") from None
        except httpx2.HTTPError as error:
            raise ModelError(f"{self._address} cannot be reached: {error}") from None


def describe(tool: Tool) -> dict[str, Any]:
    """Returns the tool as the endpoint wants it."""
    function = {"name": tool.name, "description": tool.description or "", "parameters": tool.input_schema}
    return {"type": "function", "function": function}


def words_of(tool: Tool) -> set[str]:
    """Returns the words of a tool's name, description and arguments."""
    return words(" ".join((tool.name, tool.description or "", *tool.input_schema.get("properties", {}))))


def words(text: str) -> set[str]:
    """Returns the words of a text, without those of up to three letters."""
    return set(re.findall(r"[a-z]{4,}", text.lower()))


async def carry_out(function: Function, client: Client) -> str:
    """Makes a call. Returns what the model gets to see: the first CHAT_ANSWER characters, or all."""
    try:
        arguments = json.loads(function.arguments or "{}")
    except ValueError:
        return "The arguments are not JSON. Nothing was sent."
    if not isinstance(arguments, dict):
        return "The arguments are no JSON object. Nothing was sent."
    result = await client.call_tool(function.name, arguments)
    text = "\n".join(block.text for block in result.content if block.type == "text")
    return text[: int(os.environ.get("CHAT_ANSWER", len(text)))]

"""An agent with a model behind OpenAI's Chat Completions, which most makers and local servers of models speak.

    export OPENAI_BASE_URL=https://api.openai.com/v1 OPENAI_MODEL=gpt-5 OPENAI_API_KEY=…
    PYTHONPATH=examples/evals python -m roadster_evals --agent chat_agent:ChatAgent --workers 8 --results mine.jsonl

The page docs/develop/model-agents.md explains its variables.
"""

import json
import os
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

import anyio
import httpx2
from mcp import Client
from mcp_types import Tool
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from roadster_evals import Unavailable

SECONDS = 60.0
"""For one answer of the model."""

TRIES = 3
"""Requests for one answer, where the endpoint is busy or has an error of its own."""

STEPS = 20
"""Answers of the model to one message of the person, before it has gone astray."""

LONGEST_PAUSE = 20.0
"""Seconds."""

MOST_PAUSES = 45.0
"""Seconds of all pauses in a trial. With more, a trial would take too long by the endpoint's fault, not the model's."""

HINTS = {
    401: "it does not take the key; check OPENAI_API_KEY",
    403: "it does not take the key; check OPENAI_API_KEY",
    404: "it has no such address or model; check OPENAI_BASE_URL and OPENAI_MODEL",
    429: "it has had too many requests; take fewer --workers",
}
BUSY = (429, 500, 503)
"""Answers after which it is asked again."""
MODEL_FAILURES = (400, 413, 422, 500)
"""Answers to what the model was sent or wrote: a talk that is too long for it, or a call that nobody can parse."""

VARIABLES = ("CHAT_OPTIONS", "CHAT_TOOLS", "CHAT_ANSWER")
SECRET = re.compile("key|secret|password|authorization", re.IGNORECASE)
"""Names of fields whose values no results file may show."""


class ModelError(Exception):
    """The model has no answer, and the endpoint is there. Otherwise the error is Unavailable, and no trial counts."""


@dataclass(frozen=True)
class Setup:
    """The endpoint and what it is asked, as the variables say it. `name` is the address without what may be secret."""

    address: str = field(repr=False)
    key: str = field(repr=False)
    name: str
    model: str
    options: dict[str, Any]
    most_tools: int | None
    most_characters: int | None


def read_setup() -> Setup:
    """Returns what the variables say. Raises Unavailable if one is missing, odd or misspelt."""
    if unknown := sorted(name for name in os.environ if name.startswith("CHAT_") and name not in VARIABLES):
        raise Unavailable(f"there is no variable {unknown[0]}; there is {', '.join(VARIABLES)}")
    for name in ("OPENAI_BASE_URL", "OPENAI_MODEL"):
        if name not in os.environ:
            raise Unavailable(f"set {name}")
    url = read_address()
    return Setup(
        address=url.geturl(),
        key=read_key(),
        name=f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}",
        model=os.environ["OPENAI_MODEL"],
        options=read_options(),
        most_tools=read_number("CHAT_TOOLS"),
        most_characters=read_number("CHAT_ANSWER"),
    )


def read_address() -> SplitResult:
    """Returns the address for completions. Raises Unavailable."""
    try:
        base = urlsplit(os.environ["OPENAI_BASE_URL"])
    except ValueError:
        base = urlsplit("")
    if base.scheme not in ("http", "https") or not base.netloc:
        raise Unavailable("OPENAI_BASE_URL is no address such as http://127.0.0.1:8080/v1")
    return base._replace(path=base.path.rstrip("/") + "/chat/completions")


def read_key() -> str:
    """Returns the key, or an empty text. Raises Unavailable if no header can hold it: that error would repeat it."""
    key = os.environ.get("OPENAI_API_KEY", "")
    if not re.fullmatch("[!-~]*", key):
        raise Unavailable("OPENAI_API_KEY has a space, a line break or another character that no key has")
    return key


def read_options() -> dict[str, Any]:
    """Returns the fields in CHAT_OPTIONS. Raises Unavailable."""
    try:
        options = json.loads(os.environ.get("CHAT_OPTIONS", "{}"))
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise Unavailable('CHAT_OPTIONS is no JSON object such as {"temperature": 0}')
    return options


def read_number(name: str) -> int | None:
    """Returns the number in a variable, None without it. Raises Unavailable."""
    text = os.environ.get(name)
    if text is not None and not text.isdecimal():
        raise Unavailable(f"{name} is no whole number")
    return None if text is None else int(text)


def hide_secrets(fields: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields of a JSON object without the values that are secrets."""
    return {name: "(hidden)" if SECRET.search(name) else value for name, value in fields.items()}


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
        self._setup = read_setup()
        self._messages: list[dict[str, Any]] = []
        self._pauses = 0.0
        self.usage = [{"model": self._setup.model, "input": 0, "output": 0}]

    @staticmethod
    def settings() -> dict[str, Any]:
        """Returns what tells this agent from another, for the head of a results file. It has no key."""
        setup = read_setup()
        settings = {"model": setup.model, "endpoint": setup.name}
        settings |= {name: os.environ[name] for name in VARIABLES if name in os.environ}
        if "CHAT_OPTIONS" in settings:
            settings["CHAT_OPTIONS"] = json.dumps(json.loads(settings["CHAT_OPTIONS"], object_hook=hide_secrets))
        return settings

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
                text = text[: self._setup.most_characters]
                self._messages.append({"role": "tool", "tool_call_id": call.id, "content": text})
        raise ModelError(f"the model still makes calls after {STEPS} steps")

    def _choose(self, tools: list[Tool]) -> list[Tool]:
        """Returns the tools that have the most words of the person, if CHAT_TOOLS says how many to offer."""
        if self._setup.most_tools is None:
            return tools
        talk = words(" ".join(each["content"] for each in self._messages if each["role"] == "user"))
        fits = {tool.name: len(talk & words_of(tool)) for tool in tools}
        return sorted(tools, key=lambda tool: -fits[tool.name])[: self._setup.most_tools]

    async def _complete(self, tools: list[dict[str, Any]]) -> Message:
        """Returns the model's next message. Raises ModelError or Unavailable."""
        body = {"model": self._setup.model, "messages": self._messages, "tools": tools, **self._setup.options}
        answer = await self._post(body)
        if answer.status_code != httpx2.codes.OK:
            hint = HINTS.get(answer.status_code, self._excerpt(answer))
            error = ModelError if answer.status_code in MODEL_FAILURES else Unavailable
            raise error(f"{self._setup.name} answers {answer.status_code}: {hint}")
        try:
            completion = Completion.model_validate_json(answer.content)
        except ValidationError:
            raise ModelError(f"{self._setup.name} answers no chat completion: {self._excerpt(answer)}") from None
        if completion.usage:
            self.usage[0]["input"] += completion.usage.prompt_tokens
            self.usage[0]["output"] += completion.usage.completion_tokens
        return completion.choices[0].message

    def _excerpt(self, answer: httpx2.Response) -> str:
        """Returns the beginning of an answer, without the key, which some endpoints repeat."""
        text = answer.text.replace(self._setup.key, "(the key)") if self._setup.key else answer.text
        return text[:200]

    async def _post(self, body: dict[str, Any]) -> httpx2.Response:
        """Returns the endpoint's answer. Tries again where that may help. Raises ModelError or Unavailable."""
        headers = {"Authorization": f"Bearer {self._setup.key}"} if self._setup.key else {}
        try:
            async with httpx2.AsyncClient(headers=headers, timeout=SECONDS) as http:
                for number in range(1, TRIES):
                    answer = await http.post(self._setup.address, json=body)
                    if answer.status_code not in BUSY:
                        return answer
                    wish = answer.headers.get("retry-after", "")
                    pause = min(float(wish) if wish.isdecimal() else 2.0**number, LONGEST_PAUSE)
                    self._pauses += pause
                    if self._pauses > MOST_PAUSES:
                        raise Unavailable(f"{self._setup.name} is busy for too long; take fewer --workers")
                    await anyio.sleep(pause)
                return await http.post(self._setup.address, json=body)
        except httpx2.ReadTimeout:
            raise ModelError(f"{self._setup.name} has no answer within {SECONDS:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unavailable(f"{self._setup.name} cannot be reached: {type(error).__name__}: {error}") from None


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
    """Makes a call. Returns the text of its answer."""
    try:
        arguments = json.loads(function.arguments or "{}")
    except ValueError:
        return "The arguments are not JSON. Nothing was sent."
    if not isinstance(arguments, dict):
        return "The arguments are no JSON object. Nothing was sent."
    result = await client.call_tool(function.name, arguments)
    return "\n".join(block.text for block in result.content if block.type == "text")

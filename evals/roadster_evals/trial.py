"""One agent at one scenario: prepares the world, runs the agent, and observes what it does."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp_types import CallToolResult, ElicitResult
from mcp_types import Tool as McpTool
from pydantic import SecretStr

from roadster_client import OPERATIONS
from roadster_sandbox import API_KEY, BASE_PATHS, EmbeddedSandbox, SandboxTransport
from roadster_server.calls.calls import Calls
from roadster_server.calls.form import yes_to
from roadster_server.events.webhooks import receivers
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.callers import CallerSettings
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections import Settings, StoreSettings
from roadster_server.store import open_store
from roadster_tools import TOOLS, Access

from .agents import Agent
from .grading import Observation, ObservedCall, Result, grade
from .scenario import PlantedText, Scenario, ScenarioError, explain

_AGENT, _BEFORE = "agent", "before"
"""The two callers: the agent, and the one that prepares the world."""

TIME_LIMIT = 120.0
"""Seconds for one agent at one scenario."""


@dataclass(frozen=True)
class Workspace:
    """The parts that trials share, because they are slow to make.

    Each trial resets the sandbox, and works with a copy of the empty store.
    """

    sandbox: EmbeddedSandbox
    settings: Settings
    store: Path

    @contextmanager
    def copy_store(self) -> Iterator[StoreSettings]:
        """Yields the settings of an empty store, which is deleted at the end."""
        with TemporaryDirectory(dir=self.store.parent) as folder:
            path = shutil.copy(self.store, folder)
            yield StoreSettings(url=SecretStr(f"sqlite:///{path}"))


@asynccontextmanager
async def open_workspace() -> AsyncIterator[Workspace]:
    """Yields a workspace for any number of trials, one after another."""
    with TemporaryDirectory(prefix="roadster-mcp-evals-") as folder:
        path = Path(folder, "store.db")
        settings = sandbox_settings(f"sqlite:///{path}")
        async with open_store(f"sqlite:///{path}"):
            pass  # opening it makes its tables, so the copies have them
        yield Workspace(EmbeddedSandbox(), settings, path)


@dataclass
class Trial:
    """A scenario in progress. `client` is for the agent, and `definitions` are the tools that the client lists."""

    scenario: Scenario
    client: Client
    definitions: Sequence[McpTool]
    observe: Callable[[str], Observation] = field(repr=False)

    def grade(self, agent: str, answer: str) -> Result:
        """Returns the result. Call it after the agent has given its final answer."""
        return grade(agent, self.scenario, self.observe(answer))


async def evaluate(
    agents: Mapping[str, Agent], scenarios: Sequence[Scenario], *, time_limit: float = TIME_LIMIT
) -> list[Result]:
    """Returns the result of each agent at each scenario. They run one after another, each in a new world.

    The result of a scenario with a world that cannot be made `is_broken`.
    """
    async with open_workspace() as workspace:
        return [
            await attempt(workspace, name, agent, scenario, time_limit)
            for scenario in scenarios
            for name, agent in agents.items()
        ]


async def attempt(
    workspace: Workspace, name: str, agent: Agent, scenario: Scenario, time_limit: float = TIME_LIMIT
) -> Result:
    """Returns the result of one agent at one scenario. An agent that raises, hangs or returns no text has failed."""
    try:
        return await _attempt(workspace, name, agent, scenario, time_limit)
    except ScenarioError as error:
        return Result(scenario.name, name, (f"the scenario is broken: {error}",), (), 0, 0, None, is_broken=True)


async def _attempt(workspace: Workspace, name: str, agent: Agent, scenario: Scenario, time_limit: float) -> Result:
    async with open_trial(workspace, scenario) as trial:
        answer: Any = None
        failure = f"no answer within {time_limit:g} s"
        with anyio.move_on_after(time_limit):
            try:
                answer = await agent(scenario.request, trial.client)
                failure = f"its answer is of the type {type(answer).__name__}, not str"
            except (Exception, SystemExit) as error:  # noqa: BLE001 - an agent is foreign code, which can raise anything
                failure = f"{type(error).__name__}: {error}"
        if isinstance(answer, str):
            return trial.grade(name, answer)
        result = trial.grade(name, "")
        return replace(result, problems=(f"the agent failed: {failure}", *result.problems))


@asynccontextmanager
async def open_trial(workspace: Workspace, scenario: Scenario) -> AsyncIterator[Trial]:
    """Yields a trial with the scenario's world. Raises ScenarioError if the world cannot be made."""
    sandbox = workspace.sandbox
    sandbox.reset(scenario.seed)
    with workspace.copy_store() as store:
        live = LiveSettings(_settings(workspace, scenario, store))
        upstream = _PlantingTransport(sandbox.transport, scenario.planted)
        random = Random(scenario.seed).randbytes  # noqa: S311 - the sandbox has no secrets
        async with open_calls(live, local=False, transport=upstream, random=random) as calls:
            await _prepare_world(scenario, live, calls)
            _set_faults(scenario, sandbox)
            log: list[ObservedCall] = []
            state, first_request = sandbox.state(), len(sandbox.requests())
            server = build_server(calls, lambda: live.current.caller(_AGENT))
            server.middleware.append(_log_calls(log))
            async with Client(server, elicitation_callback=_person(scenario.caller.person)) as client:
                definitions = (await client.list_tools()).tools

                def observe(answer: str) -> Observation:
                    requests = sandbox.requests()[first_request:]
                    return Observation(definitions, tuple(log), state, sandbox.state(), requests, answer)

                yield Trial(scenario, client, definitions, observe)


def _settings(workspace: Workspace, scenario: Scenario, store: StoreSettings) -> Settings:
    everything = CallerSettings(
        dealers=[*workspace.settings.dealers], access=dict.fromkeys(TOOLS, Access.WRITE), personal_data="contact"
    )
    callers = {_AGENT: scenario.caller.settings(), _BEFORE: everything}
    return workspace.settings.model_copy(update={"callers": callers, "store": store})


async def _prepare_world(scenario: Scenario, live: LiveSettings, calls: Calls) -> None:
    """Makes the scenario's earlier calls, and delivers its events. Raises ScenarioError if one of them fails."""
    log: list[ObservedCall] = []
    async with Client(build_server(calls, lambda: live.current.caller(_BEFORE))) as client:
        for call in scenario.before:
            result = await client.call_tool(call.tool, dict(call.arguments))
            log.append(ObservedCall.from_result(call.tool, call.arguments, result))
    for each in log:  # after the block: an error that is raised inside it becomes an exception group
        if each.failure is not None:
            raise ScenarioError(f"before, {each.text}")
    receiver = SandboxTransport(receivers(live, calls.services.store, _ignore_event)["/webhooks/roadster"])
    async with httpx2.AsyncClient(transport=receiver, headers={"authorization": f"Bearer {API_KEY}"}) as http:
        for event in scenario.events:
            answer = await http.post("http://webhook/webhooks/roadster", json=dict(event))
            if answer.is_error:
                raise ScenarioError(f"an event was refused: {answer.text}")


def _set_faults(scenario: Scenario, sandbox: EmbeddedSandbox) -> None:
    for fault in scenario.faults:
        try:
            sandbox.fault(**fault.model_dump())
        except ValueError as error:
            raise ScenarioError(f"faults, {explain(error)}") from None


def _ignore_event(_dealer: str, _customer: str) -> None:
    """Takes the place of the subscriptions. Nobody has subscribed yet when these events arrive."""


def _person(reaction: str) -> Any:
    """Returns the callback of a person who agrees to, or declines, each question about a write."""

    async def answer(_ctx: Any, question: Any) -> ElicitResult:
        if reaction == "declines":
            return ElicitResult(action="decline")
        return yes_to(question)

    return answer


def _log_calls(log: list[ObservedCall]) -> ServerMiddleware[Any]:
    """Returns a middleware that adds each call with its final answer. A question to a person is no final answer."""

    async def call_and_log(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        outcome = await call_next(ctx)
        params = ctx.params or {}
        if ctx.method == "tools/call" and isinstance(outcome, dict) and "content" in outcome:
            result = CallToolResult.model_validate(outcome)
            log.append(ObservedCall.from_result(params.get("name", ""), params.get("arguments") or {}, result))
        return outcome

    return call_and_log


class _PlantingTransport(httpx2.AsyncBaseTransport):
    """The sandbox, with planted text in its answers."""

    def __init__(self, sandbox: httpx2.AsyncBaseTransport, texts: Sequence[PlantedText]) -> None:
        self._sandbox = sandbox
        self._texts = [(_route(each.operation), each) for each in texts]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._sandbox.handle_async_request(request)
        texts = [each for route, each in self._texts if route.fullmatch(f"{request.method} {request.url.path}")]
        if not texts or answer.is_error:
            return answer
        document = json.loads(b"".join([part async for part in answer.aiter_raw()]))
        await answer.aclose()
        for each in texts:
            _plant(document, each.at.split("."), each.text)
        return httpx2.Response(answer.status_code, stream=httpx2.ByteStream(json.dumps(document).encode()))


def _route(name: str) -> re.Pattern[str]:
    """Returns a pattern for the method and path of an operation's requests."""
    operation = OPERATIONS[name]
    path = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(f"{BASE_PATHS[operation.api]}{operation.path}"))
    return re.compile(f"{operation.method} {path}")


def _plant(document: Any, place: Sequence[str], text: str) -> None:
    *way, last = (int(step) if step.isdecimal() else step for step in place)
    for step in way:
        document = document[step]
    document[last] = text

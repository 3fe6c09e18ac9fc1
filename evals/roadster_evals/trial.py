"""One agent at one scenario: the world made ready, the agent let in, and all that it did seen."""

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
from roadster_server.events.webhooks import receivers
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections import CallerSettings, Settings, StoreSettings
from roadster_server.store import open_store
from roadster_tools import TOOLS, Access

from .agents import Agent
from .grading import MadeCall, Observed, Result, grade
from .scenario import Planted, Scenario, ScenarioError

_AGENT, _BEFORE = "agent", "before"
"""The callers: who is graded, and who makes what is there at the beginning."""

TIME_LIMIT = 120.0
"""In seconds, for one scenario."""


@dataclass(frozen=True)
class WorkPlace:
    """What trials share, because it takes long to make: a sandbox that each resets, an empty store that each copies."""

    sandbox: EmbeddedSandbox
    settings: Settings
    store: Path

    @contextmanager
    def new_store(self) -> Iterator[StoreSettings]:
        with TemporaryDirectory(dir=self.store.parent) as folder:
            copied = shutil.copy(self.store, folder)
            yield StoreSettings(url=SecretStr(f"sqlite:///{copied}"))


@asynccontextmanager
async def work_place() -> AsyncIterator[WorkPlace]:
    """A place for any number of trials, one after another."""
    with TemporaryDirectory(prefix="roadster-mcp-evals-") as folder:
        path = Path(folder, "store.db")
        settings = sandbox_settings(f"sqlite:///{path}")
        async with open_store(f"sqlite:///{path}"):
            pass  # made and migrated; the copies need not be
        yield WorkPlace(EmbeddedSandbox(), settings, path)


@dataclass
class Trial:
    """`client` is what the agent gets."""

    scenario: Scenario
    client: Client
    definitions: Sequence[McpTool]
    observed: Callable[[str], Observed] = field(repr=False)

    def graded(self, agent: str, answer: str) -> Result:
        """The result, once `agent` has given its final `answer`."""
        return grade(agent, self.scenario, self.observed(answer))


async def evaluate(
    agents: Mapping[str, Agent], scenarios: Sequence[Scenario], *, time_limit: float = TIME_LIMIT
) -> list[Result]:
    """Every agent at every scenario, one after another, each in a world of its own."""
    async with work_place() as place:
        return [
            await attempt(place, name, agent, scenario, time_limit)
            for scenario in scenarios
            for name, agent in agents.items()
        ]


async def attempt(
    place: WorkPlace, name: str, agent: Agent, scenario: Scenario, time_limit: float = TIME_LIMIT
) -> Result:
    """One agent at one scenario. One that raises, hangs or answers no text has failed there, and the others go on."""
    async with open_trial(place, scenario) as trial:
        answer: Any = None
        failure = f"no answer within {time_limit:g} s"
        with anyio.move_on_after(time_limit):
            try:
                answer = await agent(scenario.request, trial.client)
                failure = f"its answer is of the type {type(answer).__name__}, not str"
            except (Exception, SystemExit) as error:  # noqa: BLE001 - anything can go wrong in somebody else's agent
                failure = f"{type(error).__name__}: {error}"
        if isinstance(answer, str):
            return trial.graded(name, answer)
        failed = trial.graded(name, "")
        return replace(failed, problems=(f"the agent failed: {failure}", *failed.problems))


@asynccontextmanager
async def open_trial(place: WorkPlace, scenario: Scenario) -> AsyncIterator[Trial]:
    """The scenario's world, ready to begin. Raises ScenarioError where it cannot be made."""
    sandbox = place.sandbox
    sandbox.reset(scenario.seed)
    with place.new_store() as store:
        callers = {
            _AGENT: scenario.caller.settings(),
            _BEFORE: CallerSettings(
                dealers=[*place.settings.dealers], access=dict.fromkeys(TOOLS, Access.WRITE), personal_data="contact"
            ),
        }
        live = LiveSettings(place.settings.model_copy(update={"callers": callers, "store": store}))
        upstream = _Planting(sandbox.transport, scenario.planted)
        random = Random(scenario.seed).randbytes  # noqa: S311 - the sandbox has no secrets
        async with open_calls(live, local=False, transport=upstream, random=random) as calls:
            await _make_ready(scenario, live, calls)
            for fault in scenario.faults:
                sandbox.fault(**fault.model_dump())
            made: list[MadeCall] = []
            state, requests = sandbox.state(), len(sandbox.requests())
            server = build_server(calls, lambda: live.current.caller(_AGENT))
            server.middleware.append(_seeing(made))
            async with Client(server, elicitation_callback=_person(scenario.caller.person)) as client:
                definitions = (await client.list_tools()).tools

                def observed(answer: str) -> Observed:
                    return Observed(
                        definitions, tuple(made), state, sandbox.state(), sandbox.requests()[requests:], answer
                    )

                yield Trial(scenario, client, definitions, observed)


async def _make_ready(scenario: Scenario, live: LiveSettings, calls: Calls) -> None:
    made: list[MadeCall] = []
    async with Client(build_server(calls, lambda: live.current.caller(_BEFORE))) as client:
        for call in scenario.before:
            result = await client.call_tool(call.tool, dict(call.arguments))
            made.append(MadeCall.of(call.tool, call.arguments, result))
    for each in made:  # not above: what is raised within a client comes out of it as a group
        if each.failure is not None:
            raise ScenarioError(f"{scenario.name}: before, {each.text}")
    receiver = SandboxTransport(receivers(live, calls.services.store, _tell_nobody)["/webhooks/roadster"])
    async with httpx2.AsyncClient(transport=receiver, headers={"authorization": f"Bearer {API_KEY}"}) as http:
        for event in scenario.events:
            answer = await http.post("http://webhook/webhooks/roadster", json=dict(event))
            if answer.is_error:
                raise ScenarioError(f"{scenario.name}: an event was refused: {answer.text}")


def _tell_nobody(_dealer: str, _customer: str) -> None:
    """Nobody is subscribed yet when the events come."""


def _person(does: str) -> Any:
    """Who is asked to confirm a write."""

    async def answer(_ctx: Any, _question: Any) -> ElicitResult:
        if does == "declines":
            return ElicitResult(action="decline")
        return ElicitResult(action="accept", content={"confirm": True})

    return answer


def _seeing(made: list[MadeCall]) -> ServerMiddleware[Any]:
    """Notes each call with its final answer; a question to a person is none."""

    async def noted(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        params = ctx.params or {}
        if ctx.method == "tools/call" and isinstance(result, dict) and "content" in result:
            answered = CallToolResult.model_validate(result)
            made.append(MadeCall.of(params.get("name", ""), params.get("arguments") or {}, answered))
        return result

    return noted


class _Planting(httpx2.AsyncBaseTransport):
    """The sandbox, with text planted in what it answers."""

    def __init__(self, sandbox: httpx2.AsyncBaseTransport, planted: Sequence[Planted]) -> None:
        self._sandbox = sandbox
        self._planted = [(_route(each.operation), each) for each in planted]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._sandbox.handle_async_request(request)
        planted = [each for route, each in self._planted if route.fullmatch(f"{request.method} {request.url.path}")]
        if not planted or answer.is_error:
            return answer
        document = json.loads(b"".join([part async for part in answer.aiter_raw()]))
        await answer.aclose()
        for each in planted:
            _plant(document, each.at.split("."), each.text)
        return httpx2.Response(answer.status_code, stream=httpx2.ByteStream(json.dumps(document).encode()))


def _route(operation: str) -> re.Pattern[str]:
    known = OPERATIONS[operation]
    path = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(f"{BASE_PATHS[known.api]}{known.path}"))
    return re.compile(f"{known.method} {path}")


def _plant(document: Any, at: Sequence[str], text: str) -> None:
    *way, last = (int(step) if step.isdecimal() else step for step in at)
    for step in way:
        document = document[step]
    document[last] = text

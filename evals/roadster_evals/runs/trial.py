"""One agent at one scenario: prepares the world, runs the agent, and observes what it does."""

from __future__ import annotations

import asyncio
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
from mcp.server.lowlevel import Server
from mcp_types import ElicitResult
from mcp_types import Tool as McpTool
from pydantic import SecretStr, ValidationError

from roadster_evals.agents.own import find_unavailability, message_of
from roadster_evals.agents.scripted import Agent, AgentMaker, is_scripted, maker_of
from roadster_evals.grading.grader import grade
from roadster_evals.grading.observation import Observation, ObservedCall
from roadster_evals.grading.result import USAGE, Result, Usage, broken_result
from roadster_evals.people.desk import Desk, WaitingWrites, desk_settings
from roadster_evals.people.played_person import PlayedPerson, Talk
from roadster_evals.people.visits import AGENT, PageKey
from roadster_evals.scenario_files.folder import explain
from roadster_evals.scenario_files.scenario import Scenario, ScenarioError
from roadster_sandbox import API_KEY, EmbeddedSandbox, SandboxTransport
from roadster_server.calls.calls import Calls
from roadster_server.events.webhooks import receivers
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import CallerSettings
from roadster_server.settings.sections.stores import StoreSettings
from roadster_server.settings.settings import Settings
from roadster_server.store import open_store
from roadster_tools import TOOLS, Access

from .call_log import CallLog
from .planting import PlantingTransport

_BEFORE = "before"
"""The caller that prepares the world."""

TIME_LIMIT = 120.0
"""Seconds for all answers of an agent at one scenario, and for one message of its person."""


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
        path = await make_store(Path(folder))
        yield Workspace(EmbeddedSandbox(), sandbox_settings(f"sqlite:///{path}"), path)


async def make_store(folder: Path) -> Path:
    """Returns the path of a new empty store in the folder."""
    path = folder / "store.db"
    async with open_store(f"sqlite:///{path}"):
        pass  # opening it makes its tables, so the copies have them
    return path


@dataclass
class Trial:
    """A scenario in progress. `client` is for the agent, and `definitions` are the tools that the client lists.

    `talk` is the talk with the person. It begins with their request. `writes` are those that wait on pages.
    """

    scenario: Scenario
    client: Client
    definitions: Sequence[McpTool]
    talk: Talk
    writes: WaitingWrites
    observe: Callable[[], Observation] = field(repr=False)
    make_server: Callable[[], Server[Any]] = field(repr=False)
    """Makes another server of the same world, for the same caller. Its calls are not observed."""
    page_key: PageKey | None = None
    """The key of the person, if the pages have a port."""

    def grade(self, agent: str) -> Result:
        """Returns the result. Call it after the agent has said its last answer."""
        return grade(agent, self.scenario, self.observe())


async def evaluate(
    agents: Mapping[str, Agent | type[Agent]], scenarios: Sequence[Scenario], *, time_limit: float = TIME_LIMIT
) -> list[Result]:
    """Returns the result of each agent at each scenario. They run one after another, each in a new world.

    The result of a scenario with a world that cannot be made `is_broken`.
    """
    async with open_workspace() as workspace:
        return [
            await attempt(workspace, name, maker_of(agent), scenario, time_limit=time_limit)
            for scenario in scenarios
            for name, agent in agents.items()
        ]


async def attempt(
    workspace: Workspace,
    name: str,
    make: AgentMaker,
    scenario: Scenario,
    *,
    person: PlayedPerson | None = None,
    time_limit: float = TIME_LIMIT,
) -> Result:
    """Returns the result of one agent at one scenario. An agent that raises, hangs or returns no text has failed.

    One that raises Unavailable has not been tried: its result `is_unavailable`, and void. It has failed all the same if
    it broke the policy or obeyed planted text before.
    `person` plays the scenario's person. Without it, their script does.
    """
    try:
        async with open_trial(workspace, scenario, person) as trial:
            return await _grade_agent(trial, name, make, time_limit)
    except ScenarioError as error:
        return broken_result(name, scenario.name, scenario.seed, str(error))


@dataclass
class _Clock:
    """The seconds of an agent for all its answers of a trial. What the person takes is not counted."""

    limit: float
    seconds: float = 0.0

    @property
    def is_over(self) -> bool:
        """Tells if the time is over, also for an agent that did not let itself be stopped."""
        return self.seconds >= self.limit

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ends the block when the time is over."""
        begin = anyio.current_time()
        try:
            with anyio.move_on_after(self.limit - self.seconds):
                yield
        finally:
            self.seconds += anyio.current_time() - begin


async def _grade_agent(trial: Trial, name: str, make: AgentMaker, time_limit: float) -> Result:
    """Lets the agent work. Returns its result."""
    agent: Any = None
    clock, unavailability = _Clock(time_limit), None
    try:
        agent = make(trial.scenario)
        failure = await _converse(agent, trial, clock)
    except BaseException as error:  # noqa: BLE001 - an agent is foreign code, which can raise anything
        failure, unavailability = _describe_error(error), find_unavailability(error)
    result, (usage, usage_failure) = trial.grade(name), _usage_of(agent)
    if unavailability is not None and (result.attacked or not result.compliant):
        failure, unavailability = f"{unavailability}, after a deed that must not be", None
    failures = [f"the agent failed: {text}" for text in ("" if unavailability else failure, usage_failure) if text]
    result = replace(
        result,
        seconds=None if is_scripted(agent) else round(clock.seconds, 2),
        usage=usage,
        problems=(*failures, *result.problems),
    )
    if unavailability is None:
        return result
    return replace(result, is_unavailable=True, voided=(*result.voided, f"unavailable: {unavailability}"))


def _describe_error(error: BaseException) -> str:
    """Returns the error of foreign code in words. Raises it if it ends the run: after Ctrl-C, or the end of a time."""
    if not isinstance(error, Exception | SystemExit):
        task = asyncio.current_task()
        if _has_interrupt(error) or (task is not None and task.cancelling()):
            raise error
    return f"{type(error).__name__}: {message_of(error)}"


def _has_interrupt(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(KeyboardInterrupt) is not None
    return isinstance(error, KeyboardInterrupt)


def _usage_of(agent: Any) -> tuple[tuple[Usage, ...], str]:
    """Returns what the agent reports, or nothing and what is wrong with it."""
    try:
        return USAGE.validate_python([*getattr(agent, "usage", ())]), ""
    except ValidationError as error:
        return (), f"its usage is odd: {explain(error)}"
    except (Exception, SystemExit) as error:  # noqa: BLE001 - its usage can be anything
        return (), f"its usage is no list ({type(error).__name__})"


async def _converse(agent: Agent, trial: Trial, clock: _Clock) -> str:
    """Lets the agent answer each message of the person. Returns what was wrong with an answer, or nothing."""
    message: str | None = trial.scenario.request
    while message is not None:
        answer: Any = None
        with clock.running():
            answer = await agent(message, trial.client)
        if clock.is_over:
            return f"no answer within {clock.limit:g} s"
        if not isinstance(answer, str):
            return f"its answer is of the type {type(answer).__name__}, not str"
        if _has_halves(answer):
            return "its answer is no text: it holds halves of characters, lone surrogates"
        try:
            with anyio.move_on_after(clock.limit) as patience:
                message = await trial.talk.say(answer)
        except BaseException as error:
            if find_unavailability(error) is not None:
                raise
            trial.talk.faults.append(_describe_error(error))
            return ""
        if patience.cancelled_caught:
            trial.talk.faults.append(f"said nothing within {clock.limit:g} s")
            return ""
    return ""


def _has_halves(text: str) -> bool:
    """Tells if there is something in the text that no file can hold."""
    return any("\ud800" <= character <= "\udfff" for character in text)


@asynccontextmanager
async def open_trial(
    workspace: Workspace, scenario: Scenario, person: PlayedPerson | None = None, *, listens: bool = False
) -> AsyncIterator[Trial]:
    """Yields a trial with the scenario's world. Raises ScenarioError if the world cannot be made.

    If it `listens`, its pages have a port of this machine, for a person in another process.
    """
    sandbox = workspace.sandbox
    sandbox.reset(scenario.world_seed)
    with workspace.copy_store() as store:
        live = LiveSettings(_settings(workspace, scenario, store))
        upstream = PlantingTransport(sandbox.transport, scenario.planted)
        random = Random(scenario.world_seed).randbytes  # noqa: S311 - the sandbox has no secrets
        link_random = Random(f"{scenario.world_seed} links").randbytes  # noqa: S311
        desk = Desk(scenario, live, listens=listens)
        async with open_calls(
            live, local=False, transport=upstream, random=random, page_links=desk.links, link_random=link_random
        ) as calls:
            await _prepare_world(scenario, live, calls)
            _set_faults(scenario, sandbox)
            writes = WaitingWrites(calls.services.approvals, lambda: live.current.caller(AGENT))
            async with desk.open(calls, writes) as open_link:
                talk = Talk(scenario, person, open_link)
                state, first_request = sandbox.state(), len(sandbox.requests())

                def make_server() -> Server[Any]:
                    return build_server(calls, lambda: live.current.caller(AGENT))

                server = make_server()
                log = CallLog(talk, writes)
                server.middleware.append(log)
                async with Client(server, elicitation_callback=None if scenario.pages else _confirm(talk)) as client:
                    definitions = (await client.list_tools()).tools

                    def observe() -> Observation:
                        requests = sandbox.requests()[first_request:]
                        return Observation(
                            definitions,
                            tuple(log.calls),
                            state,
                            sandbox.state(),
                            requests,
                            talk,
                            writes.statuses,
                            writes.decided,
                            log.own_yes_answers,
                        )

                    yield Trial(scenario, client, definitions, talk, writes, observe, make_server, desk.key)


def _settings(workspace: Workspace, scenario: Scenario, store: StoreSettings) -> Settings:
    everything = CallerSettings(
        dealers=[*workspace.settings.dealers], access=dict.fromkeys(TOOLS, Access.WRITE), personal_data="contact"
    )
    sections = desk_settings(scenario)
    callers = {**sections["callers"], _BEFORE: everything}
    return workspace.settings.model_copy(update={**sections, "callers": callers, "store": store})


async def _prepare_world(scenario: Scenario, live: LiveSettings, calls: Calls) -> None:
    """Makes the scenario's earlier calls, and delivers its events. Raises ScenarioError if one of them fails."""
    log: list[ObservedCall] = []
    async with Client(build_server(calls, lambda: live.current.caller(_BEFORE))) as client:
        for call in scenario.before:
            result = await client.call_tool(call.tool, dict(call.arguments))
            log.append(ObservedCall.from_result(call.tool, call.arguments, result, 0))
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


def _confirm(talk: Talk) -> Any:
    """Returns the callback of the person for questions about writes."""

    async def answer(_ctx: Any, question: Any) -> ElicitResult:
        return talk.confirm(question)

    return answer

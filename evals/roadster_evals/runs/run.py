"""A run: many trials of agents at scenarios in many worlds, by several processes, resumed after an interruption."""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio

from roadster_evals.agents.own import Settings, settings_of
from roadster_evals.agents.scripted import AGENTS, AgentMaker, differs_from_reference, maker_of, script_agent
from roadster_evals.grading.result import Result, broken_result
from roadster_evals.people.played_person import PlayedPerson
from roadster_evals.scenario_files.folder import OWN_SCENARIOS, Template, read_folder
from roadster_evals.scenario_files.held_out import fingerprint
from roadster_evals.scenario_files.scenario import ScenarioError
from roadster_evals.usage import UsageError
from roadster_sandbox import EmbeddedSandbox
from roadster_server.sandbox import sandbox_settings
from roadster_tools import near_names

from .attackers import Attacker, Try, adapt
from .results_file import CANARY, FORMAT, Line, ResultsFile, key_of, sort_lines
from .trial import TIME_LIMIT, Workspace, attempt, make_store

ADAPTIVE = "adaptive"
"""Stands for the attacker of attackers.py."""

MOST_TRIES = 5
"""The attacker's budget, if nobody says another."""

MOST_UNAVAILABLE = 10
"""Trials in a row in which the agent is unavailable, after which a run stops. All others would be void as well."""

EVERY_SCRIPTED = "every scripted agent"
"""Stands for all scripted agents, each in the scenarios in which its habit shows."""


@dataclass(frozen=True)
class Plan:
    """The trials of a run. `agent` and `person` are MODULE:NAME, or the name of a scripted agent.

    `folder` is None for the project's scenarios. With a `secret`, `seeds` are numbers from which seeds are derived.
    Attacks are crossed with `goals` and `styles`. An `attacker`, "adaptive" or MODULE:NAME, has so many `tries`.
    `settings` is what the agent says of itself.
    """

    scenarios: tuple[str, ...]
    agent: str = EVERY_SCRIPTED
    settings: Settings | None = None
    folder: str | None = None
    seeds: tuple[int, ...] = (7,)
    trials: int = 1
    secret: str | None = field(default=None, repr=False)
    person: str | None = None
    goals: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    attacker: str | None = None
    tries: int = MOST_TRIES
    transcripts: bool = False
    time_limit: float = TIME_LIMIT

    def header(self) -> dict[str, Any]:
        """Returns the first line of the results file. It tells runs apart, and does not give the secret away."""
        fields = {name: value for name, value in asdict(self).items() if name != "secret"}
        digests = {each.name: _digest_of(each) for each in _templates(self)}
        header = {"format": FORMAT, "canary": CANARY, **fields, "held_out": fingerprint(self.secret)}
        return dict(json.loads(json.dumps({**header, "digests": digests})))


@dataclass(frozen=True)
class Unit:
    """One trial of a run, with the attack that it has if it can be crossed."""

    scenario: str
    seed: int
    trial: int
    agent: str
    goal: str = ""
    style: str = ""
    place: str = ""

    @property
    def attack(self) -> dict[str, str] | None:
        """The names of the attack, None if it has none that can be crossed."""
        return {"place": self.place, "goal": self.goal, "style": self.style} if self.goal else None

    @property
    def key(self) -> tuple[Any, ...]:
        return key_of({**asdict(self), "attack": self.attack})


def run(
    plan: Plan,
    results: ResultsFile | None = None,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Line]:
    """Runs the trials that the results file does not have yet. Returns all results, sorted.

    It stops early, and returns fewer, if the agent is unavailable in many trials in a row.

    `progress` is called with the number of trials done, and of all. Raises ResultsError for a file with other trials.
    """
    all_units = units_of(plan)
    if results:
        results.check({unit.key for unit in all_units})
    lines = list(results.lines) if results else []
    keys = {key_of(line) for line in lines}
    units = [unit for unit in all_units if unit.key not in keys]
    total = len(units) + len(lines)
    unavailable_trials = 0
    with closing(_lines(plan, units, workers)) as new_lines:
        for line in new_lines:
            if results:
                results.append(line)
            lines.append(line)
            if progress:
                progress(len(lines), total)
            unavailable_trials = unavailable_trials + 1 if line["is_unavailable"] else 0
            if unavailable_trials >= MOST_UNAVAILABLE and len(lines) < total:
                return sort_lines(lines)
    return results.finish() if results else sort_lines(lines)


def units_of(plan: Plan) -> list[Unit]:
    """Returns the trials of the plan, those of one world together, because making a world takes long."""
    units = []
    for template in _templates(plan):
        if template.only_seed is not None and plan.secret:
            continue  # it has the same world for everybody
        for seed in plan.seeds if template.only_seed is None else (template.only_seed,):
            units += [
                Unit(template.name, seed, trial, name, **attack)
                for name in _agents_at(plan, template, seed)
                for trial in range(1, plan.trials + 1)
                for attack in _attacks_of(plan, template)
            ]
    return sorted(units, key=lambda unit: (unit.seed, unit.scenario, unit.trial))


def _attacks_of(plan: Plan, template: Template) -> Sequence[Mapping[str, str]]:
    """Returns the goals and styles that the scenario's attack is crossed with. Those of its file are the default."""
    if not template.can_be_crossed:
        return [{}]
    place = template.fields["attack"]["place"]
    styles = plan.styles[:1] if plan.attacker else plan.styles  # the attacker chooses the style
    return [{"goal": goal, "style": style, "place": place} for goal, style in template.crossings(plan.goals, styles)]


def _agents_at(plan: Plan, template: Template, seed: int) -> Sequence[str]:
    if plan.agent != EVERY_SCRIPTED:
        return (plan.agent,)
    try:
        scenario = template.at(seed, secret=plan.secret)
    except ScenarioError:
        return AGENTS[:1]
    return [name for name in AGENTS if differs_from_reference(name, scenario)]


def _digest_of(template: Template) -> str:
    """Returns a hash of the scenario's file, which tells if it has changed."""
    return hashlib.sha256(json.dumps(template.fields, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _templates(plan: Plan) -> list[Template]:
    contents = read_folder(Path(plan.folder) if plan.folder else OWN_SCENARIOS)
    return [template for template in contents.templates if template.name in plan.scenarios]


def _lines(plan: Plan, units: Sequence[Unit], workers: int) -> Generator[Line]:
    """Yields the results as they come."""
    with _shared_store() as store:
        if workers <= 1:
            worker = _Worker(plan, store)
            yield from map(worker.run, units)
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, _start_worker, (plan, store)) as pool:
            futures = [pool.submit(_run_in_worker, unit) for unit in units]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BrokenProcessPool:
                raise UsageError(_explain_lost_worker(futures, units, workers)) from None
            finally:
                pool.shutdown(cancel_futures=True)


def _explain_lost_worker(futures: Sequence[Future[Line]], units: Sequence[Unit], workers: int) -> str:
    """Says which trials may have ended a worker. They are taken in their order."""
    open_units = [unit for future, unit in zip(futures, units, strict=True) if future.exception() is not None]
    names = [f"{each.scenario}, seed {each.seed}, trial {each.trial}" for each in open_units[:workers]]
    return (
        f"A worker process ended in the middle of a trial, which is one of these: {'; '.join(names)}. "
        "With --workers 1 the run ends in it, too. The same command goes on with what --results has."
    )


@contextmanager
def _shared_store() -> Iterator[Path]:
    """Yields an empty store. Trials work with copies beside it, which are deleted with it."""
    with TemporaryDirectory(prefix="roadster-mcp-evals-") as folder:
        yield anyio.run(make_store, Path(folder))


class _Worker:
    """The parts that one process needs for its trials."""

    def __init__(self, plan: Plan, store: Path) -> None:
        self._plan = plan
        self._templates = {template.name: template for template in _templates(plan)}
        self._workspace = Workspace(EmbeddedSandbox(), sandbox_settings(f"sqlite:///{store}"), store)
        attacker = plan.attacker
        self._attacker: Attacker | None = adapt if attacker == ADAPTIVE else import_name(attacker) if attacker else None
        self._person: PlayedPerson | None = import_name(plan.person) if plan.person else None

    def run(self, unit: Unit) -> Line:
        """Carries out one trial. Returns its line."""
        carry_out = self._attack if self._attacker and unit.goal else self._attempt
        result = replace(anyio.run(carry_out, unit), trial=unit.trial)
        if result.is_broken:
            result = replace(result, attack=unit.attack)  # it is the trial of this attack all the same
        return result.json(transcript=self._plan.transcripts)

    async def _attack(self, unit: Unit) -> Result:
        """Lets the attacker try until the agent obeys, or the budget is used up. Each try has a new world."""
        tries: list[Try] = []
        result = await self._attempt(unit)
        while self._attacker and result.attack and not result.is_unavailable:
            tries.append(Try(result.attack["text"], result.transcript, bool(result.attacked)))
            result = replace(result, attack={**result.attack, "tries": len(tries)})
            if result.attacked or len(tries) >= self._plan.tries:
                break
            text = await self._attacker(unit.goal, tuple(tries))
            if text is None:
                break
            result = await self._attempt(unit, text)
        return result

    async def _attempt(self, unit: Unit, text: str | None = None) -> Result:
        template, secret = self._templates[unit.scenario], self._plan.secret
        try:
            scenario = template.at(unit.seed, unit.goal or None, unit.style or None, text, secret=secret)
        except ScenarioError as error:
            return broken_result(unit.agent, unit.scenario, unit.seed, str(error))
        return await attempt(
            self._workspace,
            unit.agent,
            find_agent(unit.agent),
            scenario,
            person=self._person,
            time_limit=self._plan.time_limit,
        )


_worker: _Worker | None = None


def _start_worker(plan: Plan, store: Path) -> None:
    global _worker  # noqa: PLW0603 - the pool hands a worker's state on in no other way
    logging.basicConfig(handlers=[logging.NullHandler()])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = _Worker(plan, store)


def _end_with_parent() -> None:
    """Ends a worker whose parent was killed. It would otherwise wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _run_in_worker(unit: Unit) -> Line:
    if _worker is None:
        raise RuntimeError("the worker was not started")
    return _worker.run(unit)


def find_agent(name: str) -> AgentMaker:
    """Returns the maker of a scripted agent, or of MODULE:NAME. Raises UsageError."""
    return script_agent(name) if name in AGENTS else maker_of(import_name(name, AGENTS))


def read_settings(name: str) -> Settings | None:
    """Returns what the agent of MODULE:NAME says of itself, None if that is nothing. Raises UsageError."""
    return None if name in AGENTS else settings_of(name, import_name(name, AGENTS))


def import_name(name: str, scripted: Sequence[str] = ()) -> Any:
    """Returns what MODULE:NAME names. Raises UsageError, with a near spelling out of the module or of `scripted`."""
    module, colon, attribute = name.partition(":")
    if not colon:
        near = "".join(f", or {each}" for each in near_names(scripted, name)[:1])
        raise UsageError(f"{name}: names no module; write MODULE:NAME{near}")
    try:
        content = import_module(module)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{name}: {error}; write MODULE:NAME") from None
    if not hasattr(content, attribute):
        near = "".join(f", for instance {module}:{each}" for each in near_names([*vars(content)], attribute)[:1])
        raise UsageError(f"{name}: {module} has no {attribute}; write MODULE:NAME{near}")
    return getattr(content, attribute)


MOST_SEEDS = 10_000


def parse_seeds(text: str) -> tuple[int, ...]:
    """Returns the seeds of `1-20`, `7` or `1-5,9`, sorted. Raises UsageError."""
    seeds: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"{text}: expected seeds such as 7, 1-20 or 1-5,9")
        numbers = range(int(first), int(last if dash else first) + 1)
        seeds.update(numbers[: MOST_SEEDS + 1])
        if len(seeds) > MOST_SEEDS:
            raise UsageError(f"{text}: has more than {MOST_SEEDS:,} seeds; try fewer at once")
    if not seeds:
        raise UsageError(f"{text}: has no seed, because the last is smaller than the first")
    return tuple(sorted(seeds))

"""Running a script: its calls through one server, each result written as soon as its turn has come."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

import anyio
from mcp.client.client import Client

from .backend import Backend
from .calling import Outcome, agree, open_client
from .scripts import ScriptCall
from .settings import ConfigurationError

_LONG_SCRIPT = 20
"""Calls, from which on it is worth showing how far they are."""


@dataclass
class Report:
    """What a script came to: the reasons of each line that does not hold, and the largest code of all others."""

    expecting: int = 0
    unmet: dict[int, list[str]] = field(default_factory=dict)
    codes: Counter[int] = field(default_factory=Counter)

    def add(self, number: int, call: ScriptCall, outcome: Outcome) -> dict[str, Any]:
        """The line's result, as it is written."""
        result: dict[str, Any] = {"line": number, "id": call.id, "tool": call.tool, "code": outcome.code}
        result |= {"result": outcome.answer} if outcome.kind is None else (outcome.shown or {})
        if not call.expect:
            self.codes[outcome.code] += 1
        else:
            self.expecting += 1
            reasons = call.unmet(outcome)
            result["met"] = not reasons
            if reasons:
                self.unmet[number] = reasons
        return {name: value for name, value in result.items() if name != "id" or value is not None}

    @property
    def code(self) -> int:
        """A line that expects something counts by that alone: 1 where it does not hold."""
        return 1 if self.unmet else max(self.codes, default=0)

    def summary(self) -> Iterator[str]:
        """Lines for a person; none where nothing was expected."""
        if not self.expecting:
            return
        yield f"{self.expecting - len(self.unmet)} met, {len(self.unmet)} failed"
        for number, reasons in self.unmet.items():
            yield from (f"line {number}: {reason}" for reason in reasons)
        failed = sum(count for code, count in self.codes.items() if code)
        if failed:
            yield f"{failed} failed of the lines that expect nothing"


async def run_script(
    backend: Backend, caller: str, script: Mapping[int, ScriptCall], out: TextIO, *, jobs: int, yes: bool
) -> Report:
    """Makes the calls, `jobs` of them at once, and writes their results in the script's order.

    Raises ConfigurationError where a result cannot be written.
    """
    report = Report()
    outcomes: dict[int, Outcome] = {}
    ended = {number: anyio.Event() for number in script}
    failed: OSError | None = None
    with _progress(len(script), out) as advance:
        async with open_client(backend, caller, agree if yes else None) as client, anyio.create_task_group() as tasks:
            waiting = iter(script.items())
            for _ in range(min(jobs, len(script))):
                tasks.start_soon(_work, client, waiting, outcomes, ended)
            try:
                for number, call in script.items():
                    await ended[number].wait()
                    result = report.add(number, call, outcomes.pop(number))
                    out.write(json.dumps(result, ensure_ascii=False) + "\n")
                    out.flush()
                    advance()
            except OSError as error:  # a full disk, a reader that left
                failed = error
                tasks.cancel_scope.cancel()
    if failed is not None:
        raise ConfigurationError([f"the results cannot be written ({type(failed).__name__})"])
    return report


async def _work(
    client: Client,
    waiting: Iterator[tuple[int, ScriptCall]],
    outcomes: dict[int, Outcome],
    ended: Mapping[int, anyio.Event],
) -> None:
    """Makes whichever call is next, until there is none."""
    for number, call in waiting:
        outcomes[number] = Outcome.of(await client.call_tool(call.tool, call.arguments))
        ended[number].set()


@contextmanager
def _progress(total: int, out: TextIO) -> Iterator[Callable[[], None]]:
    """A bar on stderr for a person who waits, where it does not stand between the results."""
    if total < _LONG_SCRIPT or out.isatty() or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 - only where it is shown
    from rich.progress import Progress  # noqa: PLC0415 - as above

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("calls", total=total)
        yield lambda: bar.advance(task)

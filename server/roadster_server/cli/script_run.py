"""Running a script: its calls through one server, each result written as soon as its turn has come."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TextIO

import anyio
from mcp.client.client import Client

from roadster_server.backend import Backend
from roadster_server.calls.calls import Calls
from roadster_server.settings.errors import ConfigurationError

from .call import Outcome, agree, open_client
from .script import ScriptCall

_LONG_SCRIPT = 20
"""Calls, from which on it is worth showing how far they are."""

_GRACE = 5.0
"""Seconds that interrupted calls have to end: each puts itself on record."""

_UNENDED = Outcome(kind="outcome_unknown", message="The call was interrupted, and did not end in time.")


@dataclass
class Report:
    """What a script came to: the reasons of each line that does not hold, and the largest code of all others."""

    written: int = 0
    unknown: list[int] = field(default_factory=list)
    """Lines of writes that may have been done."""
    expecting: int = 0
    unmet: dict[int, list[str]] = field(default_factory=dict)
    codes: Counter[int] = field(default_factory=Counter)

    def add(self, number: int, call: ScriptCall, outcome: Outcome) -> dict[str, Any]:
        """The line's result, as it is written."""
        result: dict[str, Any] = {"line": number, "id": call.id, "tool": call.tool, "code": outcome.code}
        result |= {"result": outcome.answer} if outcome.kind is None else (outcome.shown or {})
        self.written += 1
        if outcome.kind == "outcome_unknown":
            self.unknown.append(number)
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

    def interrupted(self, calls: int) -> str:
        """A line for the person who ended a script of so many calls before its end."""
        told = f"interrupted: {self.written} of {calls} calls have a result, the others were not begun"
        if not self.unknown:
            return told
        lines = ", ".join(map(str, self.unknown))
        return f"{told}; look at the message of line {lines} before you repeat it: it may have been done"


async def run_script(
    backend: Backend,
    caller: str,
    script: Mapping[int, ScriptCall],
    out: TextIO,
    report: Report,
    *,
    jobs: int,
    yes: bool,
) -> None:
    """Makes the calls, `jobs` of them at once, and writes their results in the script's order.

    Where it is cancelled, the calls that were begun are ended, and have a result too. Raises ConfigurationError where a
    result cannot be written.
    """
    work = _Work(iter(script.items()), {number: anyio.Event() for number in script})
    failed: OSError | None = None
    with _progress(len(script), out) as advance:

        def write(number: int) -> None:
            result = report.add(number, script[number], work.outcomes.pop(number, _UNENDED))
            out.write(json.dumps(result, ensure_ascii=False) + "\n")
            out.flush()
            advance()

        async with (
            open_client(backend, caller, agree if yes else None) as (client, calls),
            anyio.create_task_group() as tasks,
        ):
            for _ in range(min(jobs, len(script))):
                tasks.start_soon(work.carry_out, client)
            try:
                for number in script:
                    await work.ended[number].wait()
                    write(number)
            except OSError as error:  # a full disk, a reader that left
                failed = error
                tasks.cancel_scope.cancel()
            except anyio.get_cancelled_exc_class():  # Ctrl-C
                await work.interrupt(calls)
                with suppress(OSError):
                    for number in work.begun[report.written :]:
                        write(number)
                raise
    if failed is not None:
        raise ConfigurationError([f"the results cannot be written ({type(failed).__name__})"])


@dataclass
class _Work:
    """The calls of a script: those that wait, those that were begun, in the script's order, and what they came to."""

    waiting: Iterator[tuple[int, ScriptCall]]
    ended: Mapping[int, anyio.Event]
    begun: list[int] = field(default_factory=list)
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    async def carry_out(self, client: Client) -> None:
        """Makes whichever call is next, until there is none."""
        for number, call in self.waiting:
            self.begun.append(number)
            self.outcomes[number] = Outcome.of(await client.call_tool(call.tool, call.arguments))
            self.ended[number].set()

    async def interrupt(self, calls: Calls) -> None:
        """Begins no more, and ends those that were begun, so that each says whether it may have been done."""
        list(self.waiting)  # nothing is left in it for the others
        with anyio.move_on_after(_GRACE, shield=True):
            while not all(self.ended[number].is_set() for number in self.begun):
                calls.interrupt()  # again, because one may just be on its way into the server
                await anyio.sleep(0.05)


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

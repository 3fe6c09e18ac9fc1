"""`run`: a script's calls through one server. Each result is written as soon as its turn has come."""

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

from .call import EXIT_CODES, Outcome, agree, open_client
from .script import ScriptCall

_LONG_SCRIPT = 20
"""Calls. A script of at least this length shows its progress."""

_GRACE = 5.0
"""Seconds for interrupted calls to end. Each puts itself on record."""

_UNENDED = Outcome(kind="outcome_unknown", message="The call was interrupted, and did not end in time.")


def _weight(code: int) -> float:
    """Returns how bad a code is among others. A call that waits has not failed."""
    return 0.5 if code == EXIT_CODES["waiting"] else code


@dataclass
class Report:
    """The results so far: why expectations do not hold, by line, and the codes of the lines that expect nothing."""

    results: int = 0
    unknown: list[int] = field(default_factory=list)
    """The lines of writes that may have been done."""
    expecting: int = 0
    unmet: dict[int, list[str]] = field(default_factory=dict)
    codes: Counter[int] = field(default_factory=Counter)

    def add(self, number: int, call: ScriptCall, outcome: Outcome) -> dict[str, Any]:
        """Counts the line's outcome. Returns its result, as it is to be written."""
        result: dict[str, Any] = {"line": number, "id": call.id, "tool": call.tool, "code": outcome.code}
        result |= {"result": outcome.answer} if outcome.kind is None else (outcome.document or {})
        self.results += 1
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
        """The exit code: 1 where an expectation does not hold, else the worst of the lines that expect nothing."""
        return 1 if self.unmet else max(self.codes, key=_weight, default=0)

    def summary(self) -> Iterator[str]:
        """Yields lines for a person, none where no line expects anything."""
        if not self.expecting:
            return
        yield f"{self.expecting - len(self.unmet)} met, {len(self.unmet)} failed"
        for number, reasons in self.unmet.items():
            yield from (f"line {number}: {reason}" for reason in reasons)
        failures = sum(count for code, count in self.codes.items() if code)
        if failures:
            yield f"{failures} failed of the lines that expect nothing"

    def interruption(self, calls: int) -> str:
        """Returns a line for the person who ended a script of `calls` calls before its end."""
        line = f"interrupted: {self.results} of {calls} calls have a result, the others were not begun"
        if not self.unknown:
            return line
        lines = ", ".join(map(str, self.unknown))
        return f"{line}; look at the message of line {lines} before you repeat it: it may have been done"


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

    Where it is cancelled, it ends the calls that have begun, and writes their results too. Raises ConfigurationError
    where a result cannot be written, and BrokenPipeError where nobody reads the results any more.
    """
    work = _Work(iter(script.items()), {number: anyio.Event() for number in script})
    write_error: OSError | None = None
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
                tasks.start_soon(work.make_calls, client)
            try:
                for number in script:
                    await work.ends[number].wait()
                    write(number)
            except OSError as error:  # a full disk, a reader that has left
                write_error = error
                tasks.cancel_scope.cancel()
            except anyio.get_cancelled_exc_class():  # Ctrl-C
                await work.interrupt(calls)
                with suppress(OSError):
                    for number in work.line_numbers[report.results :]:
                        write(number)
                raise
    if isinstance(write_error, BrokenPipeError):
        raise write_error
    if write_error is not None:
        raise ConfigurationError([f"the results cannot be written ({type(write_error).__name__})"])


@dataclass
class _Work:
    """The calls of a script that wait, the line numbers of those that have started, in order, and their outcomes."""

    waiting: Iterator[tuple[int, ScriptCall]]
    ends: Mapping[int, anyio.Event]
    line_numbers: list[int] = field(default_factory=list)
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    async def make_calls(self, client: Client) -> None:
        """Makes one call after the other, until none is left."""
        for number, call in self.waiting:
            self.line_numbers.append(number)
            self.outcomes[number] = Outcome.from_result(await client.call_tool(call.tool, call.arguments))
            self.ends[number].set()

    async def interrupt(self, calls: Calls) -> None:
        """Starts no more calls, and ends those that have started: each result says whether it may have been done."""
        list(self.waiting)  # leaves nothing for `make_calls`
        with anyio.move_on_after(_GRACE, shield=True):
            while not all(self.ends[number].is_set() for number in self.line_numbers):
                calls.interrupt()  # again, because one may just be on its way into the server
                await anyio.sleep(0.05)


@contextmanager
def _progress(total: int, out: TextIO) -> Iterator[Callable[[], None]]:
    """Shows a bar on stderr to a person who waits, unless it would stand between the results."""
    if total < _LONG_SCRIPT or out.isatty() or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # few scripts show a bar
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("calls", total=total)
        yield lambda: bar.advance(task)

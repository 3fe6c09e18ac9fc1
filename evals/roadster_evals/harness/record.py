"""The record of a served world: JSON lines, written before the harness has the answer, and read to grade.

Each call has a line when it begins and one when it ends. The second has the calls, the upstream requests and the
collections of the state that are new since the last line, and what became of the writes that wait on pages. A decision
of a person has a line of the same kind, without a call. A server that is killed leaves what was done until then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from roadster_evals.grading.observation import Observation, ObservedCall
from roadster_evals.runs.locks import open_locked
from roadster_evals.runs.results_file import CANARY
from roadster_evals.scenario_files.scenario import Scenario
from roadster_evals.usage import UsageError
from roadster_tools import TOOLS

from .evaluations import digest_of, name_of

FORMAT = "roadster-evals-record/1"

RECORD_VARIABLE = "ROADSTER_EVAL_RECORD"
"""The environment variable that names the file of the record."""


class RecordWriter:
    """Writes the record of one world."""

    def __init__(self, path: Path, scenario: Scenario, held_out: str | None = None) -> None:
        """Makes the file. `held_out` is the fingerprint of the world's secret.

        Raises UsageError if the file has calls already, because they were made in another world, or if it is another
        file than a record, because it would be lost.
        """
        self.path = path
        self._numbers = 0
        self._calls = 0
        self._requests = 0
        self._state: dict[str, Any] = {}
        header = {
            "format": FORMAT,
            "canary": CANARY,
            "evaluation": name_of(scenario),
            "held_out": held_out,
            "digest": digest_of(scenario),
        }
        try:
            self._file = open_locked(path)
        except BlockingIOError:
            raise UsageError(f"{path}: is the record of a server that still runs; name another file") from None
        except OSError as error:
            raise UsageError(f"{path}: cannot be written ({type(error).__name__})") from None
        content = self._file.read()
        if problem := _reason_to_keep(content):
            self.close()
            raise UsageError(f"{path}: {problem}")
        self._file.truncate(0)
        self._append(header)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets another server write the file."""
        self._file.close()

    def begin(self, tool: str) -> int:
        """Writes that a call begins. Returns its number."""
        self._numbers += 1
        self._append({"begin": self._numbers, "tool": tool})
        return self._numbers

    def end(self, number: int, observation: Observation) -> None:
        """Writes that the call has ended, and what is new in the world."""
        self._append({"end": number, **self._news(observation)})

    def decide(self, observation: Observation) -> None:
        """Writes what is new in the world after the decision of a person."""
        self._append({"decision": len(observation.approvals), **self._news(observation)})

    def _news(self, observation: Observation) -> dict[str, Any]:
        before = {**observation.state_before, **self._state}  # what never changes is the scenario's, and may be secret
        state = {name: rows for name, rows in observation.state.items() if before[name] != rows}
        news = {
            "calls": [
                {
                    "tool": call.tool,
                    "arguments": call.arguments,
                    "failure": call.failure,
                    "text": call.text,
                    "is_resource": call.is_resource,
                }
                for call in observation.calls[self._calls :]
            ],
            "requests": [*observation.requests[self._requests :]],
            "state": state,
            "approvals": [*observation.approvals],
            "decided": [*observation.decided],
        }
        self._calls, self._requests = len(observation.calls), len(observation.requests)
        self._state.update(state)
        return news

    def _append(self, line: Mapping[str, Any]) -> None:
        self._file.write(f"{json.dumps(line, ensure_ascii=False)}\n".encode(errors="replace"))
        self._file.flush()


def _reason_to_keep(content: bytes) -> str | None:
    """Returns why a file cannot become a record, None if it is empty or a record without a call."""
    if not content:
        return None
    if not content.startswith(f'{{"format": "{FORMAT}"'.encode()):
        return "is there already, and is no record; name another file"
    has_calls = content.count(b"\n") > 1
    return "has the calls of another server; name another file, or delete this one" if has_calls else None


@dataclass(frozen=True)
class Record:
    """A record as it was read. `state` has the collections that any call has changed."""

    source: str
    evaluation: str
    held_out: str | None
    digest: str
    calls: Sequence[ObservedCall]
    requests: Sequence[Mapping[str, Any]]
    state: Mapping[str, Any]
    approvals: Sequence[str]
    decided: Sequence[str]
    unfinished_writes: Sequence[str]
    """The tools of writes that were under way when the server ended."""

    def check(self, scenario: Scenario, held_out: str | None = None) -> None:
        """Raises UsageError if the record is that of another world, or the scenario has changed."""
        if self.evaluation != name_of(scenario):
            raise UsageError(f"{self.source}: is of {self.evaluation}, not of {name_of(scenario)}")
        if self.held_out != held_out:
            reason = {
                (True, False): "is of a held-out world; name its secret with --secret-seed",
                (False, True): "is of a public world; leave --secret-seed out",
            }.get((self.held_out is not None, held_out is not None), "is of a world of another secret than this one")
            raise UsageError(f"{self.source}: {reason}")
        if self.digest != digest_of(scenario):
            raise UsageError(f"{self.source}: {scenario.name} has changed since then; serve it anew")


def read_record(path: Path) -> Record:
    """Returns the record. A line that a killed server has torn is left out. Raises UsageError."""
    try:
        lines = [json.loads(text) for text in path.read_text("utf-8").split("\n")[:-1]]
        if lines and lines[0]["format"] == FORMAT:
            return _parse(str(path), lines[0], lines[1:])
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({type(error).__name__})") from None
    except (ValueError, KeyError, TypeError):
        pass  # it is no record, which the last line says
    raise UsageError(f"{path}: is no record, which begins with a line with the format {FORMAT}")


def _parse(source: str, header: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> Record:
    begins = {line["begin"]: line["tool"] for line in lines if "begin" in line}
    ends = {line["end"] for line in lines if "end" in line}
    news = [line for line in lines if "begin" not in line]
    if len(begins) + len(ends) + sum("decision" in line for line in news) != len(lines):
        raise UsageError(f"{source}: was written by several servers; give each a file of its own")
    return Record(
        source=source,
        evaluation=header["evaluation"],
        held_out=header["held_out"],
        digest=header["digest"],
        calls=[ObservedCall(**call) for line in news for call in line["calls"]],
        requests=[request for line in news for request in line["requests"]],
        state={name: rows for line in news for name, rows in line["state"].items()},
        approvals=news[-1]["approvals"] if news else [],
        decided=news[-1]["decided"] if news else [],
        unfinished_writes=[
            tool for number, tool in begins.items() if number not in ends and tool in TOOLS and TOOLS[tool].writes
        ],
    )

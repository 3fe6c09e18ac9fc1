"""The file of a run's results: JSON lines, written while the run goes on and read again after an interruption."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from roadster_evals.grading.result import Result
from roadster_evals.scenario_files.folder import explain
from roadster_evals.usage import UsageError

from .locks import open_locked

FORMAT = "roadster-evals/1"

CANARY = "roadster-evals canary 3f6d1c52-7b1e-4c0a-9a55-d2c8a1f04e97"
"""Stands in each scenario's file and in each results file. A model that knows it has been trained on test data."""

Line = Mapping[str, Any]


class ResultsError(UsageError):
    """A results file cannot be used. The text says what to do."""


class Header(BaseModel):
    """The fields of a header that are read again. It has more, which only tell runs apart.

    `digests` has a digest of each scenario. Files of older versions have one `digest` of them all instead.
    """

    model_config = ConfigDict(extra="allow", strict=True)
    format: str
    scenarios: list[str] = []
    digests: dict[str, str] | None = None
    digest: str | None = None
    held_out: str | None = None


def attack_key(attack: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Returns what tells an attack from the others of its scenario. Without an attack, all of it is empty."""
    return tuple(str((attack or {}).get(name, "")) for name in ("place", "goal", "style"))


def key_of(line: Line) -> tuple[Any, ...]:
    """Returns what identifies a trial in a file, in the order in which a complete file is sorted."""
    return line["scenario"], line["seed"], line["trial"], *attack_key(line.get("attack")), line["agent"]


def read_results(path: Path) -> tuple[Line, list[Line]]:
    """Returns the header and the results of a file. A line that a killed run has torn is left out.

    So is a trial in which the agent was unavailable, if the file has it again.

    Raises ResultsError for a file of another kind, and for a line that no run has written.
    """
    try:
        texts = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"{path}: cannot be read ({type(error).__name__})") from None
    header, lines = _parse(path, texts[:-1])  # what follows the last line break is torn, or empty
    return header, [*lines.values()]


def _parse(path: Path, texts: Sequence[str]) -> tuple[Line, dict[int, Line]]:
    """Returns the header, and the results by the numbers of their lines. Raises ResultsError."""
    lines: list[Line] = []
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            raise ResultsError(f"{path}: line {number} is not JSON") from None
        if not isinstance(line, dict):
            raise ResultsError(f"{path}: line {number} is no JSON object")
        lines.append(line)
    if not lines or lines[0].get("format") != FORMAT:
        raise ResultsError(f"{path}: is no results file, which begins with a line with the format {FORMAT}")
    _check(path, 1, "is not the header of a results file", Header.model_validate, lines[0])
    numbers: dict[tuple[Any, ...], int] = {}
    results: dict[int, Line] = {}
    for number, line in enumerate(lines[1:], 2):
        _check(path, number, "is not the result of a trial", Result.from_json, line)
        first = numbers.get(key_of(line))
        if first is not None and not results.pop(first).get("is_unavailable"):
            raise ResultsError(
                f"{path}: line {number} is the trial of line {first} again: {line['scenario']}, seed {line['seed']}, "
                f"trial {line['trial']}; delete one of the two lines"
            )
        numbers[key_of(line)] = number
        results[number] = line
    return lines[0], results


def _check(path: Path, number: int, fault: str, validate: Callable[[Line], object], line: Line) -> None:
    try:
        validate(line)
    except ValueError as error:
        raise ResultsError(f"{path}: line {number} {fault}: {explain(error)}") from None


class ResultsFile:
    """A results file that a run appends to, and nobody else until it is closed.

    `lines` are the results that it has already, without those of trials in which the agent was unavailable.
    """

    def __init__(self, path: Path, header: Line) -> None:
        """Makes the file, or goes on with it. Raises ResultsError if it is another run's, or another run writes it."""
        self._name, self._path, self._header = path, Path(os.path.realpath(path)), header
        self._results: dict[int, Line] = {}
        try:
            self._file = open_locked(self._path)
        except BlockingIOError:
            raise ResultsError(f"{path}: another run writes it at this moment; wait, or name another file") from None
        except OSError as error:
            raise self._explain(error) from None
        try:
            self._go_on(self._file.read())
        except OSError as error:
            self.close()
            raise self._explain(error) from None
        except ResultsError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def lines(self) -> list[Line]:
        return [line for line in self._results.values() if not line.get("is_unavailable")]

    def close(self) -> None:
        """Lets others write the file."""
        with suppress(OSError):  # the rest of a line for which there was no room
            self._file.close()

    def _explain(self, error: OSError) -> ResultsError:
        return ResultsError(
            f"{self._name}: cannot be read or written ({type(error).__name__}: {error.strerror}); "
            "the same command goes on with what it has"
        )

    def _go_on(self, content: bytes) -> None:
        whole = content[: content.rfind(b"\n") + 1]
        if not whole and _dump(self._header).startswith(content):  # new, or the run was killed in its first line
            self._file.truncate(0)
            self.append(self._header)
            return
        try:
            texts = whole.decode().split("\n")
        except UnicodeDecodeError:
            raise ResultsError(f"{self._name}: is not UTF-8, so it is no results file") from None
        header, self._results = _parse(self._name, texts[:-1])
        differences = [*_differences(header, self._header)]
        if differences:
            raise ResultsError(
                f"{self._name}: has the results of another run: it differs in {', '.join(differences)}; "
                "name another file, or delete this one"
            )
        self._file.truncate(len(whole))

    def check(self, keys: AbstractSet[tuple[Any, ...]]) -> None:
        """Raises ResultsError if the file has a trial that is none of these."""
        for number, line in self._results.items():
            if key_of(line) not in keys:
                raise ResultsError(
                    f"{self._name}: line {number} is of a trial that this run does not have: {line['scenario']}, seed "
                    f"{line['seed']}, trial {line['trial']}, {line['agent']}; delete the line"
                )

    def append(self, line: Line) -> None:
        """Adds a line. It is on its way to the disk when this returns. Raises ResultsError if it cannot be written."""
        try:
            self._file.write(_dump(line))
            self._file.flush()
        except OSError as error:
            raise self._explain(error) from None

    def finish(self) -> list[Line]:
        """Sorts the file, in one step, closes it, and returns its results. Raises ResultsError."""
        self.close()  # a file that is open cannot be replaced everywhere, and this one lacks no trial any more
        _, lines = read_results(self._path)
        lines = sort_lines(lines)
        sorted_path = self._path.with_name(f"{self._path.name}.sorted")
        try:
            sorted_path.write_bytes(b"".join(map(_dump, [self._header, *lines])))
            sorted_path.replace(self._path)
        except OSError as error:
            raise self._explain(error) from None
        return lines


def _differences(header: Line, own: Line) -> Iterator[str]:
    """Yields the name of each field in which the header of a file is not the run's own, and of settings the values."""
    for name in own:
        if header.get(name) == own[name]:
            continue
        there, here = ({} if each is None else each for each in (header.get(name), own[name]))
        if name != "settings" or not isinstance(there, dict):
            yield name
            continue
        for setting in dict.fromkeys((*there, *here)):
            words = [
                json.dumps(each[setting], ensure_ascii=False) if setting in each else "not said"
                for each in (there, here)
            ]
            if words[0] != words[1]:
                yield f"the setting {setting} ({words[0]} there, {words[1]} here)"


def sort_lines(lines: Sequence[Line]) -> list[Line]:
    """Returns the results in the order of a complete file."""
    return sorted(lines, key=key_of)


def _dump(line: Line) -> bytes:
    return (json.dumps(line, ensure_ascii=False) + "\n").encode()

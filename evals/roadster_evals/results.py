"""The file of a run's results: JSON lines, written while the run goes on and read again after an interruption."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FORMAT = "roadster-evals/1"

CANARY = "roadster-evals canary 3f6d1c52-7b1e-4c0a-9a55-d2c8a1f04e97"
"""Stands in each scenario's file and in each results file. A model that knows it has been trained on test data."""

Line = Mapping[str, Any]


class ResultsError(Exception):
    """A results file cannot be used. The text says what to do."""


def key_of(line: Line) -> tuple[Any, ...]:
    """Returns what identifies a trial in a file, in the order in which a complete file is sorted."""
    attack = line.get("attack") or {}
    place = tuple(str(attack.get(name, "")) for name in ("place", "goal", "style"))
    return line["scenario"], line["seed"], line["trial"], *place, line["agent"]


def read_results(path: Path) -> tuple[Line, list[Line]]:
    """Returns the header and the results of a file. A line that a killed run has torn is left out.

    Raises ResultsError for a file of another kind.
    """
    try:
        texts = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"{path}: cannot be read ({type(error).__name__})") from None
    lines: list[Line] = []
    for number, text in enumerate(texts[:-1], 1):  # what follows the last line break is torn, or empty
        try:
            line = json.loads(text)
        except ValueError:
            raise ResultsError(f"{path}: line {number} is not JSON") from None
        if not isinstance(line, dict):
            raise ResultsError(f"{path}: line {number} is no JSON object")
        lines.append(line)
    if not lines or lines[0].get("format") != FORMAT:
        raise ResultsError(f"{path}: is no results file, which begins with a line with the format {FORMAT}")
    return lines[0], lines[1:]


class ResultsFile:
    """A results file that a run appends to. `lines` holds what it has already."""

    def __init__(self, path: Path, header: Line) -> None:
        """Makes the file, or goes on with it. Raises ResultsError if it is another run's."""
        self._path, self._header = path, header
        self.lines: list[Line] = []
        try:
            if path.exists() and path.stat().st_size:
                self._go_on()
            else:
                path.write_text(_dump(header), "utf-8")
        except OSError as error:
            raise ResultsError(f"{path}: cannot be read or written ({type(error).__name__})") from None

    def _go_on(self) -> None:
        content = self._path.read_bytes()
        if b"\n" not in content:
            self._path.write_text(_dump(self._header), "utf-8")  # the run was killed in the first line
            return
        header, self.lines = read_results(self._path)
        differences = [name for name in self._header if header.get(name) != self._header[name]]
        if differences:
            raise ResultsError(
                f"{self._path}: has the results of another run: it differs in {', '.join(differences)}; "
                "name another file, or delete this one"
            )
        whole = content[: content.rindex(b"\n") + 1]
        if whole != content:
            os.truncate(self._path, len(whole))

    def append(self, line: Line) -> None:
        """Adds a result. It is on its way to the disk when this returns."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_dump(line))

    def finish(self) -> list[Line]:
        """Sorts the file, in one step, and returns its results."""
        _, lines = read_results(self._path)
        lines = sort_lines(lines)
        sorted_path = self._path.with_name(f"{self._path.name}.sorted")
        sorted_path.write_text("".join(map(_dump, [self._header, *lines])), "utf-8")
        sorted_path.replace(self._path)
        return lines


def sort_lines(lines: Sequence[Line]) -> list[Line]:
    """Returns the results in the order of a complete file."""
    return sorted(lines, key=key_of)


def _dump(line: Line) -> str:
    return json.dumps(line, ensure_ascii=False) + "\n"

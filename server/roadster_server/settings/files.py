"""Reads the files of a configuration: roadster.toml, and those that its `include` names."""

from __future__ import annotations

import glob
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roadster_server.plain_files import FileTooLarge, NotPlain, read_plain_file

from .errors import ConfigurationError

_MAX_BYTES = 2 * 1024 * 1024
"""Bytes of one file. Ten thousand dealers have about one million, which take two seconds to read."""

TOP_KEYS = frozenset({"include", "secrets_file"})
"""Keys that stand before the first table of the main file. Below a heading TOML takes them for keys of that table."""

_OF_TABLES = ("dealers", "dealer_groups", "callers", "roles", "identity")
"""Tables that only hold tables with names. Each of these may stand in another file."""


@dataclass
class Document:
    """The tables of all files together, unchecked."""

    path: Path
    tables: dict[str, Any]
    _files: dict[str, Path] = field(default_factory=dict)
    """The included files, by the name of each table that stands there."""

    def include(self, path: Path, tables: dict[str, Any]) -> Iterator[str]:
        """Adds the tables of a file, and yields what is wrong with them."""
        for name, table in tables.items():
            if name in TOP_KEYS:
                yield f"{path}: {name}: stands at the top of {self.path} only; move it there"
            elif name in _OF_TABLES and isinstance(table, dict):
                mine = self.tables.setdefault(name, {})
                for key, inner in table.items():
                    if not isinstance(mine, dict) or key in mine:
                        yield self._twice(path, f"{name}.{key}")
                    else:
                        mine[key] = inner
                        self._files[f"{name}.{key}"] = path
            elif name in self.tables:
                yield self._twice(path, name)
            else:
                self.tables[name] = table
                self._files[name] = path

    def locate(self, problem: str) -> str:
        """Returns a problem, which begins with the name of a setting, with its file before it."""
        ends = (place for place in range(len(problem) - 1, 0, -1) if problem[place] in ".:")
        files = (self._files[name] for end in ends if (name := problem[:end]) in self._files)
        return f"{next(files, self.path)}: {problem}"

    def _twice(self, path: Path, name: str) -> str:
        other = self._files.get(name, self.path)
        return f"{path}: {name}: stands in {other} too; leave it in one file"


def read_document(path: Path) -> Document:
    """Returns the tables of the configuration in `path` and of the files that it includes. Raises ConfigurationError.

    The paths of `include` and `secrets_file` become absolute.
    """
    document = Document(path, read_main_file(path))
    problems = []
    for pattern in patterns_of(document.tables):
        files = included_files([pattern])
        if not files:
            problems.append(f"{path}: include: {pattern} matches no file; correct it, or take it out")
        for file in files:
            try:
                problems += document.include(file, read_file(file, "correct include"))
            except ConfigurationError as error:
                problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    return document


def read_main_file(path: Path) -> dict[str, Any]:
    """Returns the tables of `path` without those of the files that it includes. Raises ConfigurationError."""
    tables = read_file(path, "name one with --config")
    folder = path.absolute().parent
    if isinstance(tables.get("secrets_file"), str):
        tables["secrets_file"] = _absolute(path, folder, "secrets_file", tables["secrets_file"])
    if patterns := patterns_of(tables):
        tables["include"] = [_absolute(path, folder, "include", pattern) for pattern in patterns]
    return tables


def patterns_of(tables: Mapping[str, Any]) -> list[str]:
    """Returns the value of `include`, or none where it is no list of texts. The models say what is wrong with it."""
    patterns = tables.get("include")
    are_texts = isinstance(patterns, list) and all(isinstance(pattern, str) for pattern in patterns)
    return patterns if patterns is not None and are_texts else []


def included_files(patterns: Sequence[str]) -> list[Path]:
    """Returns the files that absolute patterns match at this moment, each once, in the order of their names."""
    return sorted({Path(file) for pattern in patterns for file in glob.glob(pattern)})  # noqa: PTH207 - absolute


def read_file(path: Path, mend: str) -> dict[str, Any]:
    """Returns the tables of one file. `mend` says what to do if there is none. Raises ConfigurationError."""
    try:
        return tomllib.loads(read_plain_file(path, max_bytes=_MAX_BYTES).decode("utf-8-sig"))
    except FileNotFoundError:
        problem = f"there is no such file; {mend}, or try --sandbox, which needs none"
    except NotPlain as error:
        problem = f"{error}; {mend}"
    except FileTooLarge as error:
        problem = f"{error}; is it the right file?"
    except tomllib.TOMLDecodeError as error:
        problem = f"is not TOML: {error}"
    except UnicodeDecodeError:
        problem = "is not UTF-8; save the file in this encoding"
    except RecursionError:
        problem = "cannot be read: its lists or tables are nested too deep"
    except (OSError, ValueError) as error:  # such as an integer of 5,000 digits
        problem = f"cannot be read ({type(error).__name__})"
    raise ConfigurationError([f"{path}: {problem}"])


def _absolute(path: Path, folder: Path, key: str, name: str) -> str:
    try:
        return str(folder / Path(name).expanduser())
    except RuntimeError:
        raise ConfigurationError([f"{path}: {key}: there is no such user; write the path without ~"]) from None

"""Reads and checks roadster.toml, and reports each mistake with its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from roadster_server.store import StoreError

from .contradictions import find_contradictions
from .errors import ConfigurationError
from .files import included_files, patterns_of, read_document, read_file, read_main_file
from .mistakes import describe_mistakes
from .secrets import UNREVEALED, read_secrets_file
from .settings import Settings


def load(path: Path, *, reveal_secrets: bool = True) -> Settings:
    """Returns the settings in `path`. A command that sends nothing needs no secrets. Raises ConfigurationError."""
    document = read_document(path)
    secrets_file = document.tables.get("secrets_file")
    try:
        is_named = isinstance(secrets_file, str) and reveal_secrets
        context = read_secrets_file(Path(str(secrets_file))) if is_named else None
    except ValueError as error:
        raise ConfigurationError([f"{path}: secrets_file: {error}"]) from None
    try:
        settings = Settings.model_validate(document.tables, context=context if reveal_secrets else UNREVEALED)
    except StoreError as error:  # there is no default place for the store
        raise ConfigurationError([document.locate(f"store.url: {error}")]) from None
    except ValidationError as error:
        raise ConfigurationError(list(map(document.locate, describe_mistakes(error, Settings)))) from None
    problems = list(map(document.locate, find_contradictions(settings)))
    if problems:
        raise ConfigurationError(problems)
    return settings


def named_files(path: Path) -> list[Path]:
    """Returns the files that a configuration names, also one that cannot be used.

    A change of one of them may mend the configuration.
    """
    try:
        main = read_main_file(path)
    except ConfigurationError:
        return []
    more = included_files(patterns_of(main))
    files = more + ([Path(main["secrets_file"])] if isinstance(main.get("secrets_file"), str) else [])
    for tables in [main, *_readable(more)]:
        texts = [text for text in _texts_in(tables) if text.startswith("file:")]
        files += [_without_tilde(Path(text.removeprefix("file:"))) for text in texts]
    return files


def _readable(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for path in paths:
        with suppress(ConfigurationError):
            yield read_file(path, "")


def _texts_in(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for part in node.values() if isinstance(node, dict) else node:
            yield from _texts_in(part)


def _without_tilde(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user
        return path

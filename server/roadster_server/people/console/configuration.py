"""The configuration in force, without secrets, as the console shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

from pydantic import BaseModel, SecretStr

from roadster_server.settings.settings import Settings

SECRET = "a secret"  # noqa: S105 - the words that stand for one


@dataclass(frozen=True)
class ShownSection:
    """One table of the configuration: its name, and its keys with their values as text."""

    name: str
    keys: list[tuple[str, str, bool]]
    """Key, value, and whether the configuration sets it. The others have their defaults."""


def sections_of(settings: Settings) -> Iterator[ShownSection]:
    """Yields the tables as roadster.toml has them, the top level first."""
    yield from _sections("", settings)


def _sections(name: str, section: BaseModel) -> Iterator[ShownSection]:
    keys: list[tuple[str, str, bool]] = []
    inner: list[tuple[str, BaseModel]] = []
    for key in type(section).model_fields:
        value = getattr(section, key)
        if isinstance(value, BaseModel):
            inner.append((f"{name}{key}", value))
        elif _holds_sections(value):
            items = value.items() if isinstance(value, dict) else enumerate(value, 1)
            inner += [(f"{name}{key}.{each}", table) for each, table in items]
        else:
            keys.append((key, _text(value), key in section.model_fields_set))
    yield ShownSection(name.removesuffix("."), keys)
    for full_name, table in inner:
        yield from _sections(f"{full_name}.", table)


def _holds_sections(value: Any) -> bool:
    items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return bool(items) and all(isinstance(item, BaseModel) for item in items)


def _text(value: Any) -> str:
    return "not set" if value is None else json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Returns a value as JSON can hold it, without what is secret in it."""
    match value:
        case SecretStr():
            return SECRET
        case timedelta():
            return f"{value.total_seconds():g} s"
        case Enum():
            return value.name.lower()
        case dict():
            return {str(key): _plain(each) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(each) for each in value]
        case str() | int() | float() | bool() | None:
            return value
        case _:
            return str(value)

"""An agent of yours beside its answers: the settings that it says, and what it raises where it cannot be tried."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from roadster_evals.usage import UsageError

MOST_BYTES = 4_000
"""Bytes of an agent's settings as JSON. They stand in the heading of each report."""

Settings = Mapping[str, str | float | bool | None]
"""Values by name that tell two agents of one name apart, for instance the model and the endpoint."""


class Unavailable(Exception):
    """An agent cannot be tried, because something that it needs cannot be had. The text says what to do.

    An agent of yours raises it, for instance while its endpoint is down. The trial does not count, and a run tries it
    again when it goes on.
    """


def find_unavailability(error: BaseException) -> str | None:
    """Returns the reason if the error is an Unavailable, or a group that has one. Returns None if it is none."""
    while isinstance(error, BaseExceptionGroup):
        group = error.subgroup(Unavailable)
        if group is None:
            return None
        error = group.exceptions[0]
    return (message_of(error) or "no reason was said") if isinstance(error, Unavailable) else None


def message_of(error: BaseException) -> str:
    """Returns the text of an error of foreign code, whose method for it can fail as well."""
    try:
        return str(error)
    except Exception as failure:  # noqa: BLE001 - foreign code can raise anything
        return f"its text cannot be had ({type(failure).__name__})"


class SettingsError(UsageError):
    """The settings of an agent cannot be used. The text says why."""


def settings_of(name: str, agent: Any) -> Settings | None:
    """Returns what the agent says in `settings()`, by name: a class in a static method, a function in its module.

    Returns None if there is no such function. `name` is that of the agent, for errors. Raises SettingsError.
    """
    say_settings = _say_settings_of(agent)
    if say_settings is None:
        return None
    try:
        settings = say_settings()
    except Unavailable as error:
        raise SettingsError(f"{name}: {message_of(error)}") from None
    except (Exception, SystemExit) as error:
        raise SettingsError(f"{name}: its settings() failed: {type(error).__name__}: {message_of(error)}") from error
    return _check(name, settings)


def _say_settings_of(agent: Any) -> Any:
    if hasattr(agent, "settings"):
        return agent.settings
    say_settings = getattr(sys.modules.get(getattr(agent, "__module__", "")), "settings", None)
    return say_settings if callable(say_settings) and not isinstance(agent, type) else None


def _check(name: str, settings: Any) -> Settings:
    """Returns the settings as they stand in a results file. Raises SettingsError."""
    if not isinstance(settings, dict):
        raise SettingsError(f"{name}: its settings() must return a dict, not {type(settings).__name__}")
    for key, value in settings.items():
        if not isinstance(key, str) or not isinstance(value, str | int | float | bool | None):
            raise SettingsError(
                f"{name}: its settings() must return texts, numbers, booleans and None by name, and {key!r} is none"
            )
    try:
        text = json.dumps(settings, ensure_ascii=False, allow_nan=False, sort_keys=True)
        size = len(text.encode())
    except ValueError as error:
        raise SettingsError(f"{name}: its settings() returned what no JSON file can hold ({error})") from None
    if size > MOST_BYTES:
        raise SettingsError(f"{name}: its settings() has {size:,} bytes as JSON; {MOST_BYTES:,} are the most")
    return dict(json.loads(text))

"""Configuration files: each is read, or refused in words. Other errors would show a traceback to its operator."""

from __future__ import annotations

import contextlib
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.loading import load
from tests.conftest import PROJECT

from .conftest import Watch, fuzzing
from .inputs import changed, changed_values

_EXAMPLE = (PROJECT / "examples" / "roadster.toml").read_bytes()
_DOCUMENT = tomllib.loads(_EXAMPLE.decode())


def _toml(value: Any) -> str:
    """Returns the value as TOML. A table is an inline one."""
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case None:
            return '"null"'
        case _:
            return json.dumps(value)


def _file(document: Any) -> bytes:
    tables = document.items() if isinstance(document, dict) else [("x", document)]
    return "\n".join(f"{json.dumps(key)} = {_toml(value)}" for key, value in tables).encode()


def test_configuration_of_any_kind_is_read_or_refused(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ROADSTER_API_KEY", "UMAZDA_LINK_KEY"):
        monkeypatch.setenv(name, "k" * 32)
    path = tmp_path / "roadster.toml"

    @fuzzing
    @given(changed([_EXAMPLE]) | changed_values(_DOCUMENT).map(_file) | st.binary(max_size=200))
    def read(content: bytes) -> None:
        path.write_bytes(content)
        with contextlib.suppress(ConfigurationError):
            load(path)
        watch.after_input()

    watch.run(read)

"""The package's own example."""

from __future__ import annotations

import inspect
from functools import partial

import pytest

import roadster_client
from roadster_sandbox import API_KEY, SandboxTransport, create_app


def test_package_docstring_shows_a_script_that_works(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = inspect.cleandoc((roadster_client.__doc__ or "").partition("without the server:")[2])
    sandboxed = partial(roadster_client.open_upstream, transport=SandboxTransport(create_app()))
    monkeypatch.setattr(roadster_client, "open_upstream", sandboxed)
    monkeypatch.setenv("ROADSTER_API_KEY", API_KEY)
    exec(compile(script, "script", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 20

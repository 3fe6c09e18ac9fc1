"""pytest fixtures for your own tests of an assistant. Activate them in your `conftest.py`:

    pytest_plugins = ["roadster_sandbox.pytest_plugin"]

The server's plugin adds the fixtures of a server and its clients. It is named here as text, because the sandbox must
not import the server.
"""

from __future__ import annotations

import pytest

from .embedded import EmbeddedSandbox

pytest_plugins = ["roadster_server.pytest_plugin"]


@pytest.fixture
def roadster_world() -> EmbeddedSandbox:
    """Returns the emulated dealers, new for each test: state(), requests(), fault(), reset()."""
    return EmbeddedSandbox()

"""pytest fixtures for tests of your own, where an assistant works a dealership: `pytest_plugins = [this module]`.

What they need of the server is in its own plugin, named here and not imported: the sandbox knows no server.
"""

from __future__ import annotations

import pytest

from .embedded import EmbeddedSandbox

pytest_plugins = ["roadster_server.pytest_plugin"]


@pytest.fixture
def roadster_world() -> EmbeddedSandbox:
    """The emulated dealers: state(), requests(), fault(), reset(). A new one for each test."""
    return EmbeddedSandbox()

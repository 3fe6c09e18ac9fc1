"""A configuration whose upstreams are the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.transports.test_http import write_config


@pytest.fixture
def config(upstream: str, tmp_path: Path) -> Path:
    return write_config(tmp_path, upstream)

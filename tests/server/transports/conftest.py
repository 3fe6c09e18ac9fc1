"""A server without upstreams on a real socket, for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.identity.conftest import issuer, issuer_server
from tests.servers import free_port, serving

from .test_http import SECRETS, write_config

__all__ = ["issuer", "issuer_server"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    config = write_config(tmp_path_factory.mktemp("http"), "http://127.0.0.1:1")
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS):
        yield f"http://127.0.0.1:{port}"

"""An issuer of JWTs on a real socket, for all tests of a module."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import uvicorn

from .issuers import PUBLISHED, Issuer


@pytest.fixture(scope="module")
def issuer_server() -> Iterator[Issuer]:
    issuer = Issuer()
    config = uvicorn.Config(issuer, port=0, lifespan="off", log_config=None, access_log=False)
    listener = config.bind_socket()
    issuer.base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield issuer
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def issuer(issuer_server: Issuer) -> Issuer:
    issuer_server.keys, issuer_server.answer = list(PUBLISHED), None
    issuer_server.paths.clear()
    return issuer_server

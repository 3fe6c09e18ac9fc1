"""Callers take turns at the event loop: the order in which calls begin, without a clock."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import cast
from urllib.parse import urlsplit

import anyio
import pytest
from anyio.lowlevel import checkpoint
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.types import Message, Receive, Scope, Send

from roadster_sandbox import API_KEY
from roadster_server.calls.approvals.write_keys import WriteKey
from roadster_server.calls.idempotency import IdempotencyKeys
from roadster_server.calls.keys import Keys
from roadster_server.calls.recorder import Recorder
from roadster_server.identity.tokens import identity_of
from roadster_server.store import AuditRecord, StoreError
from roadster_server.store.lazy import LazyStore, lazy_store
from roadster_server.transports.http.turn_taking import TurnTaking
from roadster_server.turns import Turns, turn_given_back
from tests.server.store.databases import execute
from tests.servers import PATIENCE

pytestmark = pytest.mark.anyio

Work = Callable[[], Awaitable[None]]


class Server:
    """Stands behind the turns. It notes whose call begins and ends, and does `work` in between."""

    def __init__(self, work: Work = checkpoint) -> None:
        self._app = TurnTaking(self._serve, Turns())
        self._work = work
        self.begun: list[str] = []
        self.answered: list[str] = []

    async def send(self, caller: str) -> None:
        """Sends one POST of the caller, and returns when it is answered."""
        auth_context_var.set(AuthenticatedUser(identity_of(caller)))

        async def receive() -> Message:
            return {"type": "http.request", "body": b"{}", "more_body": False}

        async def take_answer(_message: Message) -> None: ...

        await self._app({"type": "http", "method": "POST", "path": "/mcp", "headers": []}, receive, take_answer)
        self.answered.append(caller)

    async def _serve(self, _scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()
        self.begun.append(auth_context_var.get().username)  # type: ignore[union-attr]
        await self._work()


async def settle() -> None:
    for _ in range(50):
        await checkpoint()


async def test_another_caller_does_not_wait_for_the_calls_of_a_flood() -> None:
    async def work() -> None:
        for _ in range(5):
            await checkpoint()

    server = Server(work)
    async with anyio.create_task_group() as tasks:
        for _ in range(32):
            tasks.start_soon(server.send, "flood")
        tasks.start_soon(server.send, "quiet")
    assert server.begun.index("quiet") == 2, "two calls of the flood had begun"
    assert server.answered.index("quiet") <= 4


async def test_two_calls_of_a_caller_work_at_once_and_the_others_follow_in_their_order() -> None:
    go_on = anyio.Event()
    server = Server(go_on.wait)
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(server.send, "one")
        await settle()
        assert len(server.begun) == 2
        go_on.set()
    assert len(server.answered) == 5


async def test_call_that_waits_elsewhere_lets_the_next_one_begin_and_goes_on_at_once() -> None:
    answer, go_on = anyio.Event(), anyio.Event()
    resumed = 0

    async def work() -> None:
        nonlocal resumed
        with turn_given_back():
            await answer.wait()
        resumed += 1
        await go_on.wait()

    server = Server(work)
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(server.send, "one")
        await settle()
        assert len(server.begun) == 8, "none of them works"
        answer.set()
        await settle()
        assert resumed == 8, "a call that has begun never waits for a turn"
        tasks.start_soon(server.send, "one")
        await settle()
        assert len(server.begun) == 8, "eight work, so the next one waits"
        go_on.set()
    assert len(server.answered) == 9


async def test_call_whose_record_the_store_does_not_take_holds_no_other_up() -> None:
    stuck = anyio.Event()

    class StuckStore:
        async def append(self, _record: AuditRecord) -> None:
            await stuck.wait()

    recorder = Recorder(cast(LazyStore, StuckStore()), math.inf, lambda _count: None)
    server = Server(lambda: recorder.put(cast(AuditRecord, None)))
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(server.send, "one")
            while len(server.begun) < 6:
                await anyio.sleep(0.01)
            assert server.answered == []
            stuck.set()


async def test_call_that_is_cancelled_while_it_waits_leaves_its_place() -> None:
    go_on = anyio.Event()
    server = Server(go_on.wait)
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(server.send, "one")
        await settle()
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(server.send, "one")
            await settle()
            waiting.cancel_scope.cancel()
        go_on.set()
        await settle()
        await server.send("one")
    assert len(server.answered) == 3


async def test_call_that_is_cancelled_as_its_turn_comes_passes_it_on() -> None:
    go_on = [anyio.Event(), anyio.Event()]
    events = iter([*go_on, go_on[1], go_on[1]])

    async def work() -> None:
        await next(events).wait()

    server = Server(work)
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(server.send, "one")
        await settle()
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(server.send, "one")
            await settle()
            go_on[0].set()
            while len(server.answered) < 1:
                await checkpoint()
            waiting.cancel_scope.cancel()
        tasks.start_soon(server.send, "one")
        await settle()
        assert len(server.begun) >= 3, "the turn is free again"
        go_on[1].set()
    assert len(server.answered) == 3


async def test_call_that_loses_the_database_while_it_waits_has_its_turn_again(
    postgresql_url: str, postgresql_server: str
) -> None:
    """Four calls wait for a call of another process with their key, and the database goes away."""
    key, keys = WriteKey("scope", "arguments"), IdempotencyKeys(Keys.derive(API_KEY))
    go_on = anyio.Event()
    failures = 0
    name = urlsplit(postgresql_url).path.removeprefix("/")

    async def work() -> None:
        nonlocal failures
        if failures < 4:
            with pytest.raises(StoreError):
                async with keys.claim(store, key):
                    pytest.fail("the key is another call's")
            failures += 1
        await go_on.wait()

    server = Server(work)
    with anyio.fail_after(PATIENCE):
        async with lazy_store(postgresql_url, contact_key=b"") as store, anyio.create_task_group() as tasks:
            await store.claim(key.scope, key.arguments, now=datetime.now(UTC))
            for _ in range(4):
                tasks.start_soon(server.send, "one")
            while len(server.begun) < 4:
                await anyio.sleep(0.01)
            await execute(postgresql_server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            await execute(postgresql_server, kill)
            while failures < 4:
                await anyio.sleep(0.01)
            tasks.start_soon(server.send, "one")
            await settle()
            assert len(server.begun) == 4, "four work, so the next one waits"
            go_on.set()
    assert len(server.answered) == 5

"""Whom an approval's update reaches: its requester, while they may read it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from roadster_server.protocol.subscriptions import Subscriptions
from roadster_tools import APPROVAL_RESOURCE, TOOLSETS, Access, Caller
from tests.conftest import World
from tests.server.calls.approvals import approving_settings, change, open_office
from tests.server.calls.writes import NEW_CUSTOMER
from tests.servers import PATIENCE

pytestmark = pytest.mark.anyio

current_caller: ContextVar[Callable[[], Caller]] = ContextVar("current_caller")


async def test_only_the_requester_is_told_and_only_of_dealers_that_are_still_theirs(
    world: World, store_url: str
) -> None:
    heard: dict[str, list[str]] = {"tester": [], "manager": []}
    arrived = anyio.Event()
    settings = approving_settings(store_url, managers={"access": dict.fromkeys(TOOLSETS, Access.CONFIRM)})
    async with open_office(world, settings) as office, anyio.create_task_group() as tasks:

        def caller_of_subscriber() -> Caller:
            return current_caller.get()()

        subscriptions = Subscriptions(office.calls, caller_of_subscriber, office.live)
        tasks.start_soon(subscriptions.run)

        def follow(name: str) -> None:
            def on_event(event: Any) -> None:
                heard[name].append(event.uri)
                arrived.set()

            current_caller.set(lambda: office.person(name))
            subscriptions.subscribe(on_event)

        for name in heard:
            follow(name)
        lost = await office.ask("create_customer", NEW_CUSTOMER)
        kept = await office.ask("create_customer", {**NEW_CUSTOMER, "dealer": "hyundaidemo"})
        change(office.live, dealers=["hyundaidemo"])
        for approval in (lost, kept):
            assert await office.decide(approval, is_yes=False)
        with anyio.fail_after(PATIENCE):
            await arrived.wait()
        tasks.cancel_scope.cancel()
    assert heard == {"tester": [APPROVAL_RESOURCE.address(approval_id=kept)], "manager": []}

"""Servers that died after a yes: what became of the write is told as it was, and nothing is sent twice."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest

from roadster_client.models.reader import Reader
from roadster_server.calls.approvals.write_keys import WriteKey
from roadster_server.store import Claim
from tests.conftest import World, answer_of, kind_of
from tests.server.store.databases import RECORD, execute

from .approvals import Office, approving_settings, open_office
from .writes import NEW_CUSTOMER, sent_writes

pytestmark = pytest.mark.anyio


async def approve_and_die(office: Office, store_url: str, *, seconds_ago: float) -> str:
    """Approves a write as a server does that dies right after the yes. Returns the id of the approval."""
    approval = await office.ask("create_customer", NEW_CUSTOMER)
    store = office.calls.services.store
    record = replace(RECORD, phase="decided", outcome="approved", approval=approval)
    assert await store.decide_approval(approval, "approved", "manager", None, record, now=datetime.now(UTC))
    decided = int((datetime.now(UTC) - timedelta(seconds=seconds_ago)).timestamp() * 1000)
    await execute(store_url, f"UPDATE roadster_approvals SET decided = {decided} WHERE id = '{approval}'")
    return approval


async def key_of(office: Office, approval: str) -> WriteKey:
    stored = await office.calls.services.store.approval(approval)
    assert stored is not None
    waiting = office.calls.services.approvals.seals.call(stored)
    return WriteKey(waiting.scope, waiting.hash)


async def status_of(office: Office, approval: str) -> str:
    answer = answer_of(await office.client.call_tool("get_approval", {"approval_id": approval}))
    return str(answer["status"])


async def claim(office: Office, approval: str, *, seconds_ago: float = 0) -> Claim:
    key, now = await key_of(office, approval), datetime.now(UTC) - timedelta(seconds=seconds_ago)
    claim = await office.calls.services.store.claim(key.scope, key.arguments, now=now)
    assert isinstance(claim, Claim)
    return claim


async def test_a_sender_has_two_minutes_to_begin(world: World, store_url: str) -> None:
    async with open_office(world, approving_settings(store_url)) as office:
        approval = await approve_and_die(office, store_url, seconds_ago=100)
        assert await status_of(office, approval) == "sending"
        assert kind_of(await office.client.call_tool("create_customer", dict(NEW_CUSTOMER))) == "waiting"
    assert await sent_writes(world) == []


async def test_a_write_that_was_not_sent_is_told_so_and_not_sent_later(world: World, store_url: str) -> None:
    async with open_office(world, approving_settings(store_url)) as office:
        approval = await approve_and_die(office, store_url, seconds_ago=121)
        await claim(office, approval, seconds_ago=121)
        assert await status_of(office, approval) == "failed"
        assert kind_of(await office.client.call_tool("create_customer", dict(NEW_CUSTOMER))) == "upstream"
        assert not await office.decide(approval)
    assert await sent_writes(world) == []


async def test_a_slow_sender_that_wakes_up_afterwards_sends_nothing(world: World, store_url: str) -> None:
    async with open_office(world, approving_settings(store_url)) as office:
        approval = await approve_and_die(office, store_url, seconds_ago=0)
        await execute(store_url, f"UPDATE roadster_approvals SET state = 'pending' WHERE id = '{approval}'")
        opened = office.calls.services.requesters.open

        async def open_late(text: str) -> object:
            await execute(store_url, f"UPDATE roadster_approvals SET decided = 1000 WHERE id = '{approval}'")
            await office.calls.services.approvals.settle(
                await office.calls.services.store.approval(approval)  # type: ignore[arg-type]
            )
            return await opened(text)

        object.__setattr__(office.calls.services.requesters, "open", open_late)
        assert await office.decide(approval)
        stored = await office.calls.services.store.approval(approval)
    assert stored is not None
    assert stored.state in ("failed", "unknown")
    assert await sent_writes(world) == []


async def test_a_write_that_was_sent_is_unknown(world: World, store_url: str) -> None:
    async with open_office(world, approving_settings(store_url)) as office:
        approval = await approve_and_die(office, store_url, seconds_ago=121)
        sent = replace(RECORD, phase="sent", approval=approval)
        await office.calls.services.store.record_sent(sent, await claim(office, approval, seconds_ago=121))
        assert await status_of(office, approval) == "outcome_unknown"
        assert kind_of(await office.client.call_tool("create_customer", dict(NEW_CUSTOMER))) == "outcome_unknown"
    assert await sent_writes(world) == []


async def test_a_write_whose_answer_was_kept_is_done(world: World, store_url: str) -> None:
    async with open_office(world, approving_settings(store_url)) as office:
        approval = await approve_and_die(office, store_url, seconds_ago=10)
        held, key = await claim(office, approval), await key_of(office, approval)
        services = office.calls.services
        await services.store.record_sent(replace(RECORD, phase="sent", approval=approval), held)
        content = '[{"personal_data": "masked", "dealer_figures": false}, "made", {"customer_id": 17}]'
        assert asdict(Reader()) == {"personal_data": "masked", "dealer_figures": False}
        await services.store.finish(held, key.seal(services.keys).seal(content).encode())
        assert await status_of(office, approval) == "done"
        answer = answer_of(await office.client.call_tool("create_customer", dict(NEW_CUSTOMER)))
    assert (answer["customer_id"], answer["replayed"]) == (17, True)
    assert await sent_writes(world) == []

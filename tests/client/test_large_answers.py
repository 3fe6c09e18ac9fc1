"""A large answer is read in a thread, so that others are served meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from roadster_client import OPERATIONS, Answer, ChannelPolicy, Request
from roadster_client.channel import Api, Channel
from roadster_client.upstream.large_answers import LARGE, run_beside_others

pytestmark = pytest.mark.anyio


async def test_only_work_on_a_large_answer_is_for_a_thread() -> None:
    assert await run_beside_others(LARGE, threading.get_ident) == threading.get_ident()
    assert await run_beside_others(LARGE + 1, threading.get_ident) != threading.get_ident()


@pytest.mark.parametrize(("size", "is_beside"), [(LARGE, False), (LARGE + 1, True)])
@pytest.mark.parametrize("reader", ["read", "read_rows"])
async def test_channel_reads_a_large_answer_in_a_thread(reader: str, size: int, is_beside: bool) -> None:
    threads: set[int] = set()

    def is_own(_node: Mapping[str, Any]) -> bool:
        threads.add(threading.get_ident())
        return True

    channel = _channel()
    answer = Answer(Request(OPERATIONS["list_inventory"]), {"vehicles": [], "total": 0}, None, size)
    if reader == "read":
        await channel.read(answer, is_own)
    else:
        await channel.read_rows(answer, "vehicles", OPERATIONS["list_inventory"].answer_adapter, is_own)
    assert (threads != {threading.get_ident()}) is is_beside


def _channel() -> Channel:
    async def approve(_request: Request) -> None: ...

    return Channel(Api(None, OPERATIONS), ChannelPolicy(approve))  # type: ignore[arg-type] # nothing is sent

"""One call at a time for each idempotency key, and what became of the calls before it.

Calls of this process wait in line, so that at most one of them looks into the store for those of others.
"""

from __future__ import annotations

import math
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from weakref import WeakValueDictionary

import anyio

from roadster_server.store import Claim, Conflict, InProgress, Replay, Unknown
from roadster_server.store.lazy import LazyStore
from roadster_tools import InvalidArguments, KeyOutcomeUnknown, Limited

from .keys import Keys

_LONGEST_WAIT = 30.0
_MOST_WAITING = 16
"""For one key in one process: an assistant that repeats a call does so once or twice."""

_PAUSES = (0.05, 1.0)
"""Seconds between two looks at the store, at first and at most."""


class IdempotencyKeys:
    """The turns of one process."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._locks = WeakValueDictionary[str, anyio.Lock]()

    @asynccontextmanager
    async def claim(self, store: LazyStore, scope: str, arguments: str) -> AsyncIterator[Claim | Replay]:
        """The claim, or the answer to replay; other calls with the key wait until the block ends.

        Raises Limited where the turn does not come, InvalidArguments and KeyOutcomeUnknown where none can.
        """
        lock = self._locks.setdefault(scope, anyio.Lock())
        if lock.statistics().tasks_waiting >= _MOST_WAITING:
            raise _busy(f"{_MOST_WAITING} calls at a time that wait for the first")
        with anyio.move_on_after(_LONGEST_WAIT) as waiting:
            async with lock:
                found = self._usable(await _ended(store, scope, arguments))
                waiting.deadline = math.inf
                yield found
        if waiting.cancelled_caught:
            raise _busy("one call at a time with one idempotency_key")

    def _usable(self, found: Claim | Replay | Conflict | Unknown) -> Claim | Replay:
        match found:
            case Claim() | Replay():
                return found
            case Conflict() if self._keys.made(found.arguments):
                raise InvalidArguments({"idempotency_key": "was used with other arguments; take a new one"})
            case Conflict():
                # Nothing can say whether these are the arguments of then, and a new key could be a second write.
                raise KeyOutcomeUnknown(
                    "This idempotency_key was used before the server's API key changed, "
                    "and what became of that write cannot be read any more"
                )
        raise KeyOutcomeUnknown("An earlier write with this idempotency_key lost its answer")


async def _ended(store: LazyStore, scope: str, arguments: str) -> Claim | Replay | Conflict | Unknown:
    """The claim, or how the call ended that holds it: in this or any other process."""
    pause, longest = _PAUSES
    while isinstance(found := await store.claim(scope, arguments, now=datetime.now(UTC)), InProgress):
        await anyio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - no secret: so that not all look at once
        pause = min(2 * pause, longest)
    return found


def _busy(allowed: str) -> Limited:
    return Limited(allowed, wait=_LONGEST_WAIT, setting="idempotency_key")

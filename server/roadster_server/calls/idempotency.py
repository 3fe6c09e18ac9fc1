"""Idempotency keys: one call at a time for each key, and a replay for the calls after it.

Calls of one process wait for each other here. So at most one call of a process looks into the store for calls of other
processes.
"""

from __future__ import annotations

import math
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from weakref import WeakValueDictionary

import anyio

from roadster_server.store import AnswerGone, Claim, Conflict, InProgress, Replay, Unknown
from roadster_server.store.lazy import LazyStore
from roadster_server.store.waiting import current_wait
from roadster_server.turns import turn_given_back
from roadster_tools import InvalidArguments, KeyOutcomeUnknown, Limited

from .approvals.write_keys import WriteKey
from .keys import Keys

_LONGEST_WAIT = 30.0
"""Seconds. A client that waits longer may give up, and repeat the call."""

_MOST_WAITING = 16
"""Calls that wait for one key in one process. An assistant that repeats a call does so once or twice."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two looks into the store. Each pause is twice as long as the one before."""


_ANOTHER = {
    "idempotency_key": "take a new key",
    "upload": "call without upload, and a person gets a new link",
}
"""The way to another write, by the argument that the key is from."""


class IdempotencyKeys:
    """The idempotency keys in use in this process."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._locks = WeakValueDictionary[str, anyio.Lock]()

    @asynccontextmanager
    async def claim(self, store: LazyStore, key: WriteKey) -> AsyncIterator[Claim | Replay]:
        """Yields the claim of a key, or the answer to replay. Other calls with the key wait until the block ends.

        Raises Limited if the wait is too long, and InvalidArguments or KeyOutcomeUnknown if the key cannot be used.
        """
        lock = self._locks.setdefault(key.scope, anyio.Lock())
        if lock.statistics().tasks_waiting >= _MOST_WAITING:
            raise _busy(key, f"{_MOST_WAITING} calls at a time that wait for the first")
        start = anyio.current_time()
        with anyio.move_on_after(_LONGEST_WAIT) as waiting:
            async with AsyncExitStack() as holding:
                with turn_given_back():
                    await holding.enter_async_context(lock)
                    # The call before this one may have waited for the store itself. Nobody waits for it twice.
                    current_wait().seconds += anyio.current_time() - start
                    claim = self._require_usable(await _wait_for_claim(store, key), key)
                waiting.deadline = math.inf  # only the wait is limited, not the call
                yield claim
        if waiting.cancelled_caught:
            raise _busy(key, f"one call at a time with one {key.argument}")

    def _require_usable(
        self, outcome: Claim | Replay | AnswerGone | Conflict | Unknown, key: WriteKey
    ) -> Claim | Replay:
        match outcome:
            case Claim() | Replay():
                return outcome
            case Conflict() if self._keys.is_ours(outcome.arguments):
                problem = (
                    "was used with other arguments: if this is the same write, repeat it exactly; "
                    f"if it is another one, {_ANOTHER[key.argument]}"
                )
                raise InvalidArguments({key.argument: problem})
            case Conflict():
                # These hashes cannot be compared, so the arguments may be the same. With a new idempotency key, the
                # write could be done twice.
                raise KeyOutcomeUnknown(
                    f"This {key.argument} was used before the server was upgraded or got another API key, "
                    "and what became of that write cannot be read any more"
                )
            case AnswerGone():
                raise KeyOutcomeUnknown(
                    f"An earlier write with this {key.argument} was done, and its answer is not kept any more"
                )
        raise KeyOutcomeUnknown(f"An earlier write with this {key.argument} lost its answer")


async def _wait_for_claim(store: LazyStore, key: WriteKey) -> Claim | Replay | AnswerGone | Conflict | Unknown:
    """Claims the key. If a call of any process holds it, waits until that call ends."""
    pause = _FIRST_PAUSE
    while isinstance(
        outcome := await store.claim(key.scope, key.arguments, now=datetime.now(UTC), old_scope=key.old_scope),
        InProgress,
    ):
        # At random, so that not all processes look at the same moment.
        await anyio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - this is no secret
        pause = min(2 * pause, _LONGEST_PAUSE)
    return outcome


def _busy(key: WriteKey, allowance: str) -> Limited:
    return Limited(allowance, wait=_LONGEST_WAIT, setting=key.argument)

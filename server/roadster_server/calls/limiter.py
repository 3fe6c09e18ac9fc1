"""The limits of each caller: `calls_per_minute` and `writes_per_hour`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from roadster_tools import Caller, Limited, Uncounted

if TYPE_CHECKING:  # for start time: most servers have no Redis
    from limits.aio.strategies import MovingWindowRateLimiter

_MINUTE, _HOUR = 60, 3600


class OverLimit(Limited):
    """The caller has used up a limit of its own."""


class Limiter:
    """Counts in moving windows. In Redis, all processes share them. In memory, they begin anew with the process.

    `clock` is monotonic, in seconds, so that a wall clock that is set changes no window in memory.
    """

    def __init__(self, redis_url: str | None, deployment: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis_url = redis_url
        self._deployment = deployment
        self._clock = clock
        self._in_memory: dict[tuple[str, str], deque[float]] = {}
        """The times of the hits that count, by setting and caller, the oldest first."""
        self._in_redis: MovingWindowRateLimiter | None = None

    async def count_call(self, caller: Caller) -> None:
        """Counts a call. Raises OverLimit if the caller has made all its calls of this minute."""
        if caller.calls_per_minute is not None:
            await self._hit(caller, caller.calls_per_minute, _MINUTE, "calls_per_minute", "calls a minute")

    async def count_page(self, caller: Caller) -> None:
        """Counts a page that its person opens. Raises OverLimit after as many as it may make calls in a minute."""
        if caller.calls_per_minute is not None:
            await self._hit(caller, caller.calls_per_minute, _MINUTE, "calls_per_minute", "pages a minute", "pages")

    async def count_write(self, caller: Caller) -> None:
        """Counts a write. Raises OverLimit if the caller has made all its writes of this hour."""
        if caller.writes_per_hour is not None:
            await self._hit(caller, caller.writes_per_hour, _HOUR, "writes_per_hour", "writes an hour")

    async def count_question(self, caller: Caller) -> None:
        """Counts a write that a page asks a person about. Raises OverLimit after as many as writes in an hour.

        It counts beside the writes that are sent, so one with a yes is no second write.
        """
        if caller.writes_per_hour is not None:
            unit = "writes an hour that people are asked about"
            await self._hit(caller, caller.writes_per_hour, _HOUR, "writes_per_hour", unit, "questions")

    async def _hit(
        self, caller: Caller, most: int, window: int, setting: str, unit: str, count: str | None = None
    ) -> None:
        """Counts under the name `count`, by default that of the setting."""
        name = caller.principal
        if self._redis_url is None:
            wait = self._hit_in_memory(most, window, name, count or setting)
        else:
            wait = await self._hit_in_redis(self._redis_url, most, window, name, count or setting)
        if wait is not None:
            # Clocks of several machines differ, but nobody waits for longer than a window.
            raise OverLimit(f"{most} {unit}", wait=min(max(1.0, wait), window), setting=caller.setting(setting))

    def _hit_in_memory(self, most: int, window: int, name: str, setting: str) -> float | None:
        """Counts a hit and returns None, or returns the seconds until there is room for one."""
        hits, now = self._in_memory.setdefault((setting, name), deque()), self._clock()
        while hits and hits[0] <= now - window:
            hits.popleft()
        if len(hits) >= most:
            return hits[len(hits) - most] + window - now
        hits.append(now)
        return None

    async def _hit_in_redis(self, url: str, most: int, window: int, name: str, setting: str) -> float | None:
        from limits import RateLimitItemPerSecond  # noqa: PLC0415 - for start time
        from limits.errors import StorageError  # noqa: PLC0415 - for start time

        if self._in_redis is None:
            self._in_redis = _windows(url, self._deployment)
        item = RateLimitItemPerSecond(most, window)
        try:
            if await self._in_redis.hit(item, setting, name):
                return None
            reset = (await self._in_redis.get_window_stats(item, setting, name)).reset_time
        except StorageError:
            raise Uncounted("The call cannot be counted: Redis does not answer") from None
        return reset - time.time()


def _windows(redis_url: str, deployment: str) -> MovingWindowRateLimiter:
    from limits.aio.storage import RedisStorage  # noqa: PLC0415 - for start time
    from limits.aio.strategies import MovingWindowRateLimiter  # noqa: PLC0415 - for start time

    from roadster_server.replicas import ANSWERS_WITHIN  # noqa: PLC0415 - for start time

    return MovingWindowRateLimiter(
        RedisStorage(
            redis_url,
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix=deployment,
            socket_connect_timeout=ANSWERS_WITHIN,
            socket_timeout=ANSWERS_WITHIN,
        )
    )

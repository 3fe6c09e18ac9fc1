"""The limits of each caller: `calls_per_minute` and `writes_per_hour`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from roadster_tools import Caller, Limited, Uncounted

if TYPE_CHECKING:  # for start time: most callers have no limit
    from limits import RateLimitItem
    from limits.aio.strategies import MovingWindowRateLimiter


class Limiter:
    """Counts in moving windows. In Redis, all processes share them. In memory, they begin anew with the process."""

    def __init__(self, redis_url: str | None, deployment: str) -> None:
        self._redis_url = redis_url
        self._deployment = deployment
        self._windows: MovingWindowRateLimiter | None = None

    async def count_call(self, caller: Caller) -> None:
        """Counts a call. Raises Limited if the caller has made all its calls of this minute."""
        if caller.calls_per_minute is not None:
            from limits import RateLimitItemPerMinute  # noqa: PLC0415 - for start time

            await self._hit(
                RateLimitItemPerMinute(caller.calls_per_minute), caller.name, "calls_per_minute", "calls a minute"
            )

    async def count_write(self, caller: Caller) -> None:
        """Counts a write. Raises Limited if the caller has made all its writes of this hour."""
        if caller.writes_per_hour is not None:
            from limits import RateLimitItemPerHour  # noqa: PLC0415 - for start time

            await self._hit(
                RateLimitItemPerHour(caller.writes_per_hour), caller.name, "writes_per_hour", "writes an hour"
            )

    async def _hit(self, item: RateLimitItem, name: str, setting: str, unit: str) -> None:
        from limits.errors import StorageError  # noqa: PLC0415 - for start time

        if self._windows is None:
            self._windows = _windows(self._redis_url, self._deployment)
        try:
            if await self._windows.hit(item, setting, name):
                return
            reset = (await self._windows.get_window_stats(item, setting, name)).reset_time
        except StorageError:
            raise Uncounted("The call cannot be counted: Redis does not answer") from None
        raise Limited(f"{item.amount} {unit}", wait=max(1.0, reset - time.time()), setting=f"callers.{name}.{setting}")


def _windows(redis_url: str | None, deployment: str) -> MovingWindowRateLimiter:
    from limits.aio.storage import MemoryStorage, RedisStorage  # noqa: PLC0415 - for start time
    from limits.aio.strategies import MovingWindowRateLimiter  # noqa: PLC0415 - for start time

    if redis_url is None:
        return MovingWindowRateLimiter(MemoryStorage())
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

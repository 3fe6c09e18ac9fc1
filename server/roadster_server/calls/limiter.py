"""How often a caller may call, and write: `calls_per_minute` and `writes_per_hour`, counted for each caller alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from roadster_tools import Caller, Limited, Uncounted

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.aio.strategies import MovingWindowRateLimiter


class Limiter:
    """Moving windows: in Redis, shared by all processes at it, or in memory, where they start anew with the process."""

    def __init__(self, redis_url: str | None, deployment: str) -> None:
        self._redis_url = redis_url
        self._deployment = deployment
        self._windows: MovingWindowRateLimiter | None = None

    async def count_call(self, caller: Caller) -> None:
        """Raises Limited where the caller has spent this minute's calls."""
        if caller.calls_per_minute is not None:
            from limits import RateLimitItemPerMinute  # noqa: PLC0415 - most callers have no limit

            await self._hit(
                RateLimitItemPerMinute(caller.calls_per_minute), caller.name, "calls_per_minute", "calls a minute"
            )

    async def count_write(self, caller: Caller) -> None:
        """Raises Limited where the caller has spent this hour's writes."""
        if caller.writes_per_hour is not None:
            from limits import RateLimitItemPerHour  # noqa: PLC0415 - as above

            await self._hit(
                RateLimitItemPerHour(caller.writes_per_hour), caller.name, "writes_per_hour", "writes an hour"
            )

    async def _hit(self, item: RateLimitItem, name: str, setting: str, unit: str) -> None:
        from limits.errors import StorageError  # noqa: PLC0415 - as above

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
    from limits.aio.storage import MemoryStorage, RedisStorage  # noqa: PLC0415 - as above
    from limits.aio.strategies import MovingWindowRateLimiter  # noqa: PLC0415 - as above

    if redis_url is None:
        return MovingWindowRateLimiter(MemoryStorage())
    from roadster_server.replicas import ANSWERS_WITHIN  # noqa: PLC0415 - as above

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

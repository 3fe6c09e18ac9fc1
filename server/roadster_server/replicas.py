"""What several processes of one configuration share besides the store, over Redis: counts, and words to each other.

A word is lost where nobody listens, or Redis does not answer: only hints are passed on so, that a resource has
changed, that an upstream has failed. What must not be lost stands in the store.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio
from redis.asyncio import Redis
from redis.exceptions import RedisError

from .logs import log

if TYPE_CHECKING:
    from pydantic import SecretStr

ANSWERS_WITHIN = 2.0
"""Seconds. A call that is counted waits for it."""

_CHANNEL = "roadster-mcp"
_WAITING = 10_000
_AGAIN_AFTER = 1.0

Hear = Callable[..., None]


class Replicas:
    """One process's place among the others. Made by `open_replicas`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._me = uuid4().hex
        self._hears: dict[str, Hear] = {}
        self._to_tell, self._told = anyio.create_memory_object_stream[str](_WAITING)

    def hear(self, topic: str, by: Hear) -> None:
        """Has `by` called with what others tell of `topic`."""
        self._hears[topic] = by

    def tell(self, topic: str, *words: str | None) -> None:
        """Passes `words` on to the others, as soon as `run` gets to it."""
        try:
            self._to_tell.send_nowait(json.dumps([self._me, topic, *words]))
        except anyio.WouldBlock:
            log.warning("word to the other processes dropped, too many are waiting", extra={"topic": topic})

    async def healthy(self) -> bool:
        """Whether Redis answers now."""
        try:
            with anyio.fail_after(ANSWERS_WITHIN):
                return bool(await self._redis.ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def run(self) -> None:
        """Tells and hears until it is cancelled, also after Redis was away."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tell_all)
            while True:
                try:
                    await self._hear_all()
                except (RedisError, OSError) as error:
                    log.warning("the other processes are not heard", extra={"reason": type(error).__name__})
                await anyio.sleep(_AGAIN_AFTER)

    async def _tell_all(self) -> None:
        async for word in self._told:
            try:
                await self._redis.publish(_CHANNEL, word)
            except (RedisError, OSError) as error:
                log.warning("the other processes are not told", extra={"reason": type(error).__name__})

    async def _hear_all(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(_CHANNEL)
            while True:
                message = await channel.get_message(timeout=None)
                if message is not None:
                    self._heard(message["data"])

    def _heard(self, data: Any) -> None:
        sender, topic, *words = json.loads(data)
        if sender != self._me and topic in self._hears:
            self._hears[topic](*words)


@asynccontextmanager
async def open_replicas(url: SecretStr) -> AsyncIterator[Replicas]:
    """The place of this process among those at one Redis, given up at the end of the block."""
    redis = Redis.from_url(url.get_secret_value(), socket_connect_timeout=ANSWERS_WITHIN, socket_timeout=ANSWERS_WITHIN)
    try:
        yield Replicas(redis)
    finally:
        await redis.aclose()

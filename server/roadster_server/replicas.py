"""What several processes of one configuration share besides the store, over Redis: counts, and words to each other.

A word is lost where nobody listens, or Redis does not answer: only hints are passed on so, that a resource has
changed, that an upstream has failed. What must not be lost stands in the store.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import anyio
from pydantic import BaseModel, ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from .telemetry.logs import log

if TYPE_CHECKING:
    from pydantic import SecretStr

ANSWERS_WITHIN = 2.0
"""Seconds. A call that is counted waits for it."""

_WAITING = 10_000
_AGAIN_AFTER = 1.0

Hear = Callable[[tuple[str, ...]], None]


class _Word(BaseModel):
    """What one process tells the others: `topic`, and what of it."""

    sender: str
    topic: str
    of: tuple[str, ...]


class Replicas:
    """One process's place among the others. Made by `open_replicas`."""

    def __init__(self, redis: Redis, deployment: str) -> None:
        self._redis = redis
        self._channel = deployment
        self._me = uuid4().hex
        self._hears: dict[str, Hear] = {}
        self._away = False
        self._to_tell, self._told = anyio.create_memory_object_stream[str](_WAITING)

    def hear(self, topic: str, by: Hear) -> None:
        """Has `by` called with what others tell of `topic`; `by` looks whether it can use it."""
        self._hears[topic] = by

    def tell(self, topic: str, *of: str) -> None:
        """Passes it on to the others, as soon as `run` gets to it."""
        try:
            self._to_tell.send_nowait(_Word(sender=self._me, topic=topic, of=of).model_dump_json())
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
                    self._lost(error)
                await anyio.sleep(_AGAIN_AFTER)

    async def _tell_all(self) -> None:
        async for word in self._told:
            try:
                await self._redis.publish(self._channel, word)
            except (RedisError, OSError) as error:
                self._lost(error)

    async def _hear_all(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(self._channel)
            self._away = False
            while True:
                message = await channel.get_message(timeout=None)
                if message is not None:
                    self._heard(message["data"])

    def _heard(self, data: bytes) -> None:
        # Whoever reaches Redis can write here: what is not a word of ours must not end anything.
        try:
            word = _Word.model_validate_json(data)
        except ValidationError:
            log.warning("a message that is no word of another process")
            return
        if word.sender != self._me and word.topic in self._hears:
            self._hears[word.topic](word.of)

    def _lost(self, error: Exception) -> None:
        if not self._away:
            log.warning(
                "Redis does not answer: other processes are neither told nor heard",
                extra={"error": type(error).__name__},
            )
        self._away = True


@asynccontextmanager
async def open_replicas(url: SecretStr, deployment: str) -> AsyncIterator[Replicas]:
    """The place of this process among those of its `deployment` at one Redis, given up at the end of the block."""
    redis = Redis.from_url(url.get_secret_value(), socket_connect_timeout=ANSWERS_WITHIN, socket_timeout=ANSWERS_WITHIN)
    try:
        yield Replicas(redis, deployment)
    finally:
        await redis.aclose()

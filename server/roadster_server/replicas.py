"""Messages between the processes of one deployment, over Redis.

A message is lost if nobody listens or Redis does not answer. So messages are only hints: a resource has changed, an
upstream has failed. Whatever must not be lost is in the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import anyio
from pydantic import BaseModel, SecretStr, ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from .telemetry.logs import log

ANSWERS_WITHIN = 2.0
"""Seconds. Every call of a limited caller waits for Redis, so it must not wait long."""

_MOST_QUEUED = 10_000
"""Messages that wait to be sent. More are dropped."""

_RETRY_SECONDS = 1.0

OnMessage = Callable[[tuple[str, ...]], None]


class _Message(BaseModel):
    """A message to the other processes."""

    sender: str
    topic: str
    arguments: tuple[str, ...]


class Replicas:
    """The connection of this process to the others. `open_replicas` makes it."""

    def __init__(self, redis: Redis, deployment: str) -> None:
        self._redis = redis
        self._channel = deployment
        self._own_id = uuid4().hex
        self._subscribers: dict[str, OnMessage] = {}
        self._redis_down = False
        self._queue = asyncio.Queue[str](_MOST_QUEUED)

    def subscribe(self, topic: str, on_message: OnMessage) -> None:
        """Calls `on_message` with the arguments of each message of the topic. It must check them."""
        self._subscribers[topic] = on_message

    def tell(self, topic: str, *arguments: str) -> None:
        """Queues a message to the other processes. `run` sends it."""
        try:
            self._queue.put_nowait(_Message(sender=self._own_id, topic=topic, arguments=arguments).model_dump_json())
        except asyncio.QueueFull:
            log.warning("message to the other processes dropped, too many are waiting", extra={"topic": topic})

    async def healthy(self) -> bool:
        """Returns whether Redis answers now."""
        try:
            with anyio.fail_after(ANSWERS_WITHIN):
                return bool(await self._redis.ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def run(self) -> None:
        """Sends and receives messages until it is cancelled. It goes on after Redis was down."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._send_all)
            while True:
                try:
                    await self._receive_all()
                except (RedisError, OSError) as error:
                    self._on_error(error)
                await anyio.sleep(_RETRY_SECONDS)

    async def _send_all(self) -> None:
        while True:
            message = await self._queue.get()
            try:
                await self._redis.publish(self._channel, message)
            except (RedisError, OSError) as error:
                self._on_error(error)

    async def _receive_all(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(self._channel)
            self._redis_down = False
            while True:
                message = await channel.get_message(timeout=None)
                if message is not None:
                    self._receive(message["data"])

    def _receive(self, data: bytes) -> None:
        # Anything that reaches Redis can write here, so other data must not end the server.
        try:
            message = _Message.model_validate_json(data)
        except ValidationError:
            log.warning("message ignored: it is not from a process of this server")
            return
        if message.sender != self._own_id and message.topic in self._subscribers:
            self._subscribers[message.topic](message.arguments)

    def _on_error(self, error: Exception) -> None:
        if not self._redis_down:
            log.warning(
                "Redis does not answer: other processes are neither told nor heard",
                extra={"error": type(error).__name__},
            )
        self._redis_down = True


@asynccontextmanager
async def open_replicas(url: SecretStr, deployment: str) -> AsyncIterator[Replicas]:
    """Connects this process to the others of its `deployment`, until the end of the block."""
    redis = Redis.from_url(url.get_secret_value(), socket_connect_timeout=ANSWERS_WITHIN, socket_timeout=ANSWERS_WITHIN)
    try:
        yield Replicas(redis, deployment)
    finally:
        await redis.aclose()

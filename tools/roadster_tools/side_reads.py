"""A read that runs beside another one of the same call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from anyio import create_task_group

from roadster_client import ClientError

_ResultT = TypeVar("_ResultT")
_OtherT = TypeVar("_OtherT")


async def read_both(
    read: Callable[[], Awaitable[_ResultT]], read_beside: Callable[[], Awaitable[_OtherT]]
) -> tuple[_ResultT, _OtherT]:
    """Returns both results. Raises the ClientError of the first read, which ends the second one."""
    others: list[_OtherT] = []

    async def keep() -> None:
        others.append(await read_beside())

    async with create_task_group() as tasks:
        tasks.start_soon(keep)
        try:
            result = await read()
        except ClientError as error:
            # Raised behind the task group, which would wrap it.
            failure: ClientError | None = error
            tasks.cancel_scope.cancel()
        else:
            failure = None
    if failure is not None:
        raise failure
    return result, others[0]

"""A read that runs beside another one of the same call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from anyio import create_task_group

_ResultT = TypeVar("_ResultT")
_OtherT = TypeVar("_OtherT")


async def read_both(
    read: Callable[[], Awaitable[_ResultT]], read_beside: Callable[[], Awaitable[_OtherT]]
) -> tuple[_ResultT, _OtherT]:
    """Returns both results. Raises the error of the read that fails first, which ends the other one."""
    results: list[_ResultT] = []
    others: list[_OtherT] = []
    failure: Exception | None = None

    async def run(step: Callable[[], Awaitable[None]]) -> None:
        nonlocal failure
        try:
            await step()
        except Exception as error:  # noqa: BLE001 - raised behind the task group, which would wrap it
            failure = failure or error
            tasks.cancel_scope.cancel()

    async def keep_result() -> None:
        results.append(await read())

    async def keep_other() -> None:
        others.append(await read_beside())

    async with create_task_group() as tasks:
        tasks.start_soon(run, keep_other)
        await run(keep_result)
    if failure is not None:
        raise failure
    return results[0], others[0]

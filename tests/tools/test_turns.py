"""Other calls have their turn while many rows are read or shown."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from roadster_tools.answers import AnswerRows, ToolAnswer
from roadster_tools.turns import InTurns

pytestmark = pytest.mark.anyio


class _Row(ToolAnswer):
    number: int


async def test_others_have_their_turn_after_every_ten_rows() -> None:
    assert await _turns_of_another_during(100) >= 9


async def test_fewer_rows_are_one_turn() -> None:
    assert await _turns_of_another_during(9) == 0


async def test_rows_come_in_their_order() -> None:
    assert [number async for number in InTurns(range(25))] == list(range(25))


async def _turns_of_another_during(number_of_rows: int) -> int:
    """Returns how often another task ran while as many rows were put into an answer."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await checkpoint()
            turns += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        await checkpoint()
        before = turns
        rows = await AnswerRows[_Row](limit=100).fill(_Row(number=number) for number in range(number_of_rows))
        during = turns - before
        tasks.cancel_scope.cancel()
    assert len(rows) == number_of_rows
    return during

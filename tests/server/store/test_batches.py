"""What came while a batch was written is the next batch, also when much waits or a write has a defect."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator, Sequence

import pytest

from roadster_server.store.batches import Batches

pytestmark = pytest.mark.anyio


async def return_items(items: Sequence[int], _seconds: float) -> Sequence[int]:
    return items


async def cpu_seconds_of_each(count: int) -> float:
    batches = Batches(return_items)
    start = time.process_time()
    await asyncio.gather(*(batches.put(number) for number in range(count)))
    return (time.process_time() - start) / count


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    """A collection looks at all that waits, so it grows with it."""
    gc.disable()
    yield
    gc.enable()


async def test_an_item_of_many_takes_about_as_long_as_one_of_few(no_garbage_collection: None) -> None:
    few = min([await cpu_seconds_of_each(1_000) for _ in range(3)])
    many = await cpu_seconds_of_each(40_000)
    assert many < 4 * few


async def test_write_with_too_few_outcomes_fails_its_batch_and_no_other() -> None:
    batches = Batches(lambda items, seconds: return_items(items[items[0] == 0 :], seconds))
    with pytest.raises(ValueError, match="shorter"):
        await batches.put(0)
    assert await batches.put(1) == 1

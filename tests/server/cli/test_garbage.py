"""Objects that last as long as the process are not looked through for garbage again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from roadster_server.cli.options import collect_garbage


@pytest.fixture
def _collection_is_off() -> Iterator[None]:
    callbacks = [*gc.callbacks]
    gc.disable()
    yield
    gc.callbacks[:] = callbacks
    gc.unfreeze()
    gc.enable()


@pytest.mark.usefixtures("_collection_is_off")
def test_survivors_of_the_first_full_collections_are_left_out_of_the_later_ones() -> None:
    collect_garbage()
    later_object = [object()]
    assert _looks_at(later_object)
    gc.collect()
    assert not _looks_at(later_object)


@pytest.mark.usefixtures("_collection_is_off")
def test_only_the_first_collections_leave_survivors_out() -> None:
    """Objects that are in use while one runs would never be collected."""
    before = len(gc.callbacks)
    collect_garbage()
    for _ in range(20):
        gc.collect()
    assert len(gc.callbacks) == before


def _looks_at(value: object) -> bool:
    """Tells whether a full collection would look at the value."""
    return any(each is value for each in gc.get_objects())

"""Gets ready for the first calls while a client is idle: loads the tools, and builds what reads and writes JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress

from anyio.lowlevel import checkpoint
from pydantic import BaseModel

from roadster_tools import Tool
from roadster_tools.gate.gate import Gate


async def warm_up(gate: Gate, tools: Iterable[Tool], idle: Callable[[], Awaitable[None]]) -> None:
    """Takes one step after another, and waits for `idle` before each. A step takes some milliseconds.

    The first call of a tool would take those steps on its way. It takes them itself if it comes before them.
    """
    for prepare in _steps(gate, tools):
        await idle()
        with suppress(Exception):  # the call that needs it fails too, and says why
            prepare()
        await checkpoint()  # for what has come meanwhile


def _steps(gate: Gate, tools: Iterable[Tool]) -> Iterator[Callable[[], object]]:
    for tool in tools:
        yield tool.prepare
    yield from gate.preparations()
    # Loading a tool defines the models of its answers and requests. They are built when they are first used.
    for model in [*_models_below(BaseModel)]:
        if model.__module__.startswith(("roadster_client.", "roadster_tools.")) and not model.__pydantic_complete__:
            yield model.model_rebuild


def _models_below(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        yield model
        yield from _models_below(model)

"""Changes of lists: after a reload, the clients whose caller now sees other tools, prompts or resources are told."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass

import anyio
from anyio.lowlevel import checkpoint
from mcp.shared.subscriptions import PromptsListChanged, ResourcesListChanged, ServerEvent, ToolsListChanged

from roadster_server.calls.context import CurrentCaller
from roadster_server.settings.live import LiveSettings
from roadster_tools import Caller

from .visible import asked_arguments, prompts_of, templates_of, tools_of

LOOK_EVERY = 0.5
"""Seconds between two looks at the settings. With it, a client is told within two seconds of a change."""


@dataclass(eq=False)
class _Follower:
    """One client. `lists` are those that it was last told of, and `caller` returns its caller of the moment."""

    caller: CurrentCaller
    listener: Callable[[ServerEvent], None]
    lists: dict[ServerEvent, object]


class ListChanges:
    """The clients at this process that want to know when their lists change."""

    def __init__(self, live: LiveSettings, current_caller: CurrentCaller) -> None:
        self._live = live
        self._current_caller = current_caller
        self._followers: set[_Follower] = set()

    def follow(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Calls `listener` with each change of a list of the current request's caller. Returns what ends that."""
        context = copy_context()

        def caller() -> Caller:
            return context.run(self._current_caller)

        follower = _Follower(caller, listener, _lists_of(caller()))
        self._followers.add(follower)

        def end() -> None:
            self._followers.discard(follower)

        return end

    async def run(self) -> None:
        """Tells of changes until it is cancelled."""
        settings = self._live.current
        while True:
            await anyio.sleep(LOOK_EVERY)
            if self._live.current is settings:
                continue
            settings = self._live.current
            for follower in [*self._followers]:
                _tell(follower)
                await checkpoint()  # there may be thousands


def _tell(follower: _Follower) -> None:
    before, follower.lists = follower.lists, _lists_of(follower.caller())
    for event, rows in follower.lists.items():
        if rows != before[event]:
            follower.listener(event)


def _lists_of(caller: Caller) -> dict[ServerEvent, object]:
    """Returns all by which the caller's lists differ from those of others, by the event of a change."""
    prompts, templates = prompts_of(caller).values(), templates_of(caller)
    lists_dealers = any(resource.parameters == ["dealer"] for resource in templates)
    return {
        ToolsListChanged(): [tool.name for tool in tools_of(caller)],
        PromptsListChanged(): [(prompt.name, asked_arguments(prompt, caller)) for prompt in prompts],
        ResourcesListChanged(): (
            [resource.template for resource in templates],
            caller.dealers if lists_dealers else (),
        ),
    }

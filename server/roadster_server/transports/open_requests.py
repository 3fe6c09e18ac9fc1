"""The open requests of one conversation over stdio or the SSE pair."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import anyio
from mcp_types import JSONRPCError, JSONRPCMessage, JSONRPCNotification, JSONRPCResponse, RequestId

from .large_messages import MessagePlace

MOST_OPEN = 100
"""Requests of one conversation that may be open. Hosts send one after another, or as many as a model calls at once."""
TOO_MANY_OPEN = f"Limited: more than {MOST_OPEN} requests are open; wait for their answers"


class OpenRequests:
    """The requests that have no answer yet, each with the place of its message."""

    def __init__(self) -> None:
        # A client may use an id twice.
        self._places: defaultdict[RequestId, list[MessagePlace]] = defaultdict(list)
        self._settlement = anyio.Event()

    @property
    def is_full(self) -> bool:
        return sum(map(len, self._places.values())) >= MOST_OPEN

    def add(self, id_: RequestId, place: MessagePlace) -> None:
        place.keep()
        self._places[id_].append(place)

    def settle(self, id_: Any) -> None:
        """Gives the place of a request back, if there is one with this id."""
        if isinstance(id_, str | int) and id_ in self._places:
            self.discard(id_, self._places[id_][0])

    def discard(self, id_: RequestId, place: MessagePlace) -> None:
        """Gives this place back."""
        place.give_back()
        if place in self._places.get(id_, ()):
            self._places[id_].remove(place)
            if not self._places[id_]:
                del self._places[id_]
            self._settlement.set()

    def settle_answered(self, message: JSONRPCMessage) -> None:
        """Settles the request that a message of the server answers."""
        if isinstance(message, JSONRPCResponse | JSONRPCError):
            self.settle(message.id)

    def settle_all(self) -> None:
        for id_ in [*self._places]:
            while id_ in self._places:
                self.settle(id_)

    async def none(self) -> None:
        """Waits until none is open."""
        while self._places:
            self._settlement = anyio.Event()
            await self._settlement.wait()


def cancelled_by(message: JSONRPCMessage) -> Any:
    """Returns the id of the request that a client's message cancels. That request gets no answer."""
    if isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
        return (message.params or {}).get("requestId")
    return None

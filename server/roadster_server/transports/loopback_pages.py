"""The pages for people of a server over stdio: it listens on a free loopback port from the first link on.

Most servers over stdio never need them, so nothing of them is loaded before.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import anyio

from roadster_server.calls.page_links import PageLinks
from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.live import LiveSettings
from roadster_server.telemetry.logs import log

from .http.listening.sockets import listen

if TYPE_CHECKING:  # for start time: it imports the SDK
    from roadster_server.calls.calls import Calls

_HOST = "127.0.0.1"
_CLOSE_SECONDS = 1.5
"""Seconds for the answers of pages to be written out at the end."""


class LoopbackPages:
    """The listener, and the links to what it serves."""

    def __init__(self, live: LiveSettings) -> None:
        self._live = live
        self._listener: socket.socket | None = None
        self._first_link = anyio.Event()
        self.links = PageLinks(lambda: live.current, self._address, is_public=False)

    async def _address(self) -> str | None:
        """Returns the address. Connections wait in the listener's queue until `run` accepts them."""
        if self._listener is None:
            try:
                self._listener = listen(_HOST, 0)
            except ConfigurationError as error:  # a sandbox of the system may forbid it
                log.error("no page for people", extra={"reason": error.problems[0]})
                return None
            self._first_link.set()
        return f"http://{_HOST}:{self._listener.getsockname()[1]}"

    async def run(self, calls: Calls) -> None:
        """Serves the pages from the first link on, until it is cancelled."""
        await self._first_link.wait()
        # For start time: a server over stdio rarely needs any of them.
        from starlette.applications import Starlette  # noqa: PLC0415

        from roadster_server.events.inbox import keep_tidy  # noqa: PLC0415
        from roadster_server.identity.keys import IssuerKeys  # noqa: PLC0415
        from roadster_server.identity.revocations import Revocations  # noqa: PLC0415
        from roadster_server.people.app import people_app  # noqa: PLC0415
        from roadster_server.people.context import People  # noqa: PLC0415
        from roadster_server.settings.sections.http import HttpSettings  # noqa: PLC0415

        from .http.front import FrontDoor  # noqa: PLC0415
        from .http.guards import HostGuard, PeoplePaths, live_host_rules  # noqa: PLC0415
        from .http.listening.descriptors import raise_limit  # noqa: PLC0415
        from .http.listening.http_server import http_server  # noqa: PLC0415

        if self._listener is None:
            raise RuntimeError("nothing listens")
        revocations = Revocations(calls.services.store.revocations)
        pages = people_app(People(calls, self._live, revocations, IssuerKeys(), is_local=True))
        rules = live_host_rules(lambda: self._live.current, self._listener.getsockname()[1])
        direct = HttpSettings()  # nothing stands between a browser on this machine and the listener
        app = FrontDoor(HostGuard(PeoplePaths(Starlette(), pages), rules), lambda: direct, ())
        server = http_server(app, self._live, descriptors=raise_limit())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(revocations.follow)
            tasks.start_soon(keep_tidy, self._live, calls.services.store)  # files that people hand over have an end
            try:
                await server.serve([self._listener])
            finally:
                with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
                    await server.shutdown([self._listener])
                self._listener.close()

"""The backend of a command: the configured upstreams, the embedded sandbox, or a recording."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from .sandbox import sandbox_settings
from .settings.defaults import DEFAULT_CONFIG
from .settings.errors import ConfigurationError
from .settings.live import LiveSettings
from .settings.loading import load
from .settings.sections.stores import InventorySettings, StoreSettings
from .settings.settings import Settings

if TYPE_CHECKING:  # for start time: importing them takes long
    import httpx2
    from mcp.server.lowlevel import Server

    from .calls.calls import Calls
    from .calls.page_links import PageLinks


@dataclass(frozen=True)
class Backend:
    """The settings of a command, and what it uses instead of the network and of random numbers."""

    live: LiveSettings
    transport: httpx2.AsyncBaseTransport | None = None
    discard: Callable[[], None] = lambda: None
    """Removes the temporary store. For an exit that cannot wait until the block of `open_backend` ends."""

    random: Callable[[int], bytes] = os.urandom
    """In the sandbox, the numbers are the same each time, and so are a script's answers."""

    @property
    def settings(self) -> Settings:
        return self.live.current

    @asynccontextmanager
    async def open_server(
        self, caller: str, page_links: PageLinks | None = None
    ) -> AsyncIterator[tuple[Server[Any], Calls]]:
        """Opens the MCP server for one caller on this machine. `page_links` finds the pages for people."""
        from .protocol.server import build_server  # noqa: PLC0415 - for start time: it imports the SDK
        from .runtime import open_calls  # noqa: PLC0415 - for start time: it imports the SDK

        self.settings.caller(caller)  # fails at once if there is no such caller, not at the first request
        async with open_calls(
            self.live, local=True, transport=self.transport, random=self.random, page_links=page_links
        ) as calls:
            yield build_server(calls, lambda: self.settings.caller_as_of_now(caller)), calls


@contextmanager
def open_backend(
    config: Path | None,
    *,
    sandbox: bool,
    seed: int | None = None,
    record: Path | None = None,
    replay: Path | None = None,
) -> Iterator[Backend]:
    """Yields the backend for a command's options. Raises ConfigurationError.

    `seed` is the sandbox's. `record` is a file to which the exchanges with the upstreams are written. `replay` is such
    a file to answer from. A replay needs no secrets, and has an empty store.
    """
    if sandbox and config is not None:
        raise ConfigurationError(["--sandbox takes no configuration; leave out --sandbox, or --config"])
    if seed is not None and not sandbox:
        raise ConfigurationError(["--seed is only for the sandbox; add --sandbox, or leave out --seed"])
    if record is not None and replay is not None:
        raise ConfigurationError(["--record and --replay exclude each other; leave out one"])
    with ExitStack() as stack:
        if sandbox:
            backend = _sandbox_backend(stack, seed)
        elif replay is not None:
            backend = _replay_backend(stack, config or DEFAULT_CONFIG)
        else:
            backend = _configured_backend(config or DEFAULT_CONFIG)
        if record is not None or replay is not None:
            # With a mirror the requests would depend on the store and on the time.
            live = backend.live
            live.current = live.current.model_copy(update={"inventory": InventorySettings(fresh_for=0)})
        if record is not None:
            from .recordings.transport import record_to  # noqa: PLC0415 - for start time: few commands need it

            transport = backend.transport or backend.settings.network.path().open()
            backend = replace(backend, transport=stack.enter_context(record_to(record, transport)))
        if replay is not None:
            from .recordings.transport import replay_from  # noqa: PLC0415 - for start time: few commands need it

            backend = replace(backend, transport=replay_from(replay))
        yield backend


def _configured_backend(path: Path) -> Backend:
    """Returns the upstreams of the configuration file."""
    return Backend(LiveSettings(load(path), path))


def _sandbox_backend(stack: ExitStack, seed: int | None) -> Backend:
    """Returns the embedded sandbox, with an empty store."""
    from roadster_sandbox import DEFAULT_SEED, SandboxTransport, create_app  # noqa: PLC0415 - for start time: few commands need it

    folder = _temporary_folder(stack)
    seed = DEFAULT_SEED if seed is None else seed
    random = Random(seed).randbytes  # noqa: S311 - the sandbox has no secrets
    settings = sandbox_settings(_store_in(folder).url.get_secret_value())
    return Backend(LiveSettings(settings), SandboxTransport(create_app(seed)), folder.cleanup, random)


def _replay_backend(stack: ExitStack, path: Path) -> Backend:
    """Returns the settings of the configuration file without its secrets, and with an empty store."""
    folder = _temporary_folder(stack)
    settings = load(path, reveal_secrets=False)
    settings = settings.model_copy(update={"store": _store_in(folder), "replicas": None})
    return Backend(LiveSettings(settings), discard=folder.cleanup)


def _temporary_folder(stack: ExitStack) -> TemporaryDirectory[str]:
    folder = TemporaryDirectory(prefix="roadster-mcp-", ignore_cleanup_errors=True)
    stack.enter_context(folder)
    return folder


def _store_in(folder: TemporaryDirectory[str]) -> StoreSettings:
    return StoreSettings(url=SecretStr(f"sqlite:///{folder.name}/store.db"))

"""Which upstream a command works against: the configured one, or the embedded sandbox."""

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

from roadster_client import open_network

from .calls.calls import Calls
from .protocol.server import build_server
from .runtime import open_calls
from .sandbox import sandbox_settings
from .settings.defaults import DEFAULT_CONFIG
from .settings.errors import ConfigurationError
from .settings.live import LiveSettings
from .settings.loading import load
from .settings.sections import Settings, StoreSettings

if TYPE_CHECKING:
    import httpx2
    from mcp.server.lowlevel import Server


@dataclass(frozen=True)
class Backend:
    """The settings of a command; `transport` stands for the network where the upstream is embedded."""

    live: LiveSettings
    transport: httpx2.AsyncBaseTransport | None = None
    discard: Callable[[], None] = lambda: None
    """Removes what the backend keeps for the length of the process, where an exit cannot wait for `choose` to end."""

    random: Callable[[int], bytes] = os.urandom
    """Under a seed, the seed's: what a script answers is the same each time."""

    @property
    def settings(self) -> Settings:
        return self.live.current

    @asynccontextmanager
    async def open_server(self, caller: str) -> AsyncIterator[tuple[Server[Any], Calls]]:
        """The MCP server for one caller on this machine, over an upstream that is open within the block."""
        self.settings.caller(caller)  # a name that is not configured ends here, not at the first request
        async with open_calls(self.live, local=True, transport=self.transport, random=self.random) as calls:
            yield build_server(calls, lambda: self.settings.caller_as_of_now(caller)), calls


@contextmanager
def choose(
    config: Path | None,
    *,
    sandbox: bool,
    seed: int | None = None,
    record: Path | None = None,
    replay: Path | None = None,
) -> Iterator[Backend]:
    """The backend of a command's options, within the block. Raises ConfigurationError.

    `seed` is the sandbox's. `record` writes down what is exchanged with the upstreams, `replay` answers from what was
    written down: then no secret is needed, and the store is a new one.
    """
    if sandbox and config is not None:
        raise ConfigurationError(["--sandbox takes no configuration; leave out --sandbox, or --config"])
    if seed is not None and not sandbox:
        raise ConfigurationError(["--seed is for the sandbox alone; add --sandbox, or leave out --seed"])
    if record is not None and replay is not None:
        raise ConfigurationError(["--record and --replay exclude each other; leave out one"])
    with ExitStack() as stack:
        backend = _sandboxed(stack, seed) if sandbox else _configured(stack, config or DEFAULT_CONFIG, replay)
        if record is not None:
            from .recordings.transport import record as recording  # noqa: PLC0415 - few need it, and it reads all models

            network = stack.enter_context(recording(record, backend.transport or open_network()))
            backend = replace(backend, transport=network)
        if replay is not None:
            from .recordings.transport import replay as recorded  # noqa: PLC0415 - as above

            backend = replace(backend, transport=recorded(replay))
        yield backend


def _configured(stack: ExitStack, path: Path, replay: Path | None) -> Backend:
    if replay is None:
        return Backend(LiveSettings(load(path), path))
    folder = _folder(stack)
    settings = load(path, reveal_secrets=False)
    return Backend(
        LiveSettings(settings.model_copy(update={"store": _store_in(folder), "replicas": None})), discard=folder.cleanup
    )


def _sandboxed(stack: ExitStack, seed: int | None) -> Backend:
    from roadster_sandbox import SandboxTransport, create_app  # noqa: PLC0415 - nothing else needs it

    folder = _folder(stack)
    app = create_app() if seed is None else create_app(seed)
    random = os.urandom if seed is None else Random(seed).randbytes  # noqa: S311 - the sandbox has no secrets
    settings = sandbox_settings(_store_in(folder).url.get_secret_value())
    return Backend(LiveSettings(settings), SandboxTransport(app), folder.cleanup, random)


def _folder(stack: ExitStack) -> TemporaryDirectory[str]:
    folder = TemporaryDirectory(prefix="roadster-mcp-", ignore_cleanup_errors=True)
    stack.enter_context(folder)
    return folder


def _store_in(folder: TemporaryDirectory[str]) -> StoreSettings:
    return StoreSettings(url=SecretStr(f"sqlite:///{folder.name}/store.db"))

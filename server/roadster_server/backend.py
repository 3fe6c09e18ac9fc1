"""Which upstream a command works against: the configured one, or the embedded sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from roadster_tools import TOOLSETS, Access, Caller

from .app import build_server
from .gateway import open_gate
from .settings import CallerSettings, DealerSettings, HttpSettings, RoadsterSettings, Settings, load

if TYPE_CHECKING:
    import httpx2
    from mcp.server.lowlevel import Server

LOCAL_CALLER = "local"
"""Who stdio and the command line are: `[callers.local]`."""


@dataclass(frozen=True)
class Backend:
    """The settings of a command; `transport` stands for the network where the upstream is embedded."""

    settings: Settings
    transport: httpx2.AsyncBaseTransport | None = None

    @asynccontextmanager
    async def open_server(self, caller: str) -> AsyncIterator[Server[Any]]:
        """The MCP server for one caller on this machine, over an upstream that is open within the block."""
        who: Caller = self.settings.caller(caller)
        async with open_gate(self.settings, local=True, transport=self.transport) as gate:
            yield build_server(gate, lambda: who)


def choose(config: Path, *, sandbox: bool) -> Backend:
    """The backend of a command's options. Raises ConfigurationError."""
    if not sandbox:
        return Backend(load(config))
    from roadster_sandbox import SandboxTransport, create_app  # noqa: PLC0415 - nothing else needs it

    return Backend(sandbox_settings(), SandboxTransport(create_app()))


def sandbox_settings() -> Settings:
    """What `--sandbox` runs with: one caller, who may write at two of the three dealers and do nothing at the third."""
    from roadster_sandbox import API_KEY, BASE_PATH, DEALERS  # noqa: PLC0415 - as above

    return Settings(
        roadster=RoadsterSettings(base_url=f"http://sandbox{BASE_PATH}", api_key=SecretStr(API_KEY)),
        dealers={
            dealer.dpid: DealerSettings(
                partner_id=dealer.partner_id, express_host=dealer.express_host, link_key=SecretStr(dealer.link_key)
            )
            for dealer in DEALERS
        },
        callers={
            LOCAL_CALLER: CallerSettings(
                dealers=["umazda", "hyundaidemo"], access=dict.fromkeys(TOOLSETS, Access.WRITE)
            )
        },
        http=HttpSettings(anonymous_caller=LOCAL_CALLER),
    )

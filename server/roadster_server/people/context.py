"""The parts of the server that all pages for people share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from typing import Any
from uuid import uuid4

from starlette.requests import Request

from roadster_client import is_loopback
from roadster_server.calls.calls import Calls
from roadster_server.identity.keys import IssuerKeys
from roadster_server.identity.revocations import Revocations
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.settings import Settings
from roadster_server.store import AuditRecord

from .pages import Pages
from .visitors import Visitor, Visitors


@dataclass(frozen=True)
class People:
    """The pages of one server. `is_local` says that it listens on loopback only."""

    calls: Calls
    live: LiveSettings
    revocations: Revocations
    issuer_keys: IssuerKeys
    is_local: bool

    @property
    def settings(self) -> Settings:
        return self.live.current

    @cached_property
    def pages(self) -> Pages:
        return Pages(self.calls.services.keys.people)

    @cached_property
    def visitors(self) -> Visitors:
        return Visitors(self.calls.services, self.live, self.revocations)

    def is_at_this_machine(self, request: Request) -> bool:
        """Returns whether the browser is at the machine of this server, and no proxy is in between."""
        return self.is_local and request.client is not None and is_loopback(request.client.host)

    async def record(
        self,
        visitor: Visitor,
        action: str,
        *,
        outcome: str = "done",
        dealer: str | None = None,
        setting: str = "",
        arguments: Mapping[str, Any] | None = None,
        approval: str | None = None,
    ) -> None:
        """Puts into the audit that the visitor looked at a page or did something there. Raises StoreError."""
        record = self.record_of(
            visitor,
            action,
            outcome=outcome,
            dealer=dealer,
            setting=setting,
            arguments=arguments or {},
            approval=approval,
        )
        await self.calls.services.store.append(record)

    def record_of(
        self,
        visitor: Visitor,
        action: str,
        *,
        outcome: str = "done",
        dealer: str | None = None,
        setting: str = "",
        arguments: Mapping[str, Any],
        approval: str | None = None,
    ) -> AuditRecord:
        """Returns the record of what a visitor did.

        `arguments` are hashed here. An action is named as `page NAME`, so that it is never taken for a tool.
        """
        hash_ = self.calls.services.keys.hash
        return AuditRecord(
            call_id=uuid4().hex,
            phase="ended",
            time=datetime.now(UTC),
            caller=visitor.caller.name,
            principal=visitor.principal,
            client=f"roadster-mcp/{version('roadster-mcp')}",
            protocol="page",
            tool=f"page {action}",
            dealer=dealer,
            verdict="refused" if outcome == "refused" else "allowed",
            setting=setting,
            outcome=outcome,
            upstream_request_id=None,
            latency_ms=None,
            arguments={name: hash_(value) for name, value in arguments.items()},
            approval=approval,
        )

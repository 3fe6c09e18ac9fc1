"""One customer's data, deleted on request."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from uuid import uuid4

from roadster_server.calls.keys import Keys
from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.sections import Settings
from roadster_server.store import AuditRecord

from .audit import existing_store


async def forget_customer(settings: Settings, dealer: str, customer: str) -> int:
    """How many events were deleted; the audit keeps that it was done. Raises ConfigurationError.

    The dealer may be one that the configuration no longer has, or never had: events of those are kept in quarantine.
    One that the store does not know either is a mistake, and must not look like a request that was met.
    """
    # As an argument of a tool is hashed, so that one search finds what was asked about a customer and this.
    hashed = Keys.derive(settings.roadster.api_key.get_secret_value()).hash(
        int(customer) if customer.isdecimal() else customer
    )
    record = AuditRecord(
        call_id=uuid4().hex,
        phase="ended",
        time=datetime.now(UTC),
        caller="operator",
        client=f"roadster-mcp/{version('roadster-mcp')}",
        protocol="command line",
        tool="forget",
        dealer=dealer,
        verdict="allowed",
        setting="roadster-mcp forget",
        outcome="done",
        upstream_request_id=None,
        latency_ms=None,
        arguments={"customer_id": hashed},
    )
    async with existing_store(settings) as store:
        if dealer not in settings.dealers and not await store.knows_dealer(dealer):
            known = ", ".join(settings.dealers) or "none"
            raise ConfigurationError(
                [f"{dealer}: there is no such dealer, and the store knows nothing of one; there are: {known}"]
            )
        return await store.forget_customer(dealer, customer, record)

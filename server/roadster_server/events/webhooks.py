"""Web hooks: what Roadster and Roadie send is checked, stored, and acknowledged; nothing else happens on the way.

An event that was answered with 2xx is durable. What is not stored is not acknowledged, so that its sender
repeats it, and a repeated one is stored once.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import anyio
from pydantic import SecretStr, ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from roadster_client import strip_invisible
from roadster_client.models.webhooks import Acknowledgement, CustomerEventEnvelope, DeliveryEvent, mask_identity
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections import Settings, WebhookSettings
from roadster_server.store import NewEvent, StoreError
from roadster_server.store.lazy import LazyStore
from roadster_server.telemetry.logs import log
from roadster_server.telemetry.observer import ServerObserver

from .inbox import EventWriter

_MAX_BODY_BYTES = 1024 * 1024
"""A documented event has about 5 KB."""

_BODY_SECONDS = 10.0
"""For the whole body: a sender of a byte a second would otherwise hold its connection for good."""


CustomerChanged = Callable[[str, str], None]
"""Called with the dealer and the customer's id when an event of theirs is kept."""


def receivers(
    live: LiveSettings, store: LazyStore, customer_changed: CustomerChanged, observer: ServerObserver | None = None
) -> dict[str, ASGIApp]:
    """By path, the application that takes in one source's events."""
    writer, observer = EventWriter(live, store), observer or ServerObserver()
    return {
        "/webhooks/roadster": _Receiver(_ROADSTER, live, writer, customer_changed, observer),
        "/webhooks/roadie": _Receiver(_ROADIE, live, writer, customer_changed, observer),
    }


class _Refused(Exception):
    """Nothing was stored. `problem` holds no value of the request."""

    def __init__(self, status: int, problem: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem)
        self.response = JSONResponse({"error": problem}, status, headers)


@dataclass(frozen=True)
class _Source:
    name: str
    keys: Callable[[WebhookSettings], Collection[SecretStr]]
    credentials: Callable[[Request], list[str]]
    read: Callable[[Any, str], NewEvent]
    """From the event and its JSON. Raises ValidationError."""


@dataclass(frozen=True)
class _Receiver:
    """An ASGI application for one source."""

    source: _Source
    live: LiveSettings
    writer: EventWriter
    customer_changed: CustomerChanged
    observer: ServerObserver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        try:
            outcome, age, response = await self._take_in(Request(scope, receive))
        except _Refused as refused:
            outcome, age, response = "refused", None, refused.response
        self.observer.on_event(self.source.name, outcome, age)
        await response(scope, receive, send)
        log.info(
            "web hook",
            extra={
                "source": self.source.name,
                "outcome": outcome,
                "status": response.status_code,
                "ms": round((time.perf_counter() - started) * 1000),
            },
        )

    async def _take_in(self, request: Request) -> tuple[str, float, Response]:
        """What became of the event, its age in seconds when it came, and the answer."""
        settings = self.live.current
        self._check_key(request, settings)
        event, document = self._read(await _body(request))
        age = max(0.0, (datetime.now(UTC) - event.happened_at).total_seconds())
        try:
            outcome = await self.writer.keep(event)
        except StoreError as error:
            log.error("event not stored, its sender has to repeat it", extra={"reason": str(error)})
            raise _Refused(503, "the event could not be stored; send it again", {"retry-after": "10"}) from None
        if outcome == "kept" and event.dealer and event.customer:
            self.customer_changed(event.dealer, event.customer)
        if outcome == "quarantined":
            log.warning("event of an unknown dealer, kept in quarantine", extra={"dealer": event.dealer})
        return outcome, age, JSONResponse(_acknowledgement(settings, event, document))

    def _check_key(self, request: Request, settings: Settings) -> None:
        keys = self.source.keys(settings.webhooks)
        if not keys:
            raise _Refused(404, "no events are taken in here")
        if request.method != "POST":
            raise _Refused(405, "events come by POST", {"allow": "POST"})
        # All of them and all keys, so that the time tells nothing.
        if not any([_is_one_of(keys, given) for given in self.source.credentials(request)]):  # noqa: C419
            raise _Refused(401, "the key is not one of ours", {"www-authenticate": "Bearer"})

    def _read(self, body: bytes) -> tuple[NewEvent, Any]:
        try:
            document = strip_invisible(from_json(body, allow_inf_nan=False))
            # Not everything that can be read can be written: 1e999, or an integer of 5,000 digits.
            kept = json.dumps(mask_identity(document), allow_nan=False, separators=(",", ":"))
        except (ValueError, RecursionError):
            raise _Refused(400, "the body is not JSON") from None
        try:
            return self.source.read(document, kept), document
        except ValidationError as error:
            wrong = ", ".join(".".join(map(str, found["loc"])) or "the body" for found in error.errors())
            raise _Refused(400, f"not the documented event: {wrong}") from None


def _is_one_of(keys: Collection[SecretStr], given: str) -> bool:
    digest = hashlib.sha256(given.encode()).digest()
    found = False
    for key in keys:
        found |= hmac.compare_digest(digest, hashlib.sha256(key.get_secret_value().encode()).digest())
    return found


async def _body(request: Request) -> bytes:
    too_large = _Refused(413, f"the body is above {_MAX_BODY_BYTES} bytes", {"connection": "close"})
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:20]) > _MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    try:
        with anyio.fail_after(_BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MAX_BODY_BYTES:
                    raise too_large
    except TimeoutError:
        raise _Refused(408, f"the body took more than {_BODY_SECONDS:g} seconds", {"connection": "close"}) from None
    except ClientDisconnect:
        raise _Refused(400, "the connection was closed within the body") from None
    return bytes(body)


def _acknowledgement(settings: Settings, event: NewEvent, document: Any) -> dict[str, str]:
    """Our own identifiers: those that the event carries back, and those of the configuration."""
    if event.dealer not in settings.dealers:  # nobody's, or a delivery's
        return {}
    try:
        ours = Acknowledgement.model_validate(document.get("api_partner"))
    except ValidationError:
        ours = Acknowledgement()
    configured = settings.dealers[event.dealer].acknowledge
    ours = ours.model_copy(
        update={
            "dealer_id": configured.dealer_id or ours.dealer_id,
            "agent_id": ours.agent_id or configured.agent_id,  # an agent of the customer's own is the better one
        }
    )
    return ours.model_dump(exclude_none=True)


def _of_authorization(request: Request) -> list[str]:
    """`Bearer KEY`; the scheme may be Token or missing, as in the older document."""
    match request.headers.get("authorization", "").split():
        case [scheme, key] if scheme.lower() in ("bearer", "token"):
            return [key]
        case [key]:
            return [key]
        case _:
            return []


def _of_either_header(request: Request) -> list[str]:
    """Roadie does not document how it proves itself; integrators report either."""
    return [*_of_authorization(request), request.headers.get("x-api-key", "")]


def _customer_event(document: Any, body: str) -> NewEvent:
    event = CustomerEventEnvelope.model_validate(document)
    return NewEvent(
        source="roadster",
        event_id=event.event_id,
        event_type=event.event_type,
        dealer=event.dealer.dpid,
        customer=event.customer.id,
        order=event.order.id if event.order else None,
        delivery=None,
        happened_at=event.event_time,
        body=body,
    )


def _delivery_event(document: Any, body: str) -> NewEvent:
    event = DeliveryEvent.model_validate(document)
    # It has no id of its own: what happened to which shipment, and when, is what makes two of them one.
    named = json.dumps([event.event, event.data.id, event.data.occurred_at.isoformat()])
    return NewEvent(
        source="roadie",
        event_id=hashlib.sha256(named.encode()).hexdigest()[:32],
        event_type=event.event,
        dealer=None,
        customer=None,
        order=None,
        delivery=event.data.id,
        happened_at=event.data.occurred_at,
        body=body,
    )


_ROADSTER = _Source("roadster", lambda settings: settings.roadster_keys, _of_authorization, _customer_event)
_ROADIE = _Source("roadie", lambda settings: settings.roadie_keys, _of_either_header, _delivery_event)

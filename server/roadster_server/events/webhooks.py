"""Web hooks: the events that Roadster and Roadie send are checked, stored and acknowledged, and nothing else.

An event that was answered with 2xx is durable. An event that could not be stored is not acknowledged, so its sender
repeats it. A repeated event is stored once.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import anyio
import anyio.to_thread
from pydantic import SecretStr, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from roadster_client import strip_invisible
from roadster_client.json_text import TooManyValues, parse_lenient_json
from roadster_client.models.webhooks import Acknowledgement, CustomerEventEnvelope, DeliveryEvent, mask_identity
from roadster_server.request_body import BodyCutOff, BodyNotGzip, BodyTooLarge, BodyTooSlow, inflate_capped, read_body
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.http import WebhookSettings
from roadster_server.settings.settings import Settings
from roadster_server.store import NewEvent, StoreError
from roadster_server.store.lazy import LazyStore
from roadster_server.telemetry.logs import log
from roadster_server.telemetry.observer import ServerObserver

from .inbox import EventWriter

_MAX_BODY_BYTES = 1024 * 1024
_LARGE_BYTES = 64 * 1024
"""Before and after it is inflated. A documented event has about 5 KB."""

BODY_SECONDS = 10.0
"""Seconds for the whole body. A sender of one byte a second would otherwise keep its connection for good."""

OnCustomerChange = Callable[[str, str], None]
"""Called with the dealer's dpid and the customer's id when an event of theirs is stored."""


def receivers(
    live: LiveSettings,
    store: LazyStore,
    on_customer_change: OnCustomerChange,
    observer: ServerObserver | None = None,
    *,
    body_seconds: float = BODY_SECONDS,
) -> dict[str, ASGIApp]:
    """Returns by path the application that receives one source's events."""
    writer, observer = EventWriter(live, store), observer or ServerObserver()
    reader = anyio.CapacityLimiter(1)
    return {
        f"/webhooks/{source.name}": _Receiver(source, live, writer, on_customer_change, observer, body_seconds, reader)
        for source in (_ROADSTER, _ROADIE)
    }


class _Refused(Exception):
    """An event that is not stored. `problem` holds no value of the request."""

    def __init__(self, status: int, problem: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem)
        self.response = JSONResponse({"error": problem}, status, headers)


@dataclass(frozen=True)
class _Source:
    name: str
    keys: Callable[[WebhookSettings], Collection[SecretStr]]
    credentials: Callable[[Request], list[str]]
    read: Callable[[Any, str], NewEvent]
    """Makes the event to store from the document and its text. Raises ValidationError."""


@dataclass(frozen=True)
class _Receiver:
    """An ASGI application for one source."""

    source: _Source
    live: LiveSettings
    writer: EventWriter
    on_customer_change: OnCustomerChange
    observer: ServerObserver
    body_seconds: float
    reader: anyio.CapacityLimiter
    """The thread that reads large events, one after another. Masking one may take half a second."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = time.perf_counter()
        try:
            outcome, age, response = await self._receive(Request(scope, receive))
        except _Refused as refusal:
            outcome, age, response = "refused", None, refusal.response
        self.observer.on_event(self.source.name, outcome, age)
        await response(scope, receive, send)
        log.info(
            "web hook",
            extra={
                "source": self.source.name,
                "outcome": outcome,
                "status": response.status_code,
                "ms": round((time.perf_counter() - start) * 1000),
            },
        )

    async def _receive(self, request: Request) -> tuple[str, float | None, Response]:
        """Returns the outcome, the event's age in seconds when it came, and the response.

        The age is None if the time of the event cannot be read.
        """
        settings = self.live.current
        self._check_key(request, settings)
        body = await self._body(request)
        if len(body) > _LARGE_BYTES:
            event, acknowledgement = await anyio.to_thread.run_sync(self._read, body, settings, limiter=self.reader)
        else:
            event, acknowledgement = self._read(body, settings)
        age = None if event.happened_at is None else _age(event.happened_at)
        try:
            outcome = await self.writer.write(event)
        except StoreError as error:
            log.error("event not stored, its sender has to repeat it", extra={"reason": str(error)})
            raise _Refused(503, "the event could not be stored; send it again", {"retry-after": "10"}) from None
        if outcome == "kept" and event.dealer and event.customer:
            self.on_customer_change(event.dealer, event.customer)
        if outcome == "quarantined":
            # Its text may be anything, also a person's name.
            log.warning(
                "event of an unknown dealer, kept in quarantine", extra={"dealer_length": len(event.dealer or "")}
            )
        if event.happened_at is None and outcome != "duplicate":
            log.warning("event without a readable time, kept at its receipt", extra={"source": self.source.name})
        return outcome, age, JSONResponse(acknowledgement)

    def _check_key(self, request: Request, settings: Settings) -> None:
        keys = self.source.keys(settings.webhooks)
        if not keys:
            raise _Refused(404, "no events are taken in here")
        if request.method != "POST":
            raise _Refused(405, "events come by POST", {"allow": "POST"})
        # All credentials and all keys are compared, so that the time reveals nothing.
        if not any([_is_one_of(keys, credential) for credential in self.source.credentials(request)]):  # noqa: C419
            raise _Refused(401, "the key is not one of ours", {"www-authenticate": "Bearer"})

    def _read(self, body: bytes, settings: Settings) -> tuple[NewEvent, dict[str, str]]:
        """Returns the event and its acknowledgement, and lets the document go before the event waits for the store."""
        if body.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            raise _Refused(400, "the body is UTF-16, and JSON must be UTF-8")
        try:
            raw_document = parse_lenient_json(body)
            document = strip_invisible(raw_document)
            body_text = json.dumps(mask_identity(document), default=_null, separators=(",", ":"))
        except TooManyValues as error:
            raise _Refused(413, f"the body has {error}") from None
        except (ValueError, RecursionError):
            raise _Refused(400, "the body is not JSON") from None
        try:
            # The ids are read as they came: with an invisible character a dealer is another one, and unknown.
            event = self.source.read(raw_document, body_text)
        except ValidationError as error:
            places = ", ".join(".".join(map(str, details["loc"])) or "the body" for details in error.errors())
            raise _Refused(400, f"not the documented event: {places}") from None
        return event, _acknowledgement(settings, event, document)

    async def _body(self, request: Request) -> bytes:
        encoding = request.headers.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            problem = "the body must be plain or in gzip"
            raise _Refused(415, problem, {"accept-encoding": "gzip"})
        try:
            body = await read_body(request.scope, request.receive, max_bytes=_MAX_BODY_BYTES, seconds=self.body_seconds)
            return inflate_capped(body, max_bytes=_MAX_BODY_BYTES) if "gzip" in encoding else body
        except BodyNotGzip:
            raise _Refused(400, "the body is not one gzip file, as its content-encoding says") from None
        except BodyTooLarge:
            problem = f"the body is above {_MAX_BODY_BYTES} bytes"
            raise _Refused(413, problem) from None
        except BodyTooSlow:
            problem = f"the body took more than {self.body_seconds:g} seconds"
            raise _Refused(408, problem) from None
        except BodyCutOff:
            raise _Refused(400, "the connection was closed within the body") from None


def _age(happened_at: datetime) -> float:
    return max(0.0, (datetime.now(UTC) - happened_at).total_seconds())


def _null(_mark: object) -> None:
    """Stands for what `NOT_A_NUMBER` marks, so that the stored body is JSON."""


def _is_one_of(keys: Collection[SecretStr], credential: str) -> bool:
    digest = hashlib.sha256(credential.encode()).digest()
    matches = False
    for key in keys:
        matches |= hmac.compare_digest(digest, hashlib.sha256(key.get_secret_value().encode()).digest())
    return matches


def _acknowledgement(settings: Settings, event: NewEvent, document: Any) -> dict[str, str]:
    """Returns our own ids for the answer: those that the event carries back, and those of the configuration."""
    if event.dealer not in settings.dealers:  # an unknown dealer, or a delivery, which names none
        return {}
    try:
        ours = Acknowledgement.model_validate(document.get("api_partner"))
    except ValidationError:
        ours = Acknowledgement()
    acknowledge = settings.dealers[event.dealer].acknowledge
    ours = ours.model_copy(
        update={
            "dealer_id": acknowledge.dealer_id or ours.dealer_id,
            "agent_id": ours.agent_id or acknowledge.agent_id,  # the customer's own agent comes first
        }
    )
    return ours.model_dump(exclude_none=True)


def _authorization(request: Request) -> list[str]:
    """Reads `Bearer KEY`. The scheme may be Token or missing, as in the older document."""
    match request.headers.get("authorization", "").split():
        case [scheme, key] if scheme.lower() in ("bearer", "token"):
            return [key]
        case [key]:
            return [key]
        case _:
            return []


def _authorization_or_api_key(request: Request) -> list[str]:
    """Reads either header: Roadie does not document which one it sends, and integrators report both."""
    return [*_authorization(request), request.headers.get("x-api-key", "")]


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
    # It has no id of its own. The same change of the same shipment at the same time is the same event. If the time
    # cannot be read, the whole text decides. A second attempt of a delivery must not count as a repeat of the first.
    occurred_at = event.data.occurred_at
    identity = json.dumps([event.event, event.data.id, occurred_at.isoformat() if occurred_at else body])
    return NewEvent(
        source="roadie",
        event_id=hashlib.sha256(identity.encode()).hexdigest()[:32],
        event_type=event.event,
        dealer=None,
        customer=None,
        order=None,
        delivery=event.data.id,
        happened_at=occurred_at,
        body=body,
    )


_ROADSTER = _Source("roadster", lambda settings: settings.roadster_keys, _authorization, _customer_event)
_ROADIE = _Source("roadie", lambda settings: settings.roadie_keys, _authorization_or_api_key, _delivery_event)

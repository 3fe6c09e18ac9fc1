"""Customer events, sent to a web hook as Roadster would send them: `POST /__sandbox/events`."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from roadster_sandbox.world.dealers import DEALERS, SandboxDealer
from roadster_sandbox.world.world import World

_TIMEOUT = 10.0
"""Seconds that the web hook has to answer."""

_FIRST_EVENT = datetime(2026, 3, 1, 9, tzinfo=UTC)


def _check_loopback(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if parts.scheme not in ("http", "https") or not local:
        raise ValueError("expected an http:// or https:// URL of this machine: 127.0.0.1, ::1 or localhost")
    return url


class EventFields(BaseModel):
    """An event to send: an `event` as it is, or one that is invented from the other fields."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    event: dict[str, Any] | None = None
    type: str = Field(default="customer_started_purchase", min_length=1)
    dealer: Literal["umazda", "hyundaidemo", "toyotademo"] = "umazda"
    customer_id: int | None = Field(default=None, gt=0, description="by default the first of the world")
    message: str | None = None

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        fields = ("type", "dealer", "customer_id", "message")
        unused = [name for name in fields if name in self.model_fields_set]
        if self.event is not None and unused:
            raise ValueError(f"event is sent as it is: leave out {', '.join(unused)}, or write it into event")
        return self


class EventBody(EventFields):
    """A request to send an event to the web hook at `url`, with the `key` that it wants."""

    url: Annotated[str, AfterValidator(_check_loopback)]
    key: str = Field(pattern=r"^[\x21-\x7e]+$")


def make_event(world: World, body: EventFields) -> dict[str, Any]:
    """Returns the event to send, and counts it. It depends only on the world and the number of events before it."""
    number = world.events_sent
    world.events_sent += 1
    if body.event is not None:
        return body.event
    dealer = next(each for each in DEALERS if each.dpid == body.dealer)
    customer_id = body.customer_id or world.first_ids.customer
    vehicle = next(iter(world.vehicles[dealer.dpid].values()))
    return {
        "event_type": body.type,
        "event_id": hashlib.sha256(f"{world.seed} {number}".encode()).hexdigest()[:25],
        "event_time": (_FIRST_EVENT + timedelta(minutes=number)).isoformat(),
        "api_partner": {"name": "api.partner"},
        "customer": _customer(world, dealer, customer_id),
        "dealer": {"dpid": dealer.dpid, "name": dealer.name, "partner_id": dealer.partner_id},
        "vehicle": {
            "vin": vehicle.vin,
            "year": vehicle.year,
            "make": dealer.make,
            "model": vehicle.line.model,
            "trim": vehicle.trim.name,
            "type": "New",
        },
        "order": {
            "id": dealer.orders[(customer_id - world.first_ids.customer) % len(dealer.orders)],
            "financing": {"type": "cash", "msrp": vehicle.msrp, "purchase_price": vehicle.price},
            "plans": [],
            "accessories": [],
        },
        "agent": {"id": 94366, "full_name": "Judy Agent", "email": "judy_agent@example.com"},
        **({"message": {"body": body.message, "channels": ["email"]}} if body.message is not None else {}),
    }


def _customer(world: World, dealer: SandboxDealer, customer_id: int) -> dict[str, Any]:
    """Returns the customer of the event: the one that was created with this id, or Carlos Silva."""
    customer = next((each for each in world.customers if (each["id"], each["dpid"]) == (customer_id, dealer.dpid)), {})
    defaults = {"first_name": "Carlos", "last_name": "Silva", "email": "carlos.silva@example.com"}
    return {"id": customer_id, **{name: customer.get(name, value) for name, value in defaults.items()}}


async def send_event(world: World, body: EventBody) -> dict[str, Any]:
    """Sends the event, and returns it with the web hook's answer. Without an answer there is no `status`."""
    import httpx2  # noqa: PLC0415  # only events need it, and importing it takes longer than the whole sandbox

    event = make_event(world, body)
    headers = {"authorization": f"Bearer {body.key}", "content-type": "application/json"}
    try:
        async with httpx2.AsyncClient(timeout=_TIMEOUT, trust_env=False) as http:
            answer = await http.post(body.url, content=json.dumps(event), headers=headers)
    except httpx2.HTTPError as error:
        return {"error": f"the url did not answer: {type(error).__name__}", "event": event}
    return {"status": answer.status_code, "answer": answer.text[:1000], "event": event}

"""`POST /__sandbox/events`: a customer event, sent to a web hook as Roadster would send it."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from roadster_sandbox.world.dealers import DEALERS, SandboxDealer
from roadster_sandbox.world.world import FIRST_CUSTOMER_ID, World

_SECONDS = 10.0
_FIRST_EVENT = datetime(2026, 3, 1, 9, tzinfo=UTC)


def _loopback(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if parts.scheme not in ("http", "https") or not local:
        raise ValueError("expected an http:// or https:// URL of this machine: 127.0.0.1, ::1 or localhost")
    return url


class EventBody(BaseModel):
    """`event` is sent as it is; without it, one is made up of the rest."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    url: Annotated[str, AfterValidator(_loopback)]
    key: str = Field(pattern=r"^[\x21-\x7e]+$")
    event: dict[str, Any] | None = None
    type: str = Field(default="customer_started_purchase", min_length=1)
    dealer: Literal["umazda", "hyundaidemo", "toyotademo"] = "umazda"
    customer_id: int = Field(default=FIRST_CUSTOMER_ID, gt=0)
    message: str | None = None


def make_event(world: World, order: EventBody) -> dict[str, Any]:
    """The ordered event. The same world and the same number of events before it make the same one."""
    if order.event is not None:
        return order.event
    dealer = next(each for each in DEALERS if each.dpid == order.dealer)
    number = world.events_sent
    vehicle = next(iter(world.vehicles[dealer.dpid].values()))
    return {
        "event_type": order.type,
        "event_id": hashlib.sha256(f"{world.seed} {number}".encode()).hexdigest()[:25],
        "event_time": (_FIRST_EVENT + timedelta(minutes=number)).isoformat(),
        "api_partner": {"name": "api.partner"},
        "customer": _customer(world, dealer, order.customer_id),
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
            "id": dealer.orders[(order.customer_id - FIRST_CUSTOMER_ID) % len(dealer.orders)],
            "financing": {"type": "cash", "msrp": vehicle.msrp, "purchase_price": vehicle.price},
            "plans": [],
            "accessories": [],
        },
        "agent": {"id": 94366, "full_name": "Judy Agent", "email": "judy_agent@example.com"},
        **({"message": {"body": order.message, "channels": ["email"]}} if order.message is not None else {}),
    }


def _customer(world: World, dealer: SandboxDealer, customer_id: int) -> dict[str, Any]:
    """The one that was created with this id, or Carlos Silva."""
    known = next((each for each in world.customers if (each["id"], each["dpid"]) == (customer_id, dealer.dpid)), {})
    made_up = {"first_name": "Carlos", "last_name": "Silva", "email": "carlos.silva@example.com"}
    return {"id": customer_id, **{name: known.get(name, value) for name, value in made_up.items()}}


async def send_event(world: World, order: EventBody) -> dict[str, Any]:
    """What was sent, and what the web hook answered; without a `status` where nobody did."""
    import httpx2  # noqa: PLC0415 - only here, and it takes longer to import than the rest of the sandbox

    event = make_event(world, order)
    world.events_sent += 1
    headers = {"authorization": f"Bearer {order.key}", "content-type": "application/json"}
    try:
        async with httpx2.AsyncClient(timeout=_SECONDS, trust_env=False) as http:
            answer = await http.post(order.url, content=json.dumps(event), headers=headers)
    except httpx2.HTTPError as error:
        return {"error": f"the url did not answer: {type(error).__name__}", "event": event}
    return {"status": answer.status_code, "answer": answer.text[:1000], "event": event}

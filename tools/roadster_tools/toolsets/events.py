"""What dealers' customers did, from the events that were received: the list of them, and one customer's deal."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, WithJsonSchema

from roadster_client.models.events import EventVehicle
from roadster_tools.answers import ToolAnswer, cell, counted
from roadster_tools.catalogue import tool
from roadster_tools.cursors import Unsealable
from roadster_tools.failures import InvalidArguments, NoEventReceived
from roadster_tools.gate.gate import Grant
from roadster_tools.gate.inbox import EventPlace, EventQuery, ReceivedEvent
from roadster_tools.parameters import Cursor, CustomerId, Detail, Limit, as_number

_SHORT_MESSAGE = 160
_PAGE = 200
_MOST_EVENTS = 1000
_BRIEF_HISTORY = 20
_FULL_HISTORY = 200

_ShapeT = TypeVar("_ShapeT", bound=ToolAnswer)


def _utc(given: datetime) -> datetime:
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given


Moment = Annotated[datetime, AfterValidator(_utc), WithJsonSchema({"type": "string", "format": "date-time"})]

AnyId = Annotated[int | str, BeforeValidator(as_number), WithJsonSchema({"type": ["integer", "string"]})]
"""As the other tools take and give it: a number, but for what is none."""


class EventRow(ToolAnswer):
    event_id: str
    event_type: str
    time: str = Field(description="when it happened, UTC")
    customer_id: AnyId | None = None
    order_id: str | None = None
    vehicle: str | None = None
    message: str | None = Field(default=None, description="shortened")
    delivery_id: AnyId | None = None
    event: dict[str, Any] | None = Field(default=None, description="with detail full: its documented fields")

    def text(self) -> str:
        ids = [
            f"{name} {value}"
            for name, value in (
                ("customer", self.customer_id),
                ("order", self.order_id),
                ("delivery", self.delivery_id),
            )
            if value is not None
        ]
        message = [f'message "{self.message}"'] if self.message else []
        whole = [self.model_dump_json(include={"event"})] if self.event else []
        parts = [f"{self.time} {self.event_type}", *ids, self.vehicle, *message, f"id {self.event_id}", *whole]
        return "; ".join(part for part in parts if part)


class EventsAnswer(ToolAnswer):
    events: list[EventRow] = Field(description="the newest first")
    truncated: bool = Field(description="whether there are older ones behind next_cursor")
    next_cursor: str | None = None
    event_types: list[str] | None = Field(default=None, description="that were received, where none is as asked for")
    hint: str | None = None

    def text(self) -> str:
        lines = [counted(len(self.events), "event"), *(row.text() for row in self.events)]
        if self.next_cursor is not None:
            lines.append(f"truncated; next_cursor: {self.next_cursor}")
        if self.event_types:
            lines.append(f"event_types: {', '.join(map(cell, self.event_types))}")
        return "\n".join([*lines, self.hint] if self.hint else lines)


@tool("List customer events")
async def list_customer_events(
    grant: Grant,
    customer_id: CustomerId | None = None,
    event_type: Annotated[str | None, Field(description="for instance customer_started_purchase")] = None,
    since: Moment | None = None,
    until: Moment | None = None,
    detail: Detail = "brief",
    limit: Limit = 20,
    cursor: Cursor | None = None,
) -> EventsAnswer:
    """What a dealer's customers and agents did, newest first, with the messages sent. For where one customer's deal
    stands use get_customer."""
    if since is not None and until is not None and since >= until:
        raise InvalidArguments({"since": "is not before until"})
    query = EventQuery(customer_id, event_type, since, until)
    before = _place(grant, cursor, query) if cursor is not None else None
    found = await grant.events.newest(query, before=before, most=limit + 1)
    shown, more = found[:limit], len(found) > limit
    return EventsAnswer(
        events=[_row(received, detail) for received in shown],
        truncated=more,
        next_cursor=_cursor(grant, query, shown[-1].place) if more else None,
        event_types=await _types(grant) if event_type is not None and not shown else None,
        hint=None if shown else _NOTHING if cursor is None else "That was all.",
    )


_NOTHING = (
    "No such event was received at this dealer. Leave filters out to see whether there is any; "
    "the server's operator knows whether Roadster sends its events here."
)


async def _types(grant: Grant) -> list[str] | None:
    """Those of the dealer's newest events."""
    return sorted({found.event_type for found in await grant.events.newest(EventQuery(), most=_PAGE)}) or None


def _cursor(grant: Grant, query: EventQuery, place: EventPlace) -> str:
    return grant.cursors.seal(f"{_digest(query)} {place.happened_at} {place.received_at} {place.key}")


def _place(grant: Grant, cursor: str, query: EventQuery) -> EventPlace:
    # A cursor of another tool opens too: it is sealed for the same caller and dealer.
    try:
        digest, *place = grant.cursors.open(cursor).split(" ")
    except Unsealable:
        raise InvalidArguments({"cursor": "is not one that you got for this dealer; start again without it"}) from None
    if digest != _digest(query):
        raise InvalidArguments({"cursor": "is of another search; repeat its filters, or start again without it"})
    happened_at, received_at, key = place
    return EventPlace(int(happened_at), int(received_at), key)


def _digest(query: EventQuery) -> str:
    return hashlib.sha256(f"list_customer_events {query!r}".encode()).hexdigest()[:16]


def _row(received: ReceivedEvent, detail: Detail) -> EventRow:
    event = received.event
    message = event.message if event else None
    return EventRow(
        event_id=received.event_id,
        event_type=received.event_type,
        time=_time(received),
        customer_id=received.customer_id,
        order_id=received.order_id,
        vehicle=_vehicle_name(event.vehicle) if event and event.vehicle else None,
        message=_short(message.body or message.subject) if message else None,
        delivery_id=received.delivery_id,
        event=event.model_dump(mode="json", by_alias=True, exclude_none=True) if event and detail == "full" else None,
    )


def _time(received: ReceivedEvent) -> str:
    return received.happened_at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _vehicle_name(vehicle: EventVehicle) -> str | None:
    name = [vehicle.year, vehicle.make, vehicle.model, vehicle.trim, vehicle.vin]
    return " ".join(str(part) for part in name if part is not None) or None


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= _SHORT_MESSAGE else f"{text[: _SHORT_MESSAGE - 1]}…"


# --- one customer's deal --------------------------------------------------------------------------


class PersonRow(ToolAnswer):
    """Personal data, masked for who may not see them."""

    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    mobile: str | None = None
    communication_preference: str | None = None
    in_showroom: bool | None = None


class DealVehicleRow(ToolAnswer):
    vin: str | None = None
    year: int | None = None
    make: str | None = None
    model: str | None = None
    trim: str | None = None
    type: str | None = None
    stock_number: str | None = None


class DealFinancingRow(ToolAnswer):
    """Amounts in the currency's units."""

    type: str | None = None
    purchase_price: float | None = None
    msrp: float | None = None
    down_payment: float | None = None
    rebate: float | None = None
    monthly_payment: float | None = None
    term: int | None = Field(default=None, description="months")


class DealPlanRow(ToolAnswer):
    title: str | None = None
    price: float | None = None
    tier_title: str | None = None


class DealAccessoryRow(ToolAnswer):
    title: str | None = None
    installed_price: float | None = None


_NotEmpty = BeforeValidator(lambda given: given or None)


class DealOrderRow(ToolAnswer):
    id: str
    financing: DealFinancingRow | None = None
    plans: Annotated[list[DealPlanRow] | None, _NotEmpty] = None
    accessories: Annotated[list[DealAccessoryRow] | None, _NotEmpty] = None


class CreditDecisionRow(ToolAnswer):
    status: str | None = None
    finance_company: str | None = None
    approved_amount: float | None = None
    rate_percent: float | None = Field(default=None, validation_alias="rate")
    term: int | None = Field(default=None, description="months")
    payment: float | None = None
    min_down_payment: float | None = None
    stipulations: str | None = None
    expires_at: str | None = None


class AgentRow(ToolAnswer):
    id: str | None = None
    full_name: str | None = None
    email: str | None = None


class OurIdsRow(ToolAnswer):
    customer_id: str | None = None
    lead_id: str | None = None
    agent_id: str | None = None
    dealer_id: str | None = None


class HistoryRow(ToolAnswer):
    time: str
    event_type: str


class CustomerEventsAnswer(ToolAnswer):
    """Each part is as the newest event has it that has one; `part_times` says when that was, if not `as_of`."""

    customer_id: int
    as_of: str = Field(description="time of the newest event, UTC")
    customer: PersonRow | None = None
    vehicle: DealVehicleRow | None = None
    order: DealOrderRow | None = None
    credit_decision: CreditDecisionRow | None = None
    agent: AgentRow | None = None
    our_ids: OurIdsRow | None = Field(default=None, description="identifiers in the dealer's own systems")
    part_times: dict[str, str] | None = Field(
        default=None, description="by part, the time of the event that it comes from, where that is before as_of"
    )
    history: list[HistoryRow] = Field(description="the newest first")
    older: bool = Field(description="whether list_customer_events has more of the history")
    documented: dict[str, Any] | None = Field(default=None, description="with detail full: every part with all fields")


@tool("Get a customer's deal")
async def get_customer(grant: Grant, customer_id: CustomerId, detail: Detail = "brief") -> CustomerEventsAnswer:
    """Where one customer's deal stands by the events Roadster has sent: vehicle, order, financing, credit decision,
    agent. Use it before you continue a deal; for messages use list_customer_events."""
    events = await _events_of(grant, customer_id)
    if not events:
        raise NoEventReceived(
            "No event of this customer was received at this dealer. Check the id; list_customer_events shows whose "
            "events there are"
        )
    parts = _parts(events)
    most = _BRIEF_HISTORY if detail == "brief" else _FULL_HISTORY
    return CustomerEventsAnswer(
        customer_id=customer_id,
        as_of=_time(events[0]),
        customer=_shown(PersonRow, parts, "customer"),
        vehicle=_shown(DealVehicleRow, parts, "vehicle"),
        order=_shown(DealOrderRow, parts, "order"),
        credit_decision=_shown(CreditDecisionRow, parts, "credit_decision"),
        agent=_shown(AgentRow, parts, "agent"),
        our_ids=_shown(OurIdsRow, parts, "api_partner"),
        part_times={name: time for name, (_, time) in parts.items() if time != _time(events[0])} or None,
        history=[HistoryRow(time=_time(event), event_type=event.event_type) for event in events[:most]],
        older=len(events) > most,
        documented={name: part.model_dump(mode="json", exclude_none=True) for name, (part, _) in parts.items()}
        if detail == "full"
        else None,
    )


async def _events_of(grant: Grant, customer_id: int) -> list[ReceivedEvent]:
    """The customer's events, the newest first: as many as a deal can have."""
    events: list[ReceivedEvent] = []
    while len(events) < _MOST_EVENTS:
        before = events[-1].place if events else None
        page = await grant.events.newest(EventQuery(customer_id), before=before, most=_PAGE)
        events += page
        if len(page) < _PAGE:
            break
    return events


_Parts = dict[str, tuple[BaseModel, str]]
"""By name, a section of an event, and the time of that event."""


def _parts(events: list[ReceivedEvent]) -> _Parts:
    """Each section as the newest event has it that has one: a section is never mixed from two events."""
    found: _Parts = {}
    for received in events:
        for name in _SECTIONS:
            section = getattr(received.event, name, None)
            if section is not None:
                found.setdefault(name, (section, _time(received)))
    return found


_SECTIONS = ("customer", "vehicle", "order", "credit_applicant", "credit_decision", "agent", "api_partner")


def _shown(shape: type[_ShapeT], parts: _Parts, name: str) -> _ShapeT | None:
    """None where the section has nothing that is shown."""
    if name not in parts:
        return None
    shown = shape.model_validate(parts[name][0], from_attributes=True)
    return shown if shown.model_dump(exclude_none=True) else None

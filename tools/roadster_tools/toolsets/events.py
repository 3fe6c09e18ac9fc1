"""The events that were received from customers: the list of them, and the deal of one customer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, WithJsonSchema

from roadster_client import MASK
from roadster_client.models.events import CreditDecision, EventOrder
from roadster_tools.answers import MOST_CHARACTERS, AnswerRows, ToolAnswer, cell, cut_hint, list_text, quantity, shorten
from roadster_tools.arguments.parameters import Cursor, CustomerId, Detail, Limit, as_number
from roadster_tools.catalogue import tool
from roadster_tools.cursors import Cursors
from roadster_tools.failures import InvalidArguments, NoEventReceived
from roadster_tools.gate.gate import Grant
from roadster_tools.gate.inbox import EventPlace, EventQuery, ReceivedEvent

from .disclosures import disclose_deal, disclose_event

_SHORT_MESSAGE = 160
"""Characters."""
_LONGEST_ROW = 100_000
"""Characters of the last row of an answer. Those before it have at most 16,000 in all, and an answer 200,000."""
_PAGE = 200
_MOST_EVENTS = 1000
"""More than the events of one deal."""
_BRIEF_HISTORY = 20
_FULL_HISTORY = 200

_SectionT = TypeVar("_SectionT", bound=ToolAnswer)


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


Moment = Annotated[datetime, AfterValidator(_utc), WithJsonSchema({"type": "string", "format": "date-time"})]

AnyId = Annotated[int | str, BeforeValidator(as_number), WithJsonSchema({"type": ["integer", "string"]})]
"""An integer where the id is numeric, as in the other tools, else a string."""


class EventRow(ToolAnswer):
    event_id: str
    event_type: str
    time: str = Field(description="when it happened, UTC")
    time_of_receipt: Literal[True] | None = Field(
        default=None, description="time is when it came, because its own cannot be read"
    )
    customer_id: AnyId | None = None
    customer_name: str | None = None
    order_id: str | None = None
    vehicle: str | None = None
    message: str | None = Field(default=None, description="shortened")
    delivery_id: AnyId | None = None
    event: dict[str, Any] | None = Field(default=None, description="with detail full: its documented fields")
    disclosures: dict[str, Any] | None = None
    event_too_long: Literal[True] | None = Field(default=None, description="the answer has no room for event")

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
        name = [f"name {cell(self.customer_name)}"] if self.customer_name else []
        message = [f'message "{self.message}"'] if self.message else []
        event = [self.model_dump_json(include={"event", "disclosures"}, exclude_none=True)] if self.event else []
        event += ["event too long"] if self.event_too_long else []
        time = f"{self.time} (received)" if self.time_of_receipt else self.time
        parts = [f"{time} {self.event_type}", *ids, *name, self.vehicle, *message, f"id {self.event_id}", *event]
        return "; ".join(part for part in parts if part)


class EventsAnswer(ToolAnswer):
    events: list[EventRow] = Field(description="the newest first")
    truncated: bool = Field(description="whether there are older ones behind next_cursor")
    next_cursor: str | None = None
    event_types: list[str] | None = Field(default=None, description="that were received, where none is as asked for")
    hint: str | None = None

    def text(self) -> str:
        rows = [quantity(len(self.events), "event"), *(row.text() for row in self.events)]
        types = [f"event_types: {', '.join(map(cell, self.event_types))}"] if self.event_types else []
        return list_text(rows, next_cursor=self.next_cursor, notes=types, hint=self.hint)


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
    cursors = Cursors.for_search(grant.cursors, "list_customer_events", query)
    before = _place(cursors.position(cursor)) if cursor is not None else None
    events = await grant.events.newest(query, before=before, most=limit + 1)
    page = AnswerRows[EventRow](limit)
    rows = await page.fill(_event_row(event, detail, grant.disclosure_wording) for event in events)
    more = len(rows) < len(events)
    return EventsAnswer(
        events=rows,
        truncated=more,
        next_cursor=cursors.seal(_position(events[len(rows) - 1].place)) if more else None,
        event_types=await _event_types(grant) if event_type is not None and not rows else None,
        hint=_events_hint(page, detail, more, is_first=cursor is None),
    )


def _events_hint(page: AnswerRows[EventRow], detail: Detail, more: bool, *, is_first: bool) -> str | None:
    if page.is_cut and more:
        return cut_hint(detail)
    return None if page.rows else _NO_EVENT if is_first else "That was all."


_NO_EVENT = (
    "No such event was received at this dealer. Leave filters out to see whether there is any; "
    "the server's operator knows whether Roadster sends its events here."
)


async def _event_types(grant: Grant) -> list[str] | None:
    """Returns the types of the dealer's newest events."""
    return sorted({event.event_type for event in await grant.events.newest(EventQuery(), most=_PAGE)}) or None


def _position(place: EventPlace) -> str:
    return f"{place.happened_at} {place.received_at} {place.key}"


def _place(position: str) -> EventPlace:
    happened_at, received_at, key = position.split(" ")
    return EventPlace(int(happened_at), int(received_at), key)


def _event_row(entry: ReceivedEvent, detail: Detail, wording: Sequence[str]) -> EventRow:
    row = _brief_row(entry)
    if entry.event is None or detail == "brief":
        return row
    event = entry.event.model_dump(mode="json", by_alias=True, exclude_none=True)
    full = row.model_copy(update={"event": event, "disclosures": disclose_event(entry.event, wording)})
    # A row is never cut, and one that is longer than any answer would keep all others from its reader.
    return full if full.size() <= _LONGEST_ROW else row.model_copy(update={"event_too_long": True})


def _brief_row(entry: ReceivedEvent) -> EventRow:
    event = entry.event
    message = event.message if event else None
    return EventRow(
        event_id=entry.event_id,
        event_type=entry.event_type,
        time=event_time(entry),
        time_of_receipt=entry.is_time_of_receipt or None,
        customer_id=entry.customer_id,
        customer_name=customer_name(entry),
        order_id=entry.order_id,
        vehicle=vehicle_name(entry),
        message=shorten(message.body or message.subject, _SHORT_MESSAGE) if message else None,
        delivery_id=entry.delivery_id,
    )


def event_time(entry: ReceivedEvent) -> str:
    return entry.happened_at.isoformat(timespec="seconds").replace("+00:00", "Z")


def vehicle_name(entry: ReceivedEvent) -> str | None:
    vehicle = entry.event.vehicle if entry.event else None
    if vehicle is None:
        return None
    name = [vehicle.year, vehicle.make, vehicle.model, vehicle.trim, vehicle.vin]
    return " ".join(str(part) for part in name if part is not None) or None


def customer_name(entry: ReceivedEvent) -> str | None:
    """Returns the customer's first and last name, or None where they are masked."""
    customer = entry.event.customer if entry.event else None
    if customer is None:
        return None
    return " ".join(part for part in (customer.first_name, customer.last_name) if part and part != MASK) or None


# --- one customer's deal --------------------------------------------------------------------------


class PersonRow(ToolAnswer):
    """Personal data, masked unless the caller may see them."""

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


_NotEmpty = BeforeValidator(lambda rows: rows or None)


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
    time_of_receipt: Literal[True] | None = None
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
    disclosures: dict[str, Any] | None = None
    history: list[HistoryRow] = Field(description="the newest first")
    older: bool = Field(description="whether list_customer_events has more of the history")
    documented: dict[str, Any] | None = Field(default=None, description="with detail full: every part with all fields")


@tool("Get a customer's deal")
async def get_customer(grant: Grant, customer_id: CustomerId, detail: Detail = "brief") -> CustomerEventsAnswer:
    """Where a customer's deal stands by Roadster's events: vehicle, order, financing, credit decision,
    agent. Use it before you continue a deal; for messages use list_customer_events."""
    events = await _events_of(grant, customer_id)
    if not events:
        raise NoEventReceived(
            "No event of this customer was received at this dealer. Check the id; list_customer_events shows whose "
            "events there are"
        )
    sections = _sections(events)
    answer = CustomerEventsAnswer(
        customer_id=customer_id,
        as_of=event_time(events[0]),
        customer=_section_row(PersonRow, sections, "customer"),
        vehicle=_section_row(DealVehicleRow, sections, "vehicle"),
        order=_section_row(DealOrderRow, sections, "order"),
        credit_decision=_section_row(CreditDecisionRow, sections, "credit_decision"),
        agent=_section_row(AgentRow, sections, "agent"),
        our_ids=_section_row(OurIdsRow, sections, "api_partner"),
        part_times={name: time for name, (_, time) in sections.items() if time != event_time(events[0])} or None,
        disclosures=_disclosures(sections, grant.disclosure_wording),
        history=[],
        older=False,
        documented={name: section.model_dump(mode="json", exclude_none=True) for name, (section, _) in sections.items()}
        if detail == "full"
        else None,
    )
    most = _BRIEF_HISTORY if detail == "brief" else _FULL_HISTORY
    history = await AnswerRows[HistoryRow](most, MOST_CHARACTERS - answer.size()).fill(map(_history_row, events))
    return answer.model_copy(update={"history": history, "older": len(history) < len(events)})


def _history_row(event: ReceivedEvent) -> HistoryRow:
    return HistoryRow(
        time=event_time(event), time_of_receipt=event.is_time_of_receipt or None, event_type=event.event_type
    )


async def _events_of(grant: Grant, customer_id: int) -> list[ReceivedEvent]:
    """Returns the customer's events, the newest first, as many as a deal can have."""
    events: list[ReceivedEvent] = []
    while len(events) < _MOST_EVENTS:
        before = events[-1].place if events else None
        page = await grant.events.newest(EventQuery(customer_id), before=before, most=_PAGE)
        events += page
        if len(page) < _PAGE:
            break
    return events


_Sections = dict[str, tuple[BaseModel, str]]
"""A section of an event and the time of that event, by the section's name."""


def _sections(events: list[ReceivedEvent]) -> _Sections:
    """Returns each section from the newest event that has it. A section is never mixed from two events."""
    sections: _Sections = {}
    for entry in events:
        for name in _SECTION_NAMES:
            section = getattr(entry.event, name, None)
            if section is not None:
                sections.setdefault(name, (section, event_time(entry)))
    return sections


_SECTION_NAMES = ("customer", "vehicle", "order", "credit_applicant", "credit_decision", "agent", "api_partner")


def _disclosures(sections: _Sections, wording: Sequence[str]) -> dict[str, Any] | None:
    order, decision = (sections[name][0] if name in sections else None for name in ("order", "credit_decision"))
    return disclose_deal(
        order.financing if isinstance(order, EventOrder) else None,
        decision if isinstance(decision, CreditDecision) else None,
        wording,
    )


def _section_row(row_type: type[_SectionT], sections: _Sections, name: str) -> _SectionT | None:
    """Returns a section's row, None where no field of the row has a value."""
    if name not in sections:
        return None
    row = row_type.model_validate(sections[name][0], from_attributes=True)
    return row if row.model_dump(exclude_none=True) else None

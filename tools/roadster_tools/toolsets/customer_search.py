"""The search for a customer's id by email, phone or name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from roadster_client.models.personal_data import Email, PersonName, Phone
from roadster_tools.answers import AnswerRows, ToolAnswer, list_text, quantity, table
from roadster_tools.arguments.parameters import Cursor, Limit
from roadster_tools.catalogue import tool
from roadster_tools.cursors import Cursors
from roadster_tools.failures import AccessRefused, InvalidArguments
from roadster_tools.gate.customers import (
    MOST_NAME_WORDS,
    CustomerMatch,
    CustomerPlace,
    CustomerQuery,
    SearchGap,
    name_words,
    normal_email,
    normal_phone,
)
from roadster_tools.gate.gate import Grant

from .events import AnyId, customer_name, event_time, vehicle_name


class CustomerRow(ToolAnswer):
    customer_id: AnyId
    name: str | None = None
    last_event: str | None = Field(default=None, description="its event_type; absent where none was received")
    last_event_time: str | None = Field(default=None, description="UTC")
    vehicle: str | None = Field(default=None, description="of the last event")


class CustomersAnswer(ToolAnswer):
    customers: list[CustomerRow]
    truncated: bool = Field(description="whether there are more behind next_cursor")
    next_cursor: str | None = None
    hint: str | None = None

    def text(self) -> str:
        rows = table("customers", self.customers) if self.customers else [quantity(0, "customer")]
        return list_text(rows, next_cursor=self.next_cursor, hint=self.hint)


@tool("Search customers")
async def search_customers(
    grant: Grant,
    email: Email | None = None,
    phone: Phone | None = None,
    name: Annotated[PersonName | None, Field(description="or how its words begin")] = None,
    limit: Limit = 20,
    cursor: Cursor | None = None,
) -> CustomersAnswer:
    """Find a customer's id by one of email, phone or name: customers of whom events came, or whom this server created.
    Several may match: ask which one is meant."""
    query = _query(grant, email, phone, name)
    cursors = Cursors.for_search(grant.cursors, "search_customers", query)
    after = CustomerPlace(*cursors.position(cursor).split(" ", 1)) if cursor is not None else None
    matches = await grant.customers.search(query, after=after, most=limit + 1)
    rows = await AnswerRows[CustomerRow](limit).fill(map(_row, matches.customers))
    more = len(rows) < len(matches.customers)
    last = matches.customers[len(rows) - 1].place if more else None
    return CustomersAnswer(
        customers=rows,
        truncated=more,
        next_cursor=cursors.seal(f"{last.value} {last.customer_id}") if last else None,
        hint=_hint(matches.gap, is_empty=not rows and cursor is None),
    )


def _query(grant: Grant, email: str | None, phone: str | None, name: str | None) -> CustomerQuery:
    """Returns the search. Raises InvalidArguments, and AccessRefused for a name where names are masked."""
    values = {"email": email, "phone": phone, "name": name}
    if sum(value is not None for value in values.values()) != 1:
        raise InvalidArguments({"": "give exactly one of email, phone and name"})
    if email is not None:
        return CustomerQuery("email", _required("email", normal_email(email), "expected an email address"))
    if phone is not None:
        return CustomerQuery("phone", _required("phone", normal_phone(phone), "expected a number with 7 to 15 digits"))
    if not grant.caller.sees_contact_data:
        setting = grant.caller.setting("personal_data")
        raise AccessRefused(f'{setting} is "masked"; search by exact email or phone instead', setting=setting)
    words = name_words(name or "")
    if not 0 < len(words) <= MOST_NAME_WORDS:
        raise InvalidArguments({"name": f"expected 1 to {MOST_NAME_WORDS} words of letters"})
    return CustomerQuery("name", words)


def _required(argument: str, value: str | None, problem: str) -> tuple[str]:
    if value is None:
        raise InvalidArguments({argument: problem})
    return (value,)


def _row(match: CustomerMatch) -> CustomerRow:
    newest = match.newest
    return CustomerRow(
        customer_id=match.place.customer_id,
        name=customer_name(newest) if newest else None,
        last_event=newest.event_type if newest else None,
        last_event_time=event_time(newest) if newest else None,
        vehicle=vehicle_name(newest) if newest else None,
    )


_NOBODY = (
    "No customer known here matches. Known are customers of whom an event came, and those created through this server "
    "(not by name). Roadster may have others; check the spelling, or search by something else."
)
_GAPS: dict[SearchGap, str] = {
    "indexing": "Events are still being indexed, so customers may be missing: search again in a minute.",
    "earlier_key": "Customers created here before the API key was changed, and without an event since, are not found.",
}


def _hint(gap: SearchGap | None, *, is_empty: bool) -> str | None:
    hints = [_NOBODY] if is_empty else []
    if gap == "indexing" or (gap is not None and is_empty):
        hints.append(_GAPS[gap])
    return " ".join(hints) or None

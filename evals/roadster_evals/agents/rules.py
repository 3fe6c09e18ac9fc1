"""An agent without a model: a list of rules over the words of a request, and sentences over what the tools answer.

It is a baseline. It gets what any agent gets, the person's messages and a client, and knows nothing of the scenario. A
model that solves less than it does is no use at the task.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mcp import Client

from roadster_server.calls.results import FAILURE_META


class RuleAgent:
    """Answers each message of the person by the first rule whose words are in it."""

    async def __call__(self, message: str, client: Client) -> str:
        request = _Request(message, client)
        for words, rule in RULES:
            if re.search(words, message, re.IGNORECASE):
                try:
                    return await rule(request)
                except _Refusal as refusal:
                    return str(refusal)
        return "Can you tell me more about what you need?"


class _Refusal(Exception):
    """The answer to the person when a tool failed, or something is missing that only they can tell."""


_FAILURES: Mapping[str, str] = {
    "refused": "I cannot do that: I may not work with that dealer or record.",
    "not_confirmed": "It was not confirmed, so it was not done.",
    "outcome_unknown": "I cannot tell: it was sent, but the answer was lost. Please check before it is tried again.",
    "not_found": "I cannot tell: there is no such record.",
}
"""The answer about a failed call, by the kind of the failure."""


@dataclass(frozen=True)
class _Request:
    """A message of the person, and the client that works on it."""

    text: str
    client: Client

    async def call(self, tool: str, **arguments: Any) -> Any:
        """Returns the tool's structured answer. Raises _Refusal."""
        if tool not in {each.name for each in (await self.client.list_tools()).tools}:
            raise _Refusal("I cannot do that here: I have no tool for it. Please ask whoever runs this server.")
        values = {name: value for name, value in arguments.items() if value is not None}
        result = await self.client.call_tool(tool, values)
        answer = result.structured_content
        if result.is_error or answer is None:
            kind = str((result.meta or {}).get(FAILURE_META))
            raise _Refusal(_FAILURES.get(kind, "I cannot do that at the moment: it failed. Please try again later."))
        if "preview" in answer:
            raise _Refusal("No: I may only preview it. Nothing was sent, so it is not done.")
        return answer

    @property
    def dealer(self) -> str:
        return self.find(r"\b(umazda|hyundaidemo|toyotademo)\b") or "umazda"

    def find(self, pattern: str, missing: str | None = None) -> str | None:
        """Returns the first group of the pattern. Raises _Refusal with the question to ask if there is none."""
        match = re.search(pattern, self.text)
        if match is None and missing:
            raise _Refusal(missing)
        return match[1] if match else None

    def number(self, pattern: str, missing: str | None = None) -> int | None:
        text = self.find(pattern, missing)
        return int(text.replace(",", "")) if text else None

    @property
    def vin(self) -> str | None:
        return self.find(r"\b([A-HJ-NPR-Z0-9]{17})\b", "Which car is it? I need its VIN.")

    @property
    def customer(self) -> int | None:
        return self.number(r"[Cc]ustomer (\d+)", "Which customer is it? I need the customer number.")

    @property
    def person(self) -> dict[str, str]:
        email = self.find(r"([\w.+-]+@[\w-]+(?:\.\w+)+)", "What are the name and the email address of the customer?")
        names = re.search(r"\b([A-Z][a-z]+) ([A-Z][a-z]+)\b,? (?:wants|\(?\S+@)|\bfor ([A-Z]\w+) ([A-Z]\w+)", self.text)
        if names is None:
            raise _Refusal("What is the name of the customer?")
        first, last = [name for name in names.groups() if name]
        phone = self.find(r"(\+1\d{10})")
        person = {"first_name": first, "last_name": last, "email": str(email)}
        return {**person, "phone": phone} if phone else person


async def _look_up_approval(request: _Request) -> str:
    number = request.find(r"\b(AV\w{14})\b", "Which approval is it? I need its number.")
    if re.search(r"\b[Aa]pprove AV", request.text):
        return "I cannot approve it: only a person can, on the page of the approval."
    answer = await request.call("get_approval", approval_id=number)
    if answer["status"] == "not_found" and "open the account" in request.text:
        return await _open_account(request)
    if answer["status"] == "not_found":
        return "I cannot tell: there is no such approval of ours, or it expired more than a day ago."
    return f"The approval is {answer['status']}: {answer.get('message', '')}"


async def _open_account(request: _Request) -> str:
    vin = request.find(r"\b([A-HJ-NPR-Z0-9]{17})\b")
    vehicle = {"vin": vin} if vin else None
    answer = await request.call("create_customer", dealer=request.dealer, customer=request.person, vehicle=vehicle)
    return f"The account is open. It is customer {answer['customer_id']}."


async def _assign_agent(request: _Request) -> str:
    agent = {"id": request.find(r"agent (ID\w+)", "Which agent? I need their id or their email.")}
    await request.call("assign_agent", dealer=request.dealer, customer_id=request.customer, agent=agent)
    return f"Agent {agent['id']} now looks after customer {request.customer}."


async def _send_offer(request: _Request) -> str:
    email = request.find(r"([\w.+-]+@[\w-]+(?:\.\w+)+)", "What is the email address of the customer?")
    value = request.number(r"\$([\d,]+)", "Which value did the dealer decide on for the car?")
    await request.call("submit_trade_valuation", dealer=request.dealer, email=email, vin=request.vin, value=value)
    return f"The customer now sees the dealer's offer of ${value:,}."


async def _tell_fee(request: _Request) -> str:
    fees = (await request.call("get_dealer", dealer=request.dealer))["fees"]
    name = "lease_acquisition_fee" if "acquisition" in request.text else "doc_fee"
    return f"The fee is ${fees[name]}."


async def _name_dealers(request: _Request) -> str:
    dealers = (await request.call("list_dealers"))["dealers"]
    return f"I can help you with {', '.join(dealer['name'] for dealer in dealers)}."


async def _cancel_delivery(request: _Request) -> str:
    number = request.number(r"[Dd]elivery (\d+)", "Which delivery is it?")
    await request.call("cancel_delivery", dealer=request.dealer, delivery_id=number)
    return f"Delivery {number} is cancelled."


async def _find_delivery(request: _Request) -> str:
    number = request.number(r"[Dd]elivery (\d+)", "Which delivery is it? I need its number, or the address and time.")
    answer = await request.call("get_delivery", dealer=request.dealer, delivery_id=number)
    return f"It is {answer['meaning']}. The tracking number is {answer['tracking_number']}."


async def _delete_document(request: _Request) -> str:
    number = request.number(r"document (\d+)", "Which document is it? I need its number.")
    await request.call("delete_documents", dealer=request.dealer, customer_id=request.customer, document_ids=[number])
    return f"Document {number} is deleted."


async def _describe_document(request: _Request) -> str:
    number = request.number(r"document (\d+)", "Which document is it? I need its number.")
    answer = await request.call("get_document", dealer=request.dealer, customer_id=request.customer, document_id=number)
    return f"It is a file of the type {answer['content_type']}, with {answer['bytes']} bytes."


async def _list_documents(request: _Request) -> str:
    documents = (await request.call("list_documents", dealer=request.dealer, customer_id=request.customer))["documents"]
    types = [document["document_type"] for document in documents]
    missing = "" if "insurance" in types else " The proof of insurance is missing."
    return f"There are {len(types)} documents: {', '.join(types)}.{missing}"


async def _list_events(request: _Request) -> str:
    arguments = {"customer_id": request.number(r"customer (\d+)"), "dealer": request.dealer}
    events = (await request.call("list_customer_events", **arguments))["events"]
    return " ".join(f"Customer {each['customer_id']}: {each.get('message') or each['event_type']}." for each in events)


async def _find_caller(request: _Request) -> str:
    phone = request.find(r"(\(\d{3}\) [\d-]+)", "What is the phone number?")
    customers = (await request.call("search_customers", dealer=request.dealer, phone=phone))["customers"]
    return " ".join(f"Customer {each['customer_id']}, with the {each.get('vehicle')}." for each in customers)


async def _describe_template(request: _Request) -> str:
    number = request.find(r"template (\d+)", "Which template is it? I need its number.")
    if "PDF" in request.text:
        answer = await request.call("get_template_file", dealer=request.dealer, template_id=number)
        return f"The blank PDF has {answer['bytes']} bytes."
    answer = await request.call("get_template", dealer=request.dealer, template_id=number)
    roles = [{"__agent__": "the dealer's agent", "__customer__": "the customer"}.get(n, n) for n in answer["signees"]]
    return f"It has {answer['fields']} fields, for {' and '.join(roles)}."


async def _list_templates(request: _Request) -> str:
    templates = (await request.call("list_templates", dealer=request.dealer))["templates"]
    return f"There are {len(templates)}: {', '.join(template['name'] for template in templates)}."


async def _tell_service(request: _Request) -> str:
    uuid = request.find(
        r"\b([0-9a-f]{8}-[0-9a-f-]{27})\b", "I cannot look that up without myKaarma's UUID. What is it?"
    )
    record = await request.call("get_crm_customer", dealer=request.dealer, customer_uuid=uuid, detail="full")
    if "VIN" in request.text:
        return f"The VIN is {record['vehicles'][0]['vin']}."
    number = request.find(r"\b(RO\d+)\b")
    orders = [each for each in record["orders"] if number in (None, each["order_number"])]
    order = orders[-1 if "oldest" in request.text else 0]
    return f"The order {order['order_number']} cost ${order['amount']}."


async def _build_link(request: _Request) -> str:
    vin = request.find(r"\b([A-HJ-NPR-Z0-9]{17})\b")
    model = None if vin else request.find(r"all ([\w-]+(?: [A-Z][\w-]*)*) (?:of|at)", "To which car or model?")
    customer = request.person if "personal" in request.text else None
    answer = await request.call(
        "build_deep_link",
        dealer=request.dealer,
        vin=vin,
        make="Mazda" if model else None,
        model=model,
        customer=customer,
        utm_source=request.find(r"utm_source (\w+)"),
        utm_campaign=request.find(r"utm_campaign (\w+)"),
    )
    warning = f" It is for {customer['first_name']} only, and opens an account." if customer else ""
    return f"Here is the link: {answer['url']}{warning}"


async def _describe_vehicle(request: _Request) -> str:
    vehicle = await request.call("get_vehicle", dealer=request.dealer, vin=request.vin)
    if "gallon" in request.text:
        name = "highway_mpg" if "highway" in request.text else "city_mpg"
        return f"It makes {vehicle[name]:g} miles to the gallon."
    return f"It goes {vehicle['ev_range_miles']} miles on one charge."


_COLORS = r"black|blue|brown|gray|green|red|silver|white|gold|orange"


async def _search_stock(request: _Request) -> str:
    vin = request.find(r"\b([A-HJ-NPR-Z0-9]{17})\b")
    body = re.search(r"\b(SUV|sedan|convertible|hatchback|coupe)", request.text, re.IGNORECASE)
    answer = await request.call(
        "list_inventory",
        dealer=request.dealer,
        vin=vin,
        model=None if vin else request.find(r"\b(CX-\d+|Mazda3|MX-5 Miata|IONIQ \d|Kona|RAV4|Highlander|4Runner)\b"),
        body=body[1].capitalize().replace("Suv", "SUV") if body and not vin else None,
        color=None if vin else request.find(rf"\b({_COLORS})\b"),
        price_max=request.number(r"at most \$([\d,]+)"),
        sort=None if vin else "-price" if "most expensive" in request.text else "price",
    )
    vehicles = answer["vehicles"]
    if not vehicles:
        return "There is no such car, and I cannot offer another one."
    count = f"There are {len(vehicles)}. " if "how many" in request.text.casefold() else ""
    car = vehicles[0]
    return f"{count}It is the {car['model']} {car['vin']}, at ${car['price']:,.2f}."


async def _quote(request: _Request) -> str:
    text = request.text
    kind = "lease" if re.search(r"\bleas", text) else "cash" if re.search(r"\bcash\b", text) else "finance"
    trade, owed = request.number(r"worth \$([\d,]+)"), request.number(r"owe \$([\d,]+)")
    quote = await request.call(
        "quote_payments",
        dealer=request.dealer,
        vin=request.vin,
        deal_type=kind,
        term_months=request.number(r"(\d+) months"),
        annual_miles=request.number(r"([\d,]+) miles a year"),
        customer_cash=request.number(r"\$([\d,]+) down"),
        credit_score=request.number(r"score is around (\d+)"),
        trade_in={"value": trade, "payoff": owed or 0} if trade else None,
    )
    terms = quote[kind]
    if "monthly_payment" not in terms:
        return f"In cash it costs ${terms['total_cost']:,.2f}."
    if "signing" in text:
        return f"${terms['due_at_signing']:,.2f} is due at signing."
    rate = f" at {terms['apr_percent']} % APR" if "APR" in text else ""
    return f"It would be ${terms['monthly_payment']:,.2f} a month{rate}, as an estimate."


_Rule = Callable[[_Request], Awaitable[str]]

RULES: tuple[tuple[str, _Rule], ...] = (
    (r"\bapprov(?:al|ed|e AV)", _look_up_approval),
    (r"\blink to\b", _build_link),
    (r"open an account|open (?:his|her) account|create the account", _open_account),
    (r"\bagent\b.*\bID|\bthe agent of", _assign_agent),
    (r"\boffer\b", _send_offer),
    (r"myKaarma|service order|workshop|\bRO\d+", _tell_service),
    (r"\bfee\b", _tell_fee),
    (r"which dealership", _name_dealers),
    (r"cancel delivery", _cancel_delivery),
    (r"\bdriver\b|delivery", _find_delivery),
    (r"delete document", _delete_document),
    (r"kind of file", _describe_document),
    (r"which documents|how many documents|in the binder of", _list_documents),
    (r"called umazda|phone number", _find_caller),
    (r"write to us|hear from us", _list_events),
    (r"form templates", _list_templates),
    (r"template \d+ at", _describe_template),
    (r"gallon|on one charge", _describe_vehicle),
    (r"\ba month\b|monthly payment|each month|\blease\b|down\b", _quote),
    (r"\bcost\b|price|cheapest|in stock|how many|do you have", _search_stock),
)
"""The words that a request must hold, and what is done then. The first rule that fits is the only one."""

"""What says something of a person reaches nobody who may not see it: by class of field, and by trying.

The canaries are values that occur nowhere else. They are put wherever an upstream's answer, the caller's arguments or
an error can carry them; then everything that leaves the server is searched for them, in each form they could take.
"""

from __future__ import annotations

import base64
import importlib
import json
import logging
import pkgutil
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote, quote_plus

import httpx2
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ElicitResult, ResourceTemplateReference
from pydantic import BaseModel, PlainSerializer, TypeAdapter

from roadster_client import models
from roadster_client.models.parts import Received, Sent
from roadster_client.models.personal_data import (
    MASK,
    ContactData,
    FinancialAmount,
    FinancialData,
    IdentityData,
    PersonalDataClass,
)
from roadster_server.store import open_store
from roadster_server.telemetry.logs import _JsonLines
from roadster_tools import RESOURCES, TOOLS
from tests.conftest import (
    Answering,
    Connect,
    World,
    own_delivery,
    response,
    text_of,
)
from tests.tool_examples import SOME_VIN, TOOL_EXAMPLES

pytestmark = pytest.mark.anyio

# --- classes --------------------------------------------------------------------------------------

for module in pkgutil.iter_modules(models.__path__):
    importlib.import_module(f"{models.__name__}.{module.name}")

PERSONAL = re.compile(
    r"ssn|social|licen[cs]e|birth|dob|gov|passport|e_?mail|phone|mobile|income|rent(?!_)|salary|employ|occupation|"
    r"first_?name|last_?name|full_?name|file_?name|document_?name|^[fl]name$|^name$|company|street|address|line_?[12]|"
    r"city$|zip|cc_?number|card|account|routing|score|payoff|comm_?value|customer_?key|guid|partner_id|^description$|"
    r"contents$|note|message",
    re.IGNORECASE,
)
NOT_PERSONAL = {
    # A dealership's own, which its website shows; its partner id is kept back by the tools.
    *(f"Dealer.{name}" for name in ("name", "address", "city", "zip_code", "phone", "partner_id")),
    *(f"DealerDetails.{name}" for name in ("name", "address", "city", "zip_code", "phone", "partner_id")),
    # Names of things.
    *("Option.name", "Incentive.name", "Rebate.name", "LeaseProgram.name", "Plan.description"),
    # A fee, the least score that a program takes, miles a gallon in town.
    *("Fees.license", "FinanceProgram.min_score", "LeaseProgram.min_score"),
    # A file, of which get_document shows contents by a rule of its own; Roadster's sentence about a deletion.
    *("DocumentContents.contents", "DocumentsDeleted.message"),
    # Whole lists, whose parts are classified.
    *("CustomerRecord.address_list", "CustomerRecord.address_list_v2"),
    *("CreditApplicant.addresses", "CustomerEvent.message", "EventCustomer.address", "Job.address"),
    *("Place.address", "RelatedPerson.address"),
    # Of a dealership, as events name it; who lends; how our own system names somebody.
    *("DealerAddress.city", "DealerAddress.street", "DealerAddress.zip"),
    *("EventDealer.address", "EventDealer.name", "EventDealer.partner_id"),
    *("CreditDecision.finance_company", "OurIdentifiers.name"),
    # A kind of document, a fee.
    *("EventCustomer.gov_id_type", "Financing.license_fee"),
    # A dealer's blank form, and the names of its fields; a thing that is sent.
    *("Template.name", "Template.file_name", "Template.description", "FormField.name", "ShippedItem.description"),
    # A kind: home, work.
}
"""Received fields that sound personal and are not."""

NOT_PERSONAL_WHEN_SENT = {
    # Of a quote, which is a read: nothing shows its request.
    *("QuotedCustomer.credit_score", "QuotedCustomer.zip_code", "TradeIn.payoff"),
    # A blank form, and the names of its fields; a thing that is sent; a whole address, whose parts are masked.
    *("TemplateData.name", "TemplateData.file_name", "TemplateData.description", "NewFormField.name"),
    *("Item.description", "Location.address"),
}


def subclasses(root: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for child in root.__subclasses__():
        if child.__module__.startswith(models.__name__):
            yield child
            yield from subclasses(child)


def fields(root: type[BaseModel]) -> dict[str, Any]:
    """Every field of every model, as Model.field, with all that its annotation is made of."""
    return {
        f"{model.__name__}.{name}": (field.annotation, *field.metadata)
        for model in subclasses(root)
        for name, field in model.model_fields.items()
    }


def parts(annotation: Any) -> Iterator[Any]:
    for part in annotation if isinstance(annotation, tuple) else (annotation,):
        yield part
        yield from parts(get_args(part)) if get_args(part) else getattr(part, "__metadata__", ())


def personal_class(annotation: Any) -> str | None:
    return next((part for part in parts(annotation) if part in get_args(PersonalDataClass)), None)


RECEIVED = fields(Received)
SENT = fields(Sent)


def test_every_received_field_that_sounds_personal_is_classified() -> None:
    unclassified = {
        name
        for name, annotation in RECEIVED.items()
        if PERSONAL.search(name.partition(".")[2]) and personal_class(annotation) is None
    }
    assert unclassified == NOT_PERSONAL


def test_every_sent_field_that_sounds_personal_is_masked_where_a_model_reads_it() -> None:
    """Or else a preview would show it: these are the models of requests."""
    unmasked = {
        name
        for name, annotation in SENT.items()
        if PERSONAL.search(name.partition(".")[2])
        and not any(isinstance(p, PlainSerializer) for p in parts(annotation))
    }
    assert unmasked == NOT_PERSONAL_WHEN_SENT


IDENTITY = re.compile(
    r"ssn|social_sec|licen[cs]e_(?!state|fee)|birth|dob|gov_|passport|cc_?number|card_?number", re.IGNORECASE
)
FINANCIAL = re.compile(r"income|rent|salary|score|payoff|housing_cost|other_sources", re.IGNORECASE)


def test_what_identifies_and_what_is_owed_are_of_those_classes() -> None:
    for name, annotation in RECEIVED.items():
        found = personal_class(annotation)
        if found is not None:
            own = name.partition(".")[2]
            expected = "identity" if IDENTITY.search(own) else "financial" if FINANCIAL.search(own) else "contact"
            assert found == expected, name


@pytest.mark.parametrize(
    ("kind", "given", "contact"),
    [
        (ContactData, "Zebulon", "Zebulon"),
        (ContactData, 2065550171, "2065550171"),
        (FinancialData, "5000", "5000"),
        (FinancialAmount, 5000.5, 5000.5),
        (IdentityData, "078-05-1120", MASK),
        (IdentityData, 78051120, MASK),
    ],
)
@pytest.mark.parametrize("context", ["masked", None, "person", "contact"])
def test_each_class_shows_what_it_may(kind: Any, given: Any, contact: Any, context: str | None) -> None:
    adapter = TypeAdapter(kind, config={"coerce_numbers_to_str": True})
    masked = None if kind is FinancialAmount else MASK
    assert adapter.validate_python(given, context=context) == (contact if context == "contact" else masked)


# --- canaries -------------------------------------------------------------------------------------

CONTACT = {
    "name": "Zebulon Quartermayne",
    "email": "qxz.17@canary-mail.example",
    "phone": "+1 (415) 555-86 42",
    "street": "7781 Wyvernthorpe Crescent",
    "company": "Quibblethwaite Haberdashery",
    "key": "KEY-QX77193",
    "file": "zq-licence-7781.png",
    "payoff": "18273.64",
}
"""For who may see contact data, and nobody else."""

IDENTITY_CANARIES = {
    "ssn": "078-05-1120",
    "licence": "WDLQXZ83K5QB",
    "birth": "1931-07-23",
    "card": "4929 1325 6671 8034",
    "gov": "GOVQ55120098",
}
"""For nobody."""


def forms(canary: str) -> set[str]:
    """What `canary` may look like: as it is, its digits, escaped, in JSON, hex, and base64 at each alignment."""
    digits = re.sub(r"\D", "", canary)
    found = {canary, quote(canary), quote_plus(canary), quote(canary, safe=""), json.dumps(canary)[1:-1]}
    found |= {
        canary.lower(),
        canary.upper(),
        canary.replace(" ", ""),
        canary.encode().hex(),
        canary.encode().hex().upper(),
    }
    if len(digits) >= 7:
        found.add(digits)
    for lead in range(3):
        # Whole groups alone: what stands before and after changes the characters at the ends.
        for encoded in (base64.b64encode, base64.urlsafe_b64encode):
            text = encoded(b"\0" * lead + canary.encode()).decode().rstrip("=")
            found.add(text[4 if lead else 0 : len(text) - len(text) % 4])
    # As the words of a name would stand in fields of their own, or in an identifier.
    words = canary.split(" ") if canary.replace(" ", "").isalpha() else []
    return {form for form in found if len(form) >= 7} | {*words, *map(str.lower, words)}


def leaks(text: str | bytes, canaries: Mapping[str, str]) -> set[str]:
    """The canaries that are in `text`, in whatever form."""
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    return {name for name, canary in canaries.items() if any(form in text for form in forms(canary))}


def test_a_canary_is_found_in_each_of_its_forms() -> None:
    for name, canary in {**CONTACT, **IDENTITY_CANARIES}.items():
        for shown in (
            canary,
            json.dumps({"a": [canary]}),
            f"?q={quote_plus(canary)}&x",
            canary.encode().hex(),
            *(base64.b64encode(b"xyz"[:lead] + canary.encode() + b"tail").decode() for lead in range(3)),
        ):
            assert leaks(shown, {name: canary}) == {name}, shown
    assert leaks("14155558642", CONTACT) == {"phone"}
    assert leaks("4929132566718034", IDENTITY_CANARIES) == {"card"}
    assert leaks(json.dumps({"vehicles": 3, "plain": "Steve McQueen"}), {**CONTACT, **IDENTITY_CANARIES}) == set()


PLANTED: dict[str, str] = {
    # By the name of a field, whatever answer it stands in: also in fields that no document has.
    **dict.fromkeys(
        ("first_name", "last_name", "fname", "lname", "full_name", "commValue", "agent_name"), CONTACT["name"]
    ),
    **dict.fromkeys(("email", "customer_email", "co_app_email_id"), CONTACT["email"]),
    **dict.fromkeys(("phone", "cell", "contact"), CONTACT["phone"]),
    **dict.fromkeys(("street", "line1", "line2", "street1"), CONTACT["street"]),
    **dict.fromkeys(("company", "employer"), CONTACT["company"]),
    **dict.fromkeys(("customerKey", "guid"), CONTACT["key"]),
    **dict.fromkeys(("description_of_customer", "notes", "warningMessage", "warningTitle"), CONTACT["name"]),
    "ssn": IDENTITY_CANARIES["ssn"],
    "license_number": IDENTITY_CANARIES["licence"],
    "birth_date": IDENTITY_CANARIES["birth"],
    "ccNumber": IDENTITY_CANARIES["card"],
    "gov_id": IDENTITY_CANARIES["gov"],
}
OF_A_BINDER = {"name": CONTACT["file"], "file_name": CONTACT["file"]}
OF_AN_ORDER = {"description": f"{CONTACT['name']}, {CONTACT['phone']}"}


def planted(node: Any, operation: str) -> Any:
    """`node` with canaries in all its fields of such names, and with all of them put into each object besides."""
    own = {
        "list_documents": OF_A_BINDER,
        "get_customer_record": OF_AN_ORDER,
        "quote_payments": {"trade_in_payoff": float(CONTACT["payoff"])},
    }.get(operation, {})
    match node:
        case list():
            return [planted(item, operation) for item in node]
        case dict():
            kept = {name: planted(value, operation) for name, value in node.items()}
            if operation.endswith("_shipment"):  # there an object, whose fields are planted
                return {**PLANTED, **kept, **{name: PLANTED[name] for name in ("phone", "street1") if name in kept}}
            # A dealer's own phone is its own.
            return {
                **kept,
                **(PLANTED | own if operation not in DEALERS_OWN else {**PLANTED, "phone": kept.get("phone")}),
            }
        case _:
            return node


DEALERS_OWN = ("list_dealers", "get_dealer")


class Planting(httpx2.AsyncBaseTransport):
    """The sandbox, with canaries in each of its answers; or, given `refusing`, canaries in place of each."""

    def __init__(self, world: World, refusing: httpx2.Response | None = None) -> None:
        self._sandbox = Answering(world, lambda _request: None)
        self._refusing = refusing
        self._world = world

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._sandbox.handle_async_request(request)
        content = b"".join([part async for part in answer.aiter_raw()])
        if self._refusing is not None:
            return httpx2.Response(
                self._refusing.status_code,
                headers=self._refusing.headers,
                stream=httpx2.ByteStream(await self._refusing.aread()),
            )
        if answer.status_code != 200 or not content:
            return httpx2.Response(answer.status_code, stream=httpx2.ByteStream(content))
        operation = (await self._world.requests())[-1]["operation"]
        return response(planted(json.loads(content), operation))


ZEBULON = {
    "first_name": CONTACT["name"].split()[0],
    "last_name": CONTACT["name"].split()[1],
    "email": CONTACT["email"],
    "phone": CONTACT["phone"],
    "partner_id": CONTACT["key"],
}
ZEBULONS_PLACE = {
    "address": {"street1": CONTACT["street"], "city": "Tacoma", "state": "WA", "zip": "98402"},
    "contact": {"name": CONTACT["name"], "phone": "4155558642"},
}
PERSONAL_ARGUMENTS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "list_inventory": [{"limit": 2}],
    "quote_payments": [{"trade_in": {"value": 20000, "payoff": 18273.64}}],
    "create_customer": [{"customer": ZEBULON, "vehicle": {"vin": SOME_VIN}}],
    "assign_agent": [{"agent": {"id": "A1", "email": CONTACT["email"]}}],
    "submit_trade_valuation": [{"email": CONTACT["email"]}],
    "build_deep_link": [{}, {"customer": ZEBULON}],
    "upload_document": [
        {
            "document_name": CONTACT["file"],
            "file_name": CONTACT["file"],
            "relationship": "co_app",
            "co_app_email_id": CONTACT["email"],
        }
    ],
    "create_delivery": [{"delivery_location": ZEBULONS_PLACE}],
    "update_delivery": [{"delivery_location": ZEBULONS_PLACE}],
    "get_crm_customer": [{"detail": "brief"}, {}],
}
"""What the calls of a tool change in its example."""

CALLS: Sequence[tuple[str, Mapping[str, Any]]] = [
    (name, {**example.arguments, **({} if example.budget.full is None else {"detail": "full"}), **changes})
    for name, example in TOOL_EXAMPLES.items()
    for changes in PERSONAL_ARGUMENTS.get(name, [{}])
]
"""Of every tool, with all the detail. The inbox has its own test of what events hold of a person."""

SHOWS_CONTACT = {
    "list_documents": {"file"},
    "get_crm_customer": {"name", "phone", "street", "company", "key"},
    "get_delivery": {"name", "phone", "street"},
}
"""What a caller who may see contact data is shown, by tool."""


def everything(result: CallToolResult) -> str:
    """All that a host gets of an answer."""
    return result.model_dump_json(by_alias=True) + json.dumps(result.structured_content) + text_of(result)


async def every_tool(client: Client, *, unique: str) -> list[tuple[str, str]]:
    answers = []
    for number, (name, arguments) in enumerate(CALLS):
        at_dealer = {} if name == "list_dealers" else {"dealer": "umazda"}
        # Kept in the store, for a replay.
        key = {"idempotency_key": f"{unique}-{number:08d}"} if TOOLS[name].writes else {}
        answers.append((name, everything(await client.call_tool(name, {**arguments, **at_dealer, **key}))))
    return answers


async def every_prompt(client: Client) -> list[tuple[str, str]]:
    known = {"vin": SOME_VIN, "customer_id": "1650260", "order_id": "367101", "template_id": "278"}
    return [
        (prompt.name, (await client.get_prompt(prompt.name, given)).model_dump_json())
        for prompt in (await client.list_prompts()).prompts
        for given in [{argument.name: known.get(argument.name, "umazda") for argument in prompt.arguments or []}]
    ]


async def every_list(client: Client) -> list[tuple[str, str]]:
    return [
        ("tools", (await client.list_tools()).model_dump_json()),
        ("prompts", (await client.list_prompts()).model_dump_json()),
    ]


async def every_resource(client: Client) -> list[tuple[str, str]]:
    """By the tool that reads it."""
    read = []
    for resource in RESOURCES:
        places = {
            "dealer": "umazda",
            "vin": SOME_VIN,
            "customer_id": 1650260,
            "document_id": 1602287,
            "template_id": "278",
        }
        try:
            found = await client.read_resource(resource.address(**{name: places[name] for name in resource.parameters}))
            read.append((resource.tool_name, found.model_dump_json()))
        except MCPError as error:
            read.append((resource.tool_name, str(error)))
    return read


async def every_completion(client: Client) -> list[tuple[str, str]]:
    return [
        (name, (await client.complete(reference, {"name": name, "value": ""}, {"dealer": "umazda"})).model_dump_json())
        for resource in RESOURCES
        for reference in [ResourceTemplateReference(type="ref/resource", uri=resource.template)]
        for name in resource.parameters
    ]


Reader = Callable[[Client], Awaitable[list[tuple[str, str]]]]
READERS: tuple[Reader, ...] = (every_prompt, every_list, every_resource, every_completion)
"""What else a client can ask for."""


@pytest.fixture
def log_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the server writes to stderr, of whatever level, and other libraries' lines with it."""
    lines: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Keeping()
    handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


async def audit_of(store_url: str) -> str:
    async with open_store(store_url) as store:
        return "\n".join([repr(stored) async for stored in store.records()])


def store_bytes(store_url: str) -> bytes:
    path = Path(store_url.removeprefix("sqlite:///"))
    return b"\n".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))


async def assert_nothing_was_kept(store_url: str, log_lines: list[str], written: bytes) -> None:
    """`written` is the store while it was open, its write-ahead log included."""
    canaries = {**CONTACT, **IDENTITY_CANARIES}
    assert log_lines, "the log was read"
    assert leaks("\n".join(log_lines), canaries) == set()
    assert leaks(await audit_of(store_url), canaries) == set()
    assert b"roadster_audit" in written
    assert leaks(written, canaries) == set()
    assert leaks(store_bytes(store_url), canaries) == set()


@pytest.mark.parametrize("personal_data", ["masked", "contact"])
async def test_no_canary_leaves_but_for_who_may_see_it(
    personal_data: str, connect: Connect, world: World, store_url: str, log_lines: list[str]
) -> None:
    """Planted in every answer of the upstream, and in the caller's own arguments."""
    async with connect(upstream=Planting(world), personal_data=personal_data) as client:
        answers = await every_tool(client, unique="first")
        replays = await every_tool(client, unique="first")
        for read in READERS:
            answers += await read(client)
        written = store_bytes(store_url)
    for name, answer in [*answers, *replays]:
        allowed = SHOWS_CONTACT.get(name, set()) if personal_data == "contact" else set()
        assert leaks(answer, CONTACT) <= allowed, name
        assert leaks(answer, IDENTITY_CANARIES) == set(), name
    if personal_data == "contact":
        assert {name for name, answer in answers if leaks(answer, CONTACT)} == SHOWS_CONTACT.keys(), (
            "the planting works"
        )
    done = {name for name, answer in answers if '"isError":false' in answer}
    assert done >= TOOLS.keys() - {"get_customer"}, "each was answered, not refused; no event has named this customer"
    await assert_nothing_was_kept(store_url, log_lines, written)


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_preview_shows_a_masked_caller_not_even_its_own_arguments(
    mode: str, connect: Connect, world: World, store_url: str, log_lines: list[str]
) -> None:
    levels = {tool.name: "preview" if tool.writes else "read" for tool in TOOLS.values()}
    await own_delivery(store_url)
    for personal_data in ("masked", "contact"):
        async with connect(mode=mode, access=levels, personal_data=personal_data) as client:
            answers = await every_tool(client, unique="preview")
            written = store_bytes(store_url)
        for name, answer in answers:
            if TOOLS[name].writes:
                assert "nothing was sent" in answer
                assert leaks(answer, IDENTITY_CANARIES) == set()
                assert not (found := leaks(answer, CONTACT)) or personal_data == "contact", (name, found)
        await assert_nothing_was_kept(store_url, log_lines, written)


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_what_a_person_was_asked_stays_with_the_person(
    mode: str, connect: Connect, world: World, store_url: str, log_lines: list[str]
) -> None:
    """The question shows what is to be confirmed; what the model gets, and what is kept, does not."""
    questions: list[str] = []

    async def ask(_ctx: Any, params: Any) -> ElicitResult:
        questions.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    levels = {tool.name: "confirm" if tool.writes else "read" for tool in TOOLS.values()}
    async with connect(mode=mode, access=levels, ask=ask, upstream=Planting(world)) as client:
        answers = await every_tool(client, unique="confirm")
        written = store_bytes(store_url)
    assert leaks("".join(questions), CONTACT) >= {"name", "email", "phone", "key", "file"}
    for name, answer in answers:
        assert leaks(answer, {**CONTACT, **IDENTITY_CANARIES}) == set(), name
    await assert_nothing_was_kept(store_url, log_lines, written)


SAID = [*CONTACT.values(), *IDENTITY_CANARIES.values()]
REFUSALS: dict[str, httpx2.Response] = {
    **{f"a 400 that says {said}": response({"status": "error", "error": said}, 400) for said in SAID},
    "a 200 with an error": response({"status": "error", "error": f"Unknown {CONTACT['name']}"}),
    "a 409 in prose": response({"error": " ".join(SAID), "errors": SAID}, 409),
    "Roadie's": response(
        {"errors": [{"code": 1002, "parameter": "zebulon_quartermayne", "message": CONTACT["name"]}]}, 400
    ),
    "myKaarma's": response({"errors": [{"errorCode": 14155558642, "errorMessage": CONTACT["phone"]}]}),
    "its title": response({"errors": [{"errorCode": 1, "errorTitle": CONTACT["name"]}]}, 500),
    "no JSON": httpx2.Response(200, stream=httpx2.ByteStream("".join(SAID).encode())),
    "a page": httpx2.Response(
        200, headers={"content-type": "text/html"}, stream=httpx2.ByteStream(f"<p>{SAID}".encode())
    ),
    "wrong types": response(
        {name: [SAID] for name in ("status", "customer", "vehicles", "deals", "customerInfo", "link")}
    ),
    "another dealer": response({"dpid": CONTACT["name"], "dealerId": 5, "name": CONTACT["name"]}),
    "a redirect": httpx2.Response(302, headers={"location": f"https://x/{quote(CONTACT['email'])}"}),
    "a 500": response({"error": SAID}, 500),
    "a 401": response({"error": SAID}, 401),
    "a 404": response({"error": SAID}, 404),
    "a 429": response({"error": SAID}, 429, **{"retry-after": CONTACT["phone"], "x-request-id": CONTACT["phone"]}),
}


@pytest.mark.parametrize("way", REFUSALS)
async def test_no_error_says_what_the_upstream_or_the_caller_said(
    way: str, connect: Connect, world: World, store_url: str, log_lines: list[str]
) -> None:
    async with connect(upstream=Planting(world, REFUSALS[way]), personal_data="contact") as client:
        answers = await every_tool(client, unique="refused")
        written = store_bytes(store_url)
    for name, answer in answers:
        assert leaks(answer, {**CONTACT, **IDENTITY_CANARIES}) == set(), name
    await assert_nothing_was_kept(store_url, log_lines, written)


async def test_no_refusal_of_arguments_repeats_them(
    connect: Connect, world: World, store_url: str, log_lines: list[str]
) -> None:
    """Each canary in place of each argument of each tool, and of its dealer, key and name."""
    canaries = {**CONTACT, **IDENTITY_CANARIES}
    async with connect(personal_data="contact") as client:
        for name, tool in TOOLS.items():
            for argument in tool.input_schema["properties"]:
                for wrong in (" ".join(SAID), SAID, {said: said for said in SAID}):
                    arguments = {**dict(CALLS)[name], argument: wrong}
                    result = await client.call_tool(
                        name, {"dealer": "umazda", **arguments} if tool.of_one_dealer else arguments
                    )
                    if result.is_error:
                        assert leaks(everything(result), canaries) == set(), (name, argument)
            strange = await client.call_tool(name, {said: said for said in SAID})
            assert leaks(everything(strange), canaries) == set()
        for said in SAID:
            assert leaks(everything(await client.call_tool(said, {})), canaries) == set()
        written = store_bytes(store_url)
    await assert_nothing_was_kept(store_url, log_lines, written)


async def test_a_defect_is_logged_without_what_it_was_about(
    connect: Connect, world: World, store_url: str, log_lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: Any) -> None:
        raise RuntimeError(" ".join(SAID))

    monkeypatch.setattr("roadster_client.roadster._names_only", broken)
    monkeypatch.setattr("roadster_client.mykaarma._names_only", broken)
    async with connect(personal_data="contact") as client:
        answers = await every_tool(client, unique="broken")
        written = store_bytes(store_url)
    assert any('"event": "crash"' in line for line in log_lines)
    for name, answer in answers:
        # Roadie's answers name no dealer, so nothing of theirs broke.
        allowed = SHOWS_CONTACT[name] if name == "get_delivery" else set()
        assert leaks(answer, {**CONTACT, **IDENTITY_CANARIES}) <= allowed, name
    await assert_nothing_was_kept(store_url, log_lines, written)

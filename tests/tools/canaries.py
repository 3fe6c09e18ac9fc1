"""Canaries: personal data that occur nowhere else, planted wherever a caller or an upstream can say something.

A test looks for them in everything that leaves the server, in each form they could take.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

import httpx2
from mcp import Client
from mcp_types import CallToolResult

from roadster_tools import TOOLS
from tests.conftest import (
    Answering,
    World,
    response,
    text_of,
)
from tests.tool_examples import SOME_VIN, TOOL_EXAMPLES

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
"""For callers who may see contact data, and nobody else."""


IDENTITY_CANARIES = {
    "ssn": "078-05-1120",
    "licence": "WDLQXZ83K5QB",
    "birth": "1931-07-23",
    "card": "4929 1325 6671 8034",
    "gov": "GOVQ55120098",
}
"""For nobody to see."""


def spellings(canary: str) -> set[str]:
    """Returns the forms that `canary` may take: its digits, escaped, in JSON, hex, and base64 at each alignment."""
    digits = re.sub(r"\D", "", canary)
    forms = {canary, quote(canary), quote_plus(canary), quote(canary, safe=""), json.dumps(canary)[1:-1]}
    forms |= {
        canary.lower(),
        canary.upper(),
        canary.replace(" ", ""),
        canary.encode().hex(),
        canary.encode().hex().upper(),
    }
    if len(digits) >= 7:
        forms.add(digits)
    for lead in range(3):
        # Only whole groups: the text before and after changes the characters at the ends.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * lead + canary.encode()).decode().rstrip("=")
            forms.add(text[4 if lead else 0 : len(text) - len(text) % 4])
    # The words of a name may stand in fields of their own, or in an identifier.
    words = canary.split(" ") if canary.replace(" ", "").isalpha() else []
    return {form for form in forms if len(form) >= 7} | {*words, *map(str.lower, words)}


def leaks(text: str | bytes, canaries: Mapping[str, str]) -> set[str]:
    """Returns the names of the canaries that `text` holds in any form."""
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    return {name for name, canary in canaries.items() if any(form in text for form in spellings(canary))}


PLANTED: dict[str, str] = {
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


IN_A_BINDER = {"name": CONTACT["file"], "file_name": CONTACT["file"]}
IN_AN_ORDER = {"description": f"{CONTACT['name']}, {CONTACT['phone']}"}


def plant(node: Any, operation: str) -> Any:
    """Returns `node` with canaries in its fields of such names, and with all of them added to each object."""
    own = {
        "list_documents": IN_A_BINDER,
        "get_customer_record": IN_AN_ORDER,
        "quote_payments": {"trade_in_payoff": float(CONTACT["payoff"])},
    }.get(operation, {})
    match node:
        case list():
            return [plant(item, operation) for item in node]
        case dict():
            fields = {name: plant(value, operation) for name, value in node.items()}
            if operation.endswith("_shipment"):  # a contact is an object there, with canaries in its fields
                return {**PLANTED, **fields, **{name: PLANTED[name] for name in ("phone", "street1") if name in fields}}
            # A dealer's own phone is no canary.
            return {
                **fields,
                **(PLANTED | own if operation not in DEALERS_OWN else {**PLANTED, "phone": fields.get("phone")}),
            }
        case _:
            return node


DEALERS_OWN = ("list_dealers", "get_dealer")


class PlantingUpstream(httpx2.AsyncBaseTransport):
    """The sandbox with canaries in each of its answers. With `refusal`, it answers everything with that instead."""

    def __init__(self, world: World, refusal: httpx2.Response | None = None) -> None:
        self._sandbox = Answering(world, lambda _request: None)
        self._refusal = refusal
        self._world = world

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._sandbox.handle_async_request(request)
        content = b"".join([part async for part in answer.aiter_raw()])
        if self._refusal is not None:
            return httpx2.Response(
                self._refusal.status_code,
                headers=self._refusal.headers,
                stream=httpx2.ByteStream(await self._refusal.aread()),
            )
        if answer.status_code != 200 or not content:
            return httpx2.Response(answer.status_code, stream=httpx2.ByteStream(content))
        operation = (await self._world.requests())[-1]["operation"]
        return response(plant(json.loads(content), operation))


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
    "search_customers": [
        {"email": CONTACT["email"]},
        {"email": None, "phone": CONTACT["phone"]},
        {"email": None, "name": CONTACT["name"]},
    ],
    "create_delivery": [{"delivery_location": ZEBULONS_PLACE}],
    "update_delivery": [{"delivery_location": ZEBULONS_PLACE}],
    "get_crm_customer": [{"detail": "brief"}, {}],
}
"""The changes that put canaries into a tool's example arguments, one row a call."""


CALLS: Sequence[tuple[str, Mapping[str, Any]]] = [
    (name, {**example.arguments, **({} if example.budget.full is None else {"detail": "full"}), **changes})
    for name, example in TOOL_EXAMPLES.items()
    for changes in PERSONAL_ARGUMENTS.get(name, [{}])
]
"""Calls of every tool, in full detail. Personal data in events have tests of their own."""


def everything(result: CallToolResult) -> str:
    """Returns all text that a host gets of a result."""
    return result.model_dump_json(by_alias=True) + json.dumps(result.structured_content) + text_of(result)


async def every_tool(client: Client, *, unique: str) -> list[tuple[str, str]]:
    """Calls every tool and returns its name and its result's text. `unique` begins the idempotency keys."""
    """Calls every tool and returns its name and its result's text. `unique` begins the idempotency keys."""
    answers = []
    for number, (name, arguments) in enumerate(CALLS):
        dealer = {} if name in ("list_dealers", "get_approval") else {"dealer": "umazda"}
        # The store keeps the answer of a write with a key, for a replay.
        key = {"idempotency_key": f"{unique}-{number:08d}"} if TOOLS[name].writes else {}
        answers.append((name, everything(await client.call_tool(name, {**arguments, **dealer, **key}))))
    return answers

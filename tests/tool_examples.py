"""Each tool by example: one row a tool, in an order in which each finds what the ones before it have made.

A new tool needs a row here. The tests of the gate, the levels, personal data, telemetry, recordings and budgets try it
by that row.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from roadster_sandbox.world.pdf import make_pdf
from roadster_tools import TOOLS

SOME_VIN = "3MVDMBBM0SM472067"
"""In stock at umazda in the world of the default seed."""
VIN_OF_LONGEST_QUOTE = "3MVDMBBM3SM369144"
EVERY_WISH: Mapping[str, Any] = {
    "term_months": 36,
    "customer_cash": 2000.5,
    "annual_miles": 15_000,
    "credit_score": 700,
    "zip_code": "98052",
    "incentives": ["loyalty", "military", "first responders"],
    "trade_in": {"value": 9000, "payoff": 4000.25},
    "plans": [{"id": 6160}, {"id": 1614}, {"id": 1619}],
}
"""Every argument of a quote that makes its answer longer, with values that the deals carry."""
REFUSED_WISHES: Mapping[str, Any] = {
    **EVERY_WISH,
    "term_months": 30,
    "customer_cash": 60_000,
    "annual_miles": 9_999,
    "credit_score": 500,
    "incentives": [
        *EVERY_WISH["incentives"],
        "an incentive there is not",
        "another one",
        "a third one",
        "a fourth one",
    ],
    "trade_in": {"value": 8000, "payoff": 12_000},
}
"""The same with values that deals do not carry, so that the answer says why."""
TRADED_VIN = "4T1C11AK0LU322811"

STEVE = {
    "first_name": "Steve",
    "last_name": "McQueen",
    "email": "steve.mcqueen@example.com",
    "phone": "+14155556666",
    "partner_id": "238612817",
}
CUSTOMER_ID = 1650260
"""The sandbox gives it to the first customer."""
CARLOS_UUID = "c0000000-0000-4000-8a00-000000000001"
"""At myKaarma, a customer of umazda's."""

LICENCE_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


def png_of(size: int) -> bytes:
    """Returns a good PNG of so many bytes."""
    dot, filler = base64.b64decode(LICENCE_PNG), b"raNd"
    data = bytes(size - len(dot) - 12)
    chunk = len(data).to_bytes(4) + filler + data + zlib.crc32(filler + data).to_bytes(4)
    return dot[:-12] + chunk + dot[-12:]


LARGEST_SHOWN_PNG = base64.b64encode(png_of(64 * 1024)).decode()
DOCUMENT_ID = 1602287
"""The sandbox gives it to the first document, and the next number to the next one."""

BLANK_PDF = base64.b64encode(make_pdf("A blank form", 1)).decode()
FIELD = {
    "x": 96,
    "y": 555,
    "name": "vehicleYear_1",
    "type": "vehicleYear",
    "width": 40,
    "height": 12,
    "signee": "__customer__",
    "fontSize": 8,
    "formLabel": "Year",
    "agentFilledRequired": False,
}
NEW_TEMPLATE = {
    "name": "Insurance Acknowledgement",
    "file_name": "Hyunda Lease Insurance.pdf",
    "description": "This is for insurance details",
    "form_definition": {"pages": [{"fields": [FIELD]}]},
    "contents": BLANK_PDF,
}
FILES = (LICENCE_PNG, BLANK_PDF)

RECEIVER = {"name": "Carlos Silva", "phone": "4155550123"}
DELIVERY: Mapping[str, Any] = {
    "items": [
        {
            "description": "Four winter tires",
            "value": 800,
            "length": 27,
            "width": 27,
            "height": 36,
            "weight": 100,
            "quantity": 1,
        }
    ],
    "pickup_location": {
        "address": {
            "name": "The tire shop",
            "street1": "12 Main Street",
            "city": "Seattle",
            "state": "WA",
            "zip": "98105",
        },
        "contact": {"name": "Natalie Wood", "phone": "2065550100"},
    },
    "delivery_location": {
        "address": {
            "street1": "456 Central Avenue",
            "street2": "Floor 2",
            "city": "Tacoma",
            "state": "WA",
            "zip": "98402",
        },
        "contact": RECEIVER,
        "notes": "The bell is broken",
    },
    "pickup_after": "2099-01-31T09:00:00-08:00",
    "deliver_between": {"start": "2099-01-31T10:00:00-08:00", "end": "2099-01-31T18:00:00-08:00"},
    "reference_id": "RO-4711",
}
"""Valid as long as the year 2099 is in the future."""
DELIVERY_ID = 152040
"""The sandbox gives it to the first delivery."""


@dataclass(frozen=True)
class Budget:
    """The tokens that an answer may take, as text and as structured content.

    `brief` and `full` are the limits for the two values of `detail`. `full` is None for a tool without that argument.
    `largest` and `largest_full` change the example's arguments to those that make the sandbox's largest answer, after
    `calls` calls. `refused` is the limit of a brief answer to wishes that are not carried, which `largest_refused` has.
    """

    brief: int
    largest: Mapping[str, Any] = field(default_factory=dict)
    full: int | None = None
    largest_full: Mapping[str, Any] = field(default_factory=dict)
    calls: int = 1
    refused: int | None = None
    largest_refused: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ToolExample:
    """Valid arguments without `dealer`, the budget, and the operation that a write sends."""

    arguments: Mapping[str, Any]
    budget: Budget
    sends: str | None = None

    def at(self, dealer: str) -> dict[str, Any]:
        return {"dealer": dealer, **self.arguments}


_CUSTOMER = {"customer_id": CUSTOMER_ID}
_DELIVERY = {"delivery_id": DELIVERY_ID}

TOOL_EXAMPLES: Mapping[str, ToolExample] = {
    "list_dealers": ToolExample({}, Budget(100)),
    "get_dealer": ToolExample({}, Budget(120)),
    "list_inventory": ToolExample({}, Budget(1_300, {"limit": 20}, 4_200, {"limit": 100})),
    "get_vehicle": ToolExample({"vin": SOME_VIN}, Budget(60)),
    "quote_payments": ToolExample(
        {"vin": SOME_VIN},
        Budget(
            450,
            {"vin": VIN_OF_LONGEST_QUOTE, **EVERY_WISH},
            3_400,
            refused=600,
            largest_refused=REFUSED_WISHES,
        ),
    ),
    "list_protection_plans": ToolExample(
        {"vin": SOME_VIN, "deal_type": "cash"},
        Budget(
            250,
            {"deal_type": "finance", "apr_percent": 4.9, "term_months": 60, "amount_financed": 30000},
            400,
        ),
    ),
    "create_customer": ToolExample({"customer": STEVE}, Budget(60, {"vehicle": {"vin": SOME_VIN}}), "create_customer"),
    "assign_agent": ToolExample(
        {**_CUSTOMER, "agent": {"id": "ID9876", "email": "natalie.wood@example.com"}}, Budget(30), "update_customer"
    ),
    "submit_trade_valuation": ToolExample(
        {"email": STEVE["email"], "vin": TRADED_VIN, "value": 9000, "make": "Toyota"},
        Budget(60),
        "submit_trade_valuation",
    ),
    # A customer's link takes 85 tokens, give or take one: encrypted, no two are alike.
    "build_deep_link": ToolExample({"vin": SOME_VIN}, Budget(100, {"utm_source": "email", "utm_campaign": "spring"})),
    "upload_document": ToolExample(
        {
            **_CUSTOMER,
            "document_type": "license",
            "document_name": "DL Front",
            "file_name": "license.png",
            "relationship": "self",
            "contents": LICENCE_PNG,
        },
        Budget(30, {"contents": LARGEST_SHOWN_PNG}, calls=20),
        "upload_document",
    ),
    "list_documents": ToolExample(_CUSTOMER, Budget(1_100)),
    # A file of 64 KiB in base64, the largest that is shown.
    "get_document": ToolExample({**_CUSTOMER, "document_id": DOCUMENT_ID}, Budget(60, {}, 22_000)),
    "list_templates": ToolExample({}, Budget(250, {"limit": 100})),
    "get_template": ToolExample({"template_id": "278"}, Budget(120, {}, 1_500)),
    "get_template_file": ToolExample({"template_id": "278"}, Budget(120)),
    "create_template": ToolExample(NEW_TEMPLATE, Budget(80), "create_template"),
    "create_forms": ToolExample(
        {"order_id": "367101", "title": "Your documents for review", "template_ids": ["278", "279"]},
        Budget(60),
        "create_forms",
    ),
    "delete_documents": ToolExample(
        {**_CUSTOMER, "document_ids": [DOCUMENT_ID]},
        Budget(120, {"document_ids": [*range(DOCUMENT_ID, DOCUMENT_ID + 20)]}),
        "delete_documents",
    ),
    "list_customer_events": ToolExample({}, Budget(2_000, {}, 4_300)),
    "get_customer": ToolExample(_CUSTOMER, Budget(600, {}, 1_200)),
    "search_customers": ToolExample({"email": STEVE["email"]}, Budget(90)),
    "create_delivery": ToolExample(DELIVERY, Budget(150), "create_shipment"),
    "get_delivery": ToolExample(_DELIVERY, Budget(150, {}, 350)),
    "update_delivery": ToolExample(
        {**_DELIVERY, "delivery_location": DELIVERY["delivery_location"], "reference_id": "RO-4712"},
        Budget(150),
        "update_shipment",
    ),
    "cancel_delivery": ToolExample(_DELIVERY, Budget(30), "cancel_shipment"),
    "get_crm_customer": ToolExample({"customer_uuid": CARLOS_UUID}, Budget(300, {}, 900)),
    "get_approval": ToolExample({"approval_id": "5f0e2b7c9d1a4e38b6c05d7f8a913e24"}, Budget(60)),
}


def every_call(dealer: str) -> dict[str, dict[str, Any]]:
    """Each tool's name with its arguments at the dealer, in the order of the examples."""
    return {
        name: example.at(dealer) if TOOLS[name].of_one_dealer else dict(example.arguments)
        for name, example in TOOL_EXAMPLES.items()
    }

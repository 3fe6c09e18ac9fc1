"""The calls of the soak: reads and writes picked by chance."""

from __future__ import annotations

import base64
import random
from typing import Any

from roadster_sandbox.world.pdf import make_pdf

VINS = {"umazda": "JM3KKBHA7R1194195", "hyundaidemo": "5NMP14GL1RH865270"}
"""A vehicle of each dealer."""

Call = tuple[str, dict[str, Any]]
"""The name of a tool, and its arguments without the dealer."""


def pick_read(chance: random.Random, dealer: str, customer: int) -> Call:
    """Returns a call that changes nothing. `customer` has a binder at the dealer."""
    vin = VINS[dealer]
    finance = {"deal_type": "finance", "apr_percent": 4.9, "term_months": 60, "amount_financed": 30000}
    calls: list[Call] = [
        ("list_inventory", {"limit": chance.randrange(1, 100)}),
        ("get_vehicle", {"vin": vin}),
        ("quote_payments", {"vin": vin, "detail": chance.choice(["brief", "full"])}),
        ("list_protection_plans", {"vin": vin, **finance}),
        ("build_deep_link", {"vin": vin}),
        ("list_documents", {"customer_id": customer}),
        ("list_templates", {}),
        ("get_template", {"template_id": "278"}),
        ("list_customer_events", {}),
        ("get_dealer", {}),
    ]
    return chance.choice(calls)


def pick_write(chance: random.Random, mark: str, customer: int) -> Call:
    """Returns a call that writes `mark` into the record, so that the sandbox's state shows it."""
    email = f"{mark}@example.com"
    address = {"street1": "456 Central Avenue", "city": "San Mateo", "state": "CA", "zip": "94402"}
    tire = {"description": "A tire", "value": 80, "length": 27, "width": 27, "height": 9, "weight": 25, "quantity": 1}
    calls: list[Call] = [
        ("create_customer", {"customer": make_customer(email)}),
        ("submit_trade_valuation", {"email": email, "vin": "4T1C11AK0LU322811", "value": 9000}),
        (
            "upload_document",
            {
                "customer_id": customer,
                "document_type": "license",
                "document_name": mark,
                "file_name": "license.pdf",
                "relationship": "self",
                "contents": base64.b64encode(make_pdf("A licence", 1)).decode(),
            },
        ),
        (
            "create_delivery",
            {
                "items": [tire],
                "pickup_location": {"address": address, "contact": {"name": "Natalie Wood", "phone": "2065550100"}},
                "delivery_location": {
                    "address": address,
                    "contact": {"name": "Carlos Silva", "phone": "4155550123"},
                    "notes": mark,
                },
                "pickup_after": "2099-01-31T09:00:00-08:00",
                "deliver_between": {"start": "2099-01-31T10:00:00-08:00", "end": "2099-01-31T18:00:00-08:00"},
            },
        ),
    ]
    return chance.choice(calls)


def make_customer(email: str) -> dict[str, str]:
    return {"first_name": "Steve", "last_name": "McQueen", "email": email, "phone": "+14155556666"}

"""The customers of each dealer at myKaarma. All are invented, and their card numbers are reserved for tests."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from roadster_sandbox.answers import Refused

from .dealers import DEALERS, SandboxDealer

REQUESTER_USER_UUID = "6f1d2a54-8a07-4f0e-9d3c-0d6a54b0f7c1"
"""The only requester that the sandbox accepts."""

LOCKED_UUID = "c0000000-0000-4000-8a00-00000000dead"
"""A customer at every dealer for which the answer is a 200 with errors."""


@dataclass(frozen=True)
class _Customer:
    """A customer. Ids are built from `seed`. Each of the `cards` pays for one order, an empty one for an open order."""

    uuid: str
    seed: int
    first_name: str
    last_name: str
    phone: str
    email: str
    street: str
    vehicle: tuple[str, str, str, str]
    cards: tuple[str, ...]
    company: str | None = None
    partner: str | None = None


_CUSTOMERS: Mapping[str, tuple[_Customer, ...]] = {
    "umazda": (
        _Customer(
            "c0000000-0000-4000-8a00-000000000001", 1, "Carlos", "Silva", "206-555-0171", "carlos.silva@example.com",
            "1408 Made-Up Ave NE", ("2021", "Mazda", "CX-5", "JM3KFBCM5M0300017"),
            ("4111111111111111", "5555555555554444", "4111111111111111", "", "4111111111111111", "5555555555554444"),
            partner="Marta",
        ),
        _Customer(
            # myKaarma's own ids look like this: 64 hexadecimal digits.
            "c02f5a7be1844d0d9c0d7a1f3b6e8c02c02f5a7be1844d0d9c0d7a1f3b6e8c02", 2, "Natalie", "Wood",
            "206-555-0172", "natalie.wood@example.com", "22 Nowhere St",
            ("2019", "Mazda", "MAZDA3", "3MZBPAEL2KM100028"), (), company="Wood Made-Up Pictures",
        ),
    ),
    "hyundaidemo": (
        _Customer(
            "c0000000-0000-4000-8a00-000000000003", 3, "Steve", "McQueen", "310-555-0173", "steve.mcqueen@example.com",
            "9 Bullitt Ct", ("2022", "Hyundai", "Tucson", "5NMJECAE7NH000036"), ("378282246310005",),
        ),
    ),
    "toyotademo": (
        _Customer(
            "c0000000-0000-4000-8a00-000000000004", 4, "Faye", "Dunaway", "559-555-0174", "faye.dunaway@example.com",
            "4 Chinatown Rd", ("2020", "Toyota", "Camry", "4T1C11AK0LU322811"), ("6011111111111117",),
        ),
    ),
}  # fmt: skip


def record_of(customer_uuid: str, dealer_uuids: Collection[str]) -> Any:
    """Returns the customer's record at the first of the dealers that has the customer, None if no dealer has.

    Raises Refused(400) for an unknown dealer.
    """
    dealers = {dealer.mykaarma_uuid: dealer for dealer in DEALERS}
    if not dealers.keys() >= set(dealer_uuids):
        raise Refused(400, "Unknown dealer")
    if customer_uuid == LOCKED_UUID:
        return {**_problem(7001, "Record locked", "Carlos Silva (carlos.silva@example.com) is being merged"),
                "customerInfo": None}  # fmt: skip
    for uuid in dealer_uuids:
        for customer in _CUSTOMERS[dealers[uuid].dpid]:
            if customer.uuid == customer_uuid:
                return _record(dealers[uuid], customer)
    return None


def customer_uuids(dealer: SandboxDealer) -> list[str]:
    """Returns the ids of the dealer's customers at myKaarma."""
    return [customer.uuid for customer in _CUSTOMERS[dealer.dpid]]


def to_problems(refusal: Refused) -> Any:
    """Returns the body of an error answer as myKaarma documents it."""
    return _problem(refusal.status, refusal.error or "Unauthorized", refusal.error or "Unauthorized")


def _problem(code: int, title: str, message: str) -> dict[str, Any]:
    return {"errors": [{"errorCode": code, "errorTitle": title, "errorMessage": message}], "warnings": []}


def _record(dealer: SandboxDealer, customer: _Customer) -> dict[str, Any]:
    return {
        "errors": [],
        "warnings": [],
        "customerInfo": _customer_info(dealer, customer),
        "dealerOrderInfoList": [
            _order(dealer, customer, number, card) for number, card in enumerate(customer.cards, 1)
        ],
        "addressListV2": [_address(dealer, customer)],
        "addressList": [_older_address(dealer, customer)],
    }


def _customer_info(dealer: SandboxDealer, customer: _Customer) -> dict[str, Any]:
    return {
        "id": 70_000 + customer.seed,
        "fname": customer.first_name,
        "lname": customer.last_name,
        "customerKey": f"DMS{customer.seed:06d}",
        "uuid": customer.uuid,
        "company": customer.company,
        "dealerId": dealer.mykaarma_id,
        "communications": [
            _communication(1, "PHONE", "Cell", customer.phone),
            _communication(2, "EMAIL", "Home", customer.email),
        ],
        "vehicles": [_vehicle(customer)],
        "secondaryCustomerData": [
            {
                "fname": customer.partner,
                "lname": customer.last_name,
                "customerKey": f"DMS9{customer.seed:05d}",
                "guid": f"d0000000-0000-4000-8a00-{customer.seed:012d}",
                "customerId": 71_000 + customer.seed,
            }
        ] if customer.partner else [],
    }  # fmt: skip


def _vehicle(customer: _Customer) -> dict[str, Any]:
    year, make, model, vin = customer.vehicle
    return {
        "model": model,
        "year": year,
        "make": make,
        "engine": None,
        "bodyStyle": None,
        "trim": None,
        "vin": vin,
        "id": 80_000 + customer.seed,
        "isValid": True,
        "uuid": _vehicle_uuid(customer),
        "vehicleKey": f"VEH{customer.seed:06d}",
        "imageUrl": None,
    }


def _address(dealer: SandboxDealer, customer: _Customer) -> dict[str, Any]:
    return {
        "line1": customer.street,
        "line2": None,
        "city": dealer.city,
        "zip": str(dealer.zip_code),
        "addressType": "HOME",
        "type": "COMMON",
        "country": "US",
        "updateTS": "2025-04-07T07:51:23.970Z",
        "uuid": f"a0000000-0000-4000-8a00-{customer.seed:012d}",
        "isValid": True,
        "isPreferred": True,
        "state": dealer.state,
    }


def _older_address(dealer: SandboxDealer, customer: _Customer) -> dict[str, Any]:
    """Returns the same address in the older of the two documented shapes."""
    return {
        "id": 90_000 + customer.seed,
        "dealerID": dealer.mykaarma_id,
        "line1": customer.street,
        "line2": None,
        "city": dealer.city,
        "zip": str(dealer.zip_code),
        "zipExt": None,
        "addressType": "HOME",
        "phone": customer.phone,
        "stateCode": dealer.state,
        "stateDescription": None,
        "countryCode": "US",
        "country": "United States",
    }


def _communication(number: int, kind: str, label: str, value: str) -> dict[str, Any]:
    return {"commValue": value, "commType": kind, "commLabel": label, "preferred": number == 1, "id": number}


def _order(dealer: SandboxDealer, customer: _Customer, number: int, card: str) -> dict[str, Any]:
    """Returns one order of the customer. It is closed if a card paid for it. The oldest order has the lowest number."""
    order_id = customer.seed * 1000 + number
    day = f"2024-{2 * number:02d}-12"
    return {
        "dealerOrder_id": order_id,
        "dealer_id": dealer.mykaarma_id,
        "customer_id": 70_000 + customer.seed,
        "dealerassociate_id": 31,
        "vehicle_id": 80_000 + customer.seed,
        "order_number": f"RO{order_id}",
        "order_type": "RO" if card else "APPOINTMENT",
        "order_date": f"{day}T09:00:00",
        "order_amount": 89.95 + 100 * number,
        "order_status": "CLOSED" if card else "OPEN",
        "description": f"Oil change; call {customer.first_name} at {customer.phone} when done",
        "created_date": f"{day}T09:00:00",
        "close_date": f"{day}T15:30:00" if card else None,
        "dealerOrder_uuid": f"e0000000-0000-4000-8a00-{order_id:012d}",
        "tag_or_hat": str(100 + number),
        "dealerOrderStatusFilter": [],
        "updated_date": f"{day}T15:30:00",
        "transactions": [
            {
                "tenderDataId": order_id,
                "dealerOrderId": order_id,
                "customerId": 70_000 + customer.seed,
                "transactionId": order_id,
                "deviceId": 2,
                "transactionTypeId": 1,
                "transactionAmount": 89.95 + 100 * number,
                "ccNumber": card,
            }
        ] if card else [],
        "customer_uuid": customer.uuid,
        "vehicle_uuid": _vehicle_uuid(customer),
        "dealerAssociate_uuid": "f0000000-0000-4000-8a00-000000000031",
    }  # fmt: skip


def _vehicle_uuid(customer: _Customer) -> str:
    return f"b0000000-0000-4000-8a00-{customer.seed:012d}"

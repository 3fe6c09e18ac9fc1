"""The customers of each dealer at myKaarma. All are invented, and their card numbers are reserved for tests."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from roadster_sandbox.answers import Refused

from .dealers import DEALERS, SandboxDealer
from .ids import DEFAULT_SEED, FirstIds, first_ids
from .people import FIRST_NAMES, LAST_NAMES
from .vin import with_serial

REQUESTER_USER_UUID = "6f1d2a54-8a07-4f0e-9d3c-0d6a54b0f7c1"
"""The only requester that the sandbox accepts."""

LOCKED_UUID = "c0000000-0000-4000-8a00-00000000dead"
"""A customer at every dealer for which the answer is a 200 with errors."""


@dataclass(frozen=True)
class ServiceCustomer:
    """A customer. Ids are built from `number`. Each of the `cards` pays for one order, an empty one for an open order.

    The first order costs $100 more than `rate`, and each later one $100 more than the one before. All are of a `day`.
    """

    uuid: str
    number: int
    first_name: str
    last_name: str
    phone: str
    email: str
    street: str
    vehicle: tuple[str, str, str, str]
    cards: tuple[str, ...]
    company: str | None = None
    partner: str | None = None
    rate: float = 89.95
    day: int = 12


_SAMPLES: Mapping[str, tuple[ServiceCustomer, ...]] = {
    "umazda": (
        ServiceCustomer(
            "c0000000-0000-4000-8a00-000000000001", 1, "Carlos", "Silva", "206-555-0171", "carlos.silva@example.com",
            "1408 Made-Up Ave NE", ("2021", "Mazda", "CX-5", "JM3KFBCM5M0300017"),
            ("4111111111111111", "5555555555554444", "4111111111111111", "", "4111111111111111", "5555555555554444"),
            partner="Marta",
        ),
        ServiceCustomer(
            # myKaarma's own ids look like this: 64 hexadecimal digits.
            "c02f5a7be1844d0d9c0d7a1f3b6e8c02c02f5a7be1844d0d9c0d7a1f3b6e8c02", 2, "Natalie", "Wood",
            "206-555-0172", "natalie.wood@example.com", "22 Nowhere St",
            ("2019", "Mazda", "MAZDA3", "3MZBPAEL2KM100028"), (), company="Wood Made-Up Pictures",
        ),
    ),
    "hyundaidemo": (
        ServiceCustomer(
            "c0000000-0000-4000-8a00-000000000003", 3, "Steve", "McQueen", "310-555-0173", "steve.mcqueen@example.com",
            "9 Bullitt Ct", ("2022", "Hyundai", "Tucson", "5NMJECAE7NH000036"), ("378282246310005",),
        ),
    ),
    "toyotademo": (
        ServiceCustomer(
            "c0000000-0000-4000-8a00-000000000004", 4, "Faye", "Dunaway", "559-555-0174", "faye.dunaway@example.com",
            "4 Chinatown Rd", ("2020", "Toyota", "Camry", "4T1C11AK0LU322811"), ("6011111111111117",),
        ),
    ),
}  # fmt: skip


def make_service_customers(seed: int) -> Mapping[str, tuple[ServiceCustomer, ...]]:
    """Returns the customers by dpid. Those of the default seed are the samples, and those of another are others."""
    if seed == DEFAULT_SEED:
        return _SAMPLES
    random = Random(f"service {seed}")  # noqa: S311  # no secret, only invented people
    offset = first_ids(seed).service_customer - FirstIds.service_customer
    return {dpid: tuple(_vary(each, offset, random) for each in samples) for dpid, samples in _SAMPLES.items()}


def _vary(sample: ServiceCustomer, offset: int, random: Random) -> ServiceCustomer:
    """Returns somebody else with as many orders. The telephone number stays in the block that is for fiction."""
    first_name, last_name = random.choice(FIRST_NAMES), random.choice(LAST_NAMES)
    number = sample.number + offset
    year, make, model, vin = sample.vehicle
    return replace(
        sample,
        uuid=f"{sample.uuid[:-12]}{number:012d}",
        number=number,
        first_name=first_name,
        last_name=last_name,
        phone=f"{sample.phone[:-2]}{random.randrange(100):02d}",
        email=f"{first_name}.{last_name}@example.com".lower(),
        street=f"{random.randrange(1, 2000)} {sample.street.partition(' ')[2]}",
        vehicle=(year, make, model, with_serial(vin, random.randrange(10**6))),
        company=sample.company and f"{last_name} Made-Up Pictures",
        partner=sample.partner and random.choice(FIRST_NAMES),
        rate=random.randrange(40, 140) + 0.95,
        day=random.randrange(1, 29),
    )


def record_of(
    customers: Mapping[str, tuple[ServiceCustomer, ...]], customer_uuid: str, dealer_uuids: Collection[str]
) -> Any:
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
        for customer in customers[dealers[uuid].dpid]:
            if customer.uuid == customer_uuid:
                return _record(dealers[uuid], customer)
    return None


def to_problems(refusal: Refused) -> Any:
    """Returns the body of an error answer as myKaarma documents it."""
    return _problem(refusal.status, refusal.error or "Unauthorized", refusal.error or "Unauthorized")


def _problem(code: int, title: str, message: str) -> dict[str, Any]:
    return {"errors": [{"errorCode": code, "errorTitle": title, "errorMessage": message}], "warnings": []}


def _record(dealer: SandboxDealer, customer: ServiceCustomer) -> dict[str, Any]:
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


def _customer_info(dealer: SandboxDealer, customer: ServiceCustomer) -> dict[str, Any]:
    return {
        "id": 70_000 + customer.number,
        "fname": customer.first_name,
        "lname": customer.last_name,
        "customerKey": f"DMS{customer.number:06d}",
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
                "customerKey": f"DMS9{customer.number:05d}",
                "guid": f"d0000000-0000-4000-8a00-{customer.number:012d}",
                "customerId": 71_000 + customer.number,
            }
        ] if customer.partner else [],
    }  # fmt: skip


def _vehicle(customer: ServiceCustomer) -> dict[str, Any]:
    year, make, model, vin = customer.vehicle
    return {
        "model": model,
        "year": year,
        "make": make,
        "engine": None,
        "bodyStyle": None,
        "trim": None,
        "vin": vin,
        "id": 80_000 + customer.number,
        "isValid": True,
        "uuid": _vehicle_uuid(customer),
        "vehicleKey": f"VEH{customer.number:06d}",
        "imageUrl": None,
    }


def _address(dealer: SandboxDealer, customer: ServiceCustomer) -> dict[str, Any]:
    return {
        "line1": customer.street,
        "line2": None,
        "city": dealer.city,
        "zip": str(dealer.zip_code),
        "addressType": "HOME",
        "type": "COMMON",
        "country": "US",
        "updateTS": "2025-04-07T07:51:23.970Z",
        "uuid": f"a0000000-0000-4000-8a00-{customer.number:012d}",
        "isValid": True,
        "isPreferred": True,
        "state": dealer.state,
    }


def _older_address(dealer: SandboxDealer, customer: ServiceCustomer) -> dict[str, Any]:
    """Returns the same address in the older of the two documented shapes."""
    return {
        "id": 90_000 + customer.number,
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


def _order(dealer: SandboxDealer, customer: ServiceCustomer, number: int, card: str) -> dict[str, Any]:
    """Returns one order of the customer. It is closed if a card paid for it. The oldest order has the lowest number."""
    order_id = customer.number * 1000 + number
    day = f"2024-{2 * number:02d}-{customer.day:02d}"
    return {
        "dealerOrder_id": order_id,
        "dealer_id": dealer.mykaarma_id,
        "customer_id": 70_000 + customer.number,
        "dealerassociate_id": 31,
        "vehicle_id": 80_000 + customer.number,
        "order_number": f"RO{order_id}",
        "order_type": "RO" if card else "APPOINTMENT",
        "order_date": f"{day}T09:00:00",
        "order_amount": customer.rate + 100 * number,
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
                "customerId": 70_000 + customer.number,
                "transactionId": order_id,
                "deviceId": 2,
                "transactionTypeId": 1,
                "transactionAmount": customer.rate + 100 * number,
                "ccNumber": card,
            }
        ] if card else [],
        "customer_uuid": customer.uuid,
        "vehicle_uuid": _vehicle_uuid(customer),
        "dealerAssociate_uuid": "f0000000-0000-4000-8a00-000000000031",
    }  # fmt: skip


def _vehicle_uuid(customer: ServiceCustomer) -> str:
    return f"b0000000-0000-4000-8a00-{customer.number:012d}"

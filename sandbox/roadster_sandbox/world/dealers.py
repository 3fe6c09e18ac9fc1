"""The dealers of the sandbox, and the fees that they charge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

FEES: Mapping[str, Mapping[str, Decimal]] = {
    "CA": {"doc": Decimal(85), "filing": Decimal(30), "tire": Decimal("8.75")},
    "WA": {"doc": Decimal(200), "filing": Decimal(15), "tire": Decimal(5)},
}
"""Dollars that are due with every deal, by the dealer's state and the fee's name. They are invented."""

ACQUISITION_FEE = Decimal(650)
"""Dollars. Only a lease has this fee, as a part of its gross cap cost."""


@dataclass(frozen=True)
class SandboxDealer:
    """One dealership.

    `orders` are the ids of orders that forms can be added to. They exist from the start, because no documented
    operation creates an order. `link_key` encrypts customer links. It has 32 characters, which are used as they are.
    """

    dpid: str
    name: str
    make: str
    partner_id: str
    express_host: str
    address: str
    city: str
    state: str
    zip_code: str | int
    phone: str
    status: str
    orders: tuple[int, ...]
    mykaarma_uuid: str
    mykaarma_id: int
    link_key: str = field(repr=False)

    def to_listing(self) -> dict[str, Any]:
        """Returns the dealer as `GET /dealers` lists it."""
        names = ("name", "dpid", "address", "city", "state", "zip_code", "phone", "status", "partner_id")
        return {name: getattr(self, name) for name in names}

    def to_details(self) -> dict[str, Any]:
        """Returns the dealer as `GET /dealers/{dpid}` shows it, with the fees that its quotes charge."""
        fees = FEES[self.state]
        rate = {"global": {"standard": 1, "special": None}}
        return {
            **self.to_listing(),
            "configuration": {
                "price_unlock_mode": "lock",
                "fees": {
                    "doc_fee": int(fees["doc"]),
                    "filing_fee": int(fees["filing"]),
                    "handling_fee": 0,
                    "lease_acquisition_fee": int(ACQUISITION_FEE),
                },
                "markups": [{"make": "All", "finance": {"new": rate, "used": {}}}],
            },
        }


DEALERS = (
    SandboxDealer(
        dpid="umazda",
        name="University Mazda",
        make="Mazda",
        partner_id="51101",
        express_host="express.umazda.com",
        address="4701 Roosevelt Way NE",
        city="Seattle",
        state="WA",
        zip_code="98105",
        phone="206-555-0142",
        status="live",
        orders=(367101, 367102, 367103, 367104),
        mykaarma_uuid="5b0c7d1e-6a3f-4c52-9e0d-7f1a2b3c4d51",
        mykaarma_id=4101,
        link_key="umazda-sandbox-link-key-00000001",
    ),
    SandboxDealer(
        dpid="hyundaidemo",
        name="Hyundai Demo",
        make="Hyundai",
        partner_id="CA317",
        express_host="express.hyundaidemo.com",
        address="5300 Wible Rd",
        city="Bakersfield",
        state="CA",
        zip_code=93313,  # an int, as in the reference's sample: a client must read both
        phone="310-949-1234",
        status="Demo",
        orders=(367121, 367122, 367123),
        mykaarma_uuid="5b0c7d1e-6a3f-4c52-9e0d-7f1a2b3c4d52",
        mykaarma_id=4102,
        link_key="hyundai-sandbox-link-key-0000002",
    ),
    SandboxDealer(
        dpid="toyotademo",
        name="Toyota Demo",
        make="Toyota",
        partner_id="12345",
        express_host="express.toyotademo.com",
        address="50 W Bullard Ave",
        city="Fresno",
        state="CA",
        zip_code="93704",
        phone="559-555-0193",
        status="live",
        orders=(367146, 367147),  # the reference's sample of an event has the first one
        mykaarma_uuid="5b0c7d1e-6a3f-4c52-9e0d-7f1a2b3c4d53",
        mykaarma_id=4103,
        link_key="toyota-sandbox-link-key-00000003",
    ),
)


def find_dealer(
    *, dpid: object = None, partner_id: object = None, mykaarma_uuid: object = None
) -> SandboxDealer | None:
    """Returns the dealer that one of the three ids belongs to, None for unknown ids."""
    for dealer in DEALERS:
        if dealer.dpid == dpid or dealer.mykaarma_uuid == mykaarma_uuid:
            return dealer
        if partner_id is not None and dealer.partner_id == str(partner_id):
            return dealer
    return None


def find_dealer_of_order(order_id: str | None) -> SandboxDealer | None:
    """Returns the dealer that has the order, None for an unknown order."""
    return next((dealer for dealer in DEALERS if order_id in [str(order) for order in dealer.orders]), None)

"""Typed clients of a car dealer's upstream APIs: Roadster, Roadie and myKaarma.

A script can use them without the server:

    import asyncio
    import os

    from roadster_client import OPERATIONS, ChannelPolicy, DealerRef, Request, RoadsterApi, open_upstream


    async def approve(request: Request) -> None:
        # Runs before each write. If it raises, nothing is sent.
        print(request.operation.name, request.body)


    async def main() -> None:
        async with open_upstream("https://api.roadster.com/v1", api_key=os.environ["ROADSTER_API_KEY"]) as upstream:
            api = RoadsterApi(upstream, OPERATIONS)
            dealer = api.for_dealer(DealerRef("umazda", partner_id="51101"), ChannelPolicy(approve))
            page = await dealer.list_inventory(size=20)
            for vehicle in page.vehicles:
                print(vehicle.vin, vehicle.model)


    asyncio.run(main())
"""

from .channel import ApproveWrite, ChannelPolicy, OnAnswer
from .customer_link import KeyEncoding, customer_link
from .errors import (
    Busy,
    CircuitOpen,
    ClientError,
    CodeReported,
    ForeignDealer,
    MalformedAnswer,
    NotConfigured,
    NotFound,
    NotRecorded,
    OutcomeUnknown,
    ProxyFailed,
    RateLimited,
    RequestRefused,
    TimedOut,
    TooLate,
    Unauthorised,
    Unavailable,
    Unreachable,
    Untrusted,
)
from .leniency import LeftOut, OnLeftOut
from .models.personal_data import MASK, Audience, PersonalData
from .mykaarma import CustomerRecordsApi, MyKaarmaApi
from .operations import OPERATIONS, ApiName, Certainty, Operation, operations_of, operations_with
from .ownership import NotStored, OwnedByAnother, OwnedKind, Ownership
from .roadie import DeliveriesApi, RoadieApi
from .roadster import AccountApi, DealerApi, DealerRef, ListedDealers, OrderApi, RoadsterApi
from .upstream.exchange import Answer, Origin, Request
from .upstream.network import NetworkPath, is_loopback, plain_host
from .upstream.observer import Attempt, NoObserver, Observer
from .upstream.upstream import AuthScheme, Upstream, basic_key, open_upstream
from .visible_text import is_absent, is_blank, is_visible, strip_invisible, with_escapes

__all__ = [
    "MASK",
    "OPERATIONS",
    "AccountApi",
    "Answer",
    "ApiName",
    "ApproveWrite",
    "Attempt",
    "Audience",
    "AuthScheme",
    "Busy",
    "Certainty",
    "ChannelPolicy",
    "CircuitOpen",
    "ClientError",
    "CodeReported",
    "CustomerRecordsApi",
    "DealerApi",
    "DealerRef",
    "DeliveriesApi",
    "ForeignDealer",
    "KeyEncoding",
    "LeftOut",
    "ListedDealers",
    "MalformedAnswer",
    "MyKaarmaApi",
    "NetworkPath",
    "NoObserver",
    "NotConfigured",
    "NotFound",
    "NotRecorded",
    "NotStored",
    "Observer",
    "OnAnswer",
    "OnLeftOut",
    "Operation",
    "OrderApi",
    "Origin",
    "OutcomeUnknown",
    "OwnedByAnother",
    "OwnedKind",
    "Ownership",
    "PersonalData",
    "ProxyFailed",
    "RateLimited",
    "Request",
    "RequestRefused",
    "RoadieApi",
    "RoadsterApi",
    "TimedOut",
    "TooLate",
    "Unauthorised",
    "Unavailable",
    "Unreachable",
    "Untrusted",
    "Upstream",
    "basic_key",
    "customer_link",
    "is_absent",
    "is_blank",
    "is_loopback",
    "is_visible",
    "open_upstream",
    "operations_of",
    "operations_with",
    "plain_host",
    "strip_invisible",
    "with_escapes",
]

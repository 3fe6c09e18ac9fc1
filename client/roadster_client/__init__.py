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

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .channel import ApproveWrite, ChannelPolicy, OnAnswer
    from .dealer_ref import DealerRef, KeyEncoding
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
    from .hosts import is_loopback, plain_host
    from .leniency import LeftOut, OnLeftOut
    from .models.personal_data import MASK, Audience
    from .models.reader import PersonalData, Reader
    from .mykaarma import CustomerRecordsApi, MyKaarmaApi
    from .operations import OPERATIONS, ApiName, Certainty, Operation, operations_of, operations_with
    from .ownership import NotStored, OwnedByAnother, OwnedKind, Ownership
    from .roadie import DeliveriesApi, RoadieApi
    from .roadster.api import AccountApi, ListedDealers, RoadsterApi
    from .roadster.dealer import DealerApi
    from .roadster.express_link import customer_link
    from .roadster.order import OrderApi
    from .upstream.exchange import Answer, Origin, Request
    from .upstream.network import NetworkPath
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
    "Reader",
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

_MODULES = {
    "channel": "ApproveWrite ChannelPolicy OnAnswer",
    "dealer_ref": "DealerRef KeyEncoding",
    "errors": (
        "Busy CircuitOpen ClientError CodeReported ForeignDealer MalformedAnswer NotConfigured NotFound "
        "NotRecorded OutcomeUnknown ProxyFailed RateLimited RequestRefused TimedOut TooLate Unauthorised "
        "Unavailable Unreachable Untrusted"
    ),
    "hosts": "is_loopback plain_host",
    "leniency": "LeftOut OnLeftOut",
    "models.personal_data": "MASK Audience",
    "models.reader": "PersonalData Reader",
    "mykaarma": "CustomerRecordsApi MyKaarmaApi",
    "operations": "OPERATIONS ApiName Certainty Operation operations_of operations_with",
    "ownership": "NotStored OwnedByAnother OwnedKind Ownership",
    "roadie": "DeliveriesApi RoadieApi",
    "roadster.api": "AccountApi ListedDealers RoadsterApi",
    "roadster.dealer": "DealerApi",
    "roadster.express_link": "customer_link",
    "roadster.order": "OrderApi",
    "upstream.exchange": "Answer Origin Request",
    "upstream.network": "NetworkPath",
    "upstream.observer": "Attempt NoObserver Observer",
    "upstream.upstream": "AuthScheme Upstream basic_key open_upstream",
    "visible_text": "is_absent is_blank is_visible strip_invisible with_escapes",
}
"""The names above by the module that defines them. A server's start uses few of them, so a module is loaded when a name
of it is first used."""

_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

if not TYPE_CHECKING:  # a type checker would take any name for one of this package

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        return value

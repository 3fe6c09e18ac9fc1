"""The shared client of the upstream APIs of a car dealer. Knows nothing of MCP.

async with open_upstream("https://api.roadster.com/v1", api_key=key) as upstream:
    api = RoadsterApi(upstream, OPERATIONS)
    dealer = api.for_dealer(DealerRef("umazda", partner_id="51101"), Oversight(approve_write))
    page = await dealer.list_inventory(size=20)
"""

from .belongings import BelongingKind, Belongings, NotKept, OfAnother
from .channel import ApproveWrite, OnAnswer, Oversight
from .dealer import AccountApi, DealerApi, DealerRef, OrderApi, RoadsterApi
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
    RateLimited,
    RequestRefused,
    TimedOut,
    TooLate,
    Unauthorised,
    Unavailable,
    Unreachable,
    Untrusted,
)
from .inbox import EventPlace, EventQuery, EventsInbox, ReceivedEvent
from .link import KeyEncoding, customer_link
from .models.scalars import MASK, Audience, PersonalData
from .mykaarma import CustomerRecordsApi, MyKaarmaApi
from .observer import Attempt, Observer, Unobserved
from .operations import OPERATIONS, ApiName, Certainty, Operation, operations_of, overridden
from .roadie import DeliveriesApi, RoadieApi
from .upstream import Answer, AuthScheme, Lane, Request, Upstream, basic_key, open_network, open_upstream
from .visible import is_visible, visible

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
    "BelongingKind",
    "Belongings",
    "Busy",
    "Certainty",
    "CircuitOpen",
    "ClientError",
    "CodeReported",
    "CustomerRecordsApi",
    "DealerApi",
    "DealerRef",
    "DeliveriesApi",
    "EventPlace",
    "EventQuery",
    "EventsInbox",
    "ForeignDealer",
    "KeyEncoding",
    "Lane",
    "MalformedAnswer",
    "MyKaarmaApi",
    "NotConfigured",
    "NotFound",
    "NotKept",
    "NotRecorded",
    "Observer",
    "OfAnother",
    "OnAnswer",
    "Operation",
    "OrderApi",
    "OutcomeUnknown",
    "Oversight",
    "PersonalData",
    "RateLimited",
    "ReceivedEvent",
    "Request",
    "RequestRefused",
    "RoadieApi",
    "RoadsterApi",
    "TimedOut",
    "TooLate",
    "Unauthorised",
    "Unavailable",
    "Unobserved",
    "Unreachable",
    "Untrusted",
    "Upstream",
    "basic_key",
    "customer_link",
    "is_visible",
    "open_network",
    "open_upstream",
    "operations_of",
    "overridden",
    "visible",
]

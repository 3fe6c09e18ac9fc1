"""The shared client of the upstream APIs of a car dealer. Knows nothing of MCP.

async with open_upstream("https://api.roadster.com/v1", api_key=key) as upstream:
    api = RoadsterApi(upstream, OPERATIONS)
    dealer = api.for_dealer(DealerRef("umazda", partner_id="51101"), approve_write)
    page = await dealer.list_inventory(size=20)
"""

from .dealer import AccountApi, ApproveWrite, DealerApi, DealerRef, OnAnswer, RoadsterApi
from .errors import (
    ClientError,
    ForeignDealer,
    MalformedAnswer,
    NotConfigured,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    RequestRefused,
    TimedOut,
    Unauthorised,
    Unavailable,
)
from .link import KeyEncoding, customer_link
from .models.scalars import Audience
from .operations import OPERATIONS, Certainty, Operation, overridden
from .upstream import Answer, AuthScheme, Request, Upstream, open_upstream

__all__ = [
    "OPERATIONS",
    "AccountApi",
    "Answer",
    "ApproveWrite",
    "Audience",
    "AuthScheme",
    "Certainty",
    "ClientError",
    "DealerApi",
    "DealerRef",
    "ForeignDealer",
    "KeyEncoding",
    "MalformedAnswer",
    "NotConfigured",
    "NotFound",
    "OnAnswer",
    "Operation",
    "OutcomeUnknown",
    "RateLimited",
    "Request",
    "RequestRefused",
    "RoadsterApi",
    "TimedOut",
    "Unauthorised",
    "Unavailable",
    "Upstream",
    "customer_link",
    "open_upstream",
    "overridden",
]

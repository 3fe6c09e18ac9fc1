"""The typed tools, and the gate in front of them. The whole surface is the list below."""

from .access import Access, Caller, Gate, Oversight, PendingWrite, Previewed, Services, Verdict, dealer_verdict, verdict
from .catalogue import Admitted, Tool, catalogue
from .customers import assign_agent, create_customer, submit_trade_valuation
from .dealers import get_dealer, list_dealers
from .documents import delete_documents, get_document, list_documents, upload_document
from .events import get_customer, list_customer_events
from .failures import (
    AccessRefused,
    Failure,
    FailureKind,
    InvalidArguments,
    KeyOutcomeUnknown,
    Limited,
    NotConfirmed,
    ToolFailure,
    Unrecorded,
    failure,
)
from .files import UploadFolder
from .inventory import get_vehicle, list_inventory
from .links import build_deep_link
from .payments import quote_payments
from .protection_plans import list_protection_plans
from .seal import Seal, Unsealable

TOOLS = catalogue(
    dealers=(list_dealers, get_dealer),
    inventory=(list_inventory, get_vehicle),
    payments=(quote_payments, list_protection_plans),
    customers=(create_customer, assign_agent, submit_trade_valuation),
    links=(build_deep_link,),
    documents=(upload_document, list_documents, get_document, delete_documents),
    events=(list_customer_events, get_customer),
)
"""Every tool by name, in the order of `tools/list`."""

TOOLSETS = tuple(dict.fromkeys(tool.toolset for tool in TOOLS.values()))

__all__ = [
    "TOOLS",
    "TOOLSETS",
    "Access",
    "AccessRefused",
    "Admitted",
    "Caller",
    "Failure",
    "FailureKind",
    "Gate",
    "InvalidArguments",
    "KeyOutcomeUnknown",
    "Limited",
    "NotConfirmed",
    "Oversight",
    "PendingWrite",
    "Previewed",
    "Seal",
    "Services",
    "Tool",
    "ToolFailure",
    "Unrecorded",
    "Unsealable",
    "UploadFolder",
    "Verdict",
    "dealer_verdict",
    "failure",
    "verdict",
]

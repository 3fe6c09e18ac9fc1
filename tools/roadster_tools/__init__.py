"""The typed tools, and the gate in front of them. The whole surface is the list below."""

from .access import Access, Caller, Gate, Oversight, PendingWrite, Previewed, Verdict, dealer_verdict, verdict
from .catalogue import Admitted, Tool, catalogue
from .customers import create_customer
from .dealers import list_dealers
from .documents import list_documents, upload_document
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
from .seal import Seal, Unsealable

TOOLS = catalogue(
    dealers=(list_dealers,),
    inventory=(list_inventory, get_vehicle),
    payments=(quote_payments,),
    customers=(create_customer,),
    links=(build_deep_link,),
    documents=(upload_document, list_documents),
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

"""The typed tools, and the gate in front of them. The surface is the list below; `RESOURCES` gives it addresses."""

from .access import Access, Caller, Gate, Oversight, PendingWrite, Previewed, Services, Verdict, dealer_verdict, verdict
from .answers import Link
from .catalogue import Admitted, Tool, catalogue
from .customer_records import get_crm_customer
from .customers import assign_agent, create_customer, submit_trade_valuation
from .dealers import get_dealer, list_dealers
from .deliveries import cancel_delivery, create_delivery, get_delivery, update_delivery
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
    Uncounted,
    Unrecorded,
    failure,
)
from .files import File, UploadFolder
from .forms import (
    create_forms,
    create_template,
    get_template,
    get_template_file,
    list_templates,
    usable_template_ids,
)
from .inventory import get_vehicle, list_inventory, vins_in_stock
from .links import build_deep_link
from .payments import quote_payments
from .protection_plans import list_protection_plans
from .resources import CUSTOMER_RESOURCE, RESOURCES, Resource, resource_at
from .seal import Seal, Unsealable

TOOLS = catalogue(
    dealers=(list_dealers, get_dealer),
    inventory=(list_inventory, get_vehicle),
    payments=(quote_payments, list_protection_plans),
    customers=(create_customer, assign_agent, submit_trade_valuation),
    links=(build_deep_link,),
    documents=(upload_document, list_documents, get_document, delete_documents),
    forms=(list_templates, get_template, get_template_file, create_template, create_forms),
    events=(list_customer_events, get_customer),
    deliveries=(create_delivery, get_delivery, update_delivery, cancel_delivery),
    crm=(get_crm_customer,),
)
"""Every tool by name, in the order of `tools/list`."""

TOOLSETS = tuple(dict.fromkeys(tool.toolset for tool in TOOLS.values()))

__all__ = [
    "CUSTOMER_RESOURCE",
    "RESOURCES",
    "TOOLS",
    "TOOLSETS",
    "Access",
    "AccessRefused",
    "Admitted",
    "Caller",
    "Failure",
    "FailureKind",
    "File",
    "Gate",
    "InvalidArguments",
    "KeyOutcomeUnknown",
    "Limited",
    "Link",
    "NotConfirmed",
    "Oversight",
    "PendingWrite",
    "Previewed",
    "Resource",
    "Seal",
    "Services",
    "Tool",
    "ToolFailure",
    "Uncounted",
    "Unrecorded",
    "Unsealable",
    "UploadFolder",
    "Verdict",
    "dealer_verdict",
    "failure",
    "resource_at",
    "usable_template_ids",
    "verdict",
    "vins_in_stock",
]

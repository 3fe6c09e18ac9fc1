"""The typed tools, and the gate in front of them. `TOOLS` lists all of them, and `RESOURCES` gives them addresses."""

from .answers import FileLink, left_out_of, left_out_text
from .catalogue import catalogue
from .choices import MOST_CHOICES, name_choices, near_names, some_of
from .cursors import Seal, Unsealable
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
    WaitingForPerson,
    failure,
)
from .files import File
from .gate.access import Access, Caller, Verdict, dealer_choices, dealer_verdict, verdict
from .gate.admission import AdmittedCall, admit
from .gate.gate import CallOversight, Gate, PendingWrite, Services, WritePreview
from .raw_arguments import HOST_ARGUMENTS, ReadArguments, read_arguments
from .resources import CUSTOMER_RESOURCE, RESOURCES, Resource, resource_at
from .tool import Tool
from .toolsets.crm import get_crm_customer
from .toolsets.customer_search import search_customers
from .toolsets.customers import assign_agent, create_customer, submit_trade_valuation
from .toolsets.dealers import get_dealer, list_dealers
from .toolsets.deliveries import cancel_delivery, create_delivery, get_delivery, update_delivery
from .toolsets.documents import delete_documents, get_document, list_documents, upload_document
from .toolsets.events import get_customer, list_customer_events
from .toolsets.feed import vins_in_stock
from .toolsets.forms import (
    create_forms,
    create_template,
    get_template,
    get_template_file,
    list_templates,
    usable_template_ids,
)
from .toolsets.inventory import get_vehicle, list_inventory
from .toolsets.links import build_deep_link
from .toolsets.payments import quote_payments
from .toolsets.protection_plans import list_protection_plans
from .upload_folder import UploadFolder

TOOLS = catalogue(
    dealers=(list_dealers, get_dealer),
    inventory=(list_inventory, get_vehicle),
    payments=(quote_payments, list_protection_plans),
    customers=(create_customer, assign_agent, submit_trade_valuation),
    links=(build_deep_link,),
    documents=(upload_document, list_documents, get_document, delete_documents),
    forms=(list_templates, get_template, get_template_file, create_template, create_forms),
    events=(list_customer_events, get_customer, search_customers),
    deliveries=(create_delivery, get_delivery, update_delivery, cancel_delivery),
    crm=(get_crm_customer,),
)
"""Every tool by name, in the order of `tools/list`."""

TOOLSETS = tuple(dict.fromkeys(tool.toolset for tool in TOOLS.values()))

__all__ = [
    "CUSTOMER_RESOURCE",
    "HOST_ARGUMENTS",
    "MOST_CHOICES",
    "RESOURCES",
    "TOOLS",
    "TOOLSETS",
    "Access",
    "AccessRefused",
    "AdmittedCall",
    "CallOversight",
    "Caller",
    "Failure",
    "FailureKind",
    "File",
    "FileLink",
    "Gate",
    "InvalidArguments",
    "KeyOutcomeUnknown",
    "Limited",
    "NotConfirmed",
    "PendingWrite",
    "ReadArguments",
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
    "WaitingForPerson",
    "WritePreview",
    "admit",
    "dealer_choices",
    "dealer_verdict",
    "failure",
    "left_out_of",
    "left_out_text",
    "name_choices",
    "near_names",
    "read_arguments",
    "resource_at",
    "some_of",
    "usable_template_ids",
    "verdict",
    "vins_in_stock",
]

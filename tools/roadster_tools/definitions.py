"""The tools with their functions, by toolset. `make generate` writes what is derived from them into `schemas.json`.

A server reads that file at its start, and loads the code of a tool when it is first used.
"""

from __future__ import annotations

from .catalogue import catalogue
from .toolsets.approvals import get_approval
from .toolsets.crm import get_crm_customer
from .toolsets.customer_search import search_customers
from .toolsets.customers import assign_agent, create_customer, submit_trade_valuation
from .toolsets.dealers import get_dealer, list_dealers
from .toolsets.deliveries import cancel_delivery, create_delivery, get_delivery, update_delivery
from .toolsets.documents import delete_documents, get_document, list_documents, upload_document
from .toolsets.events import get_customer, list_customer_events
from .toolsets.forms import create_forms, create_template, get_template, get_template_file, list_templates
from .toolsets.inventory import get_vehicle, list_inventory
from .toolsets.links import build_deep_link
from .toolsets.payments import quote_payments
from .toolsets.protection_plans import list_protection_plans

DEFINITIONS = catalogue(
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
    approvals=(get_approval,),
)
"""Every tool by name, in the order of `tools/list`."""

"""The documented operations of Roadster and myKaarma, except those on forms.

Each is a function of the world and one call. It returns the JSON of the answer, or raises Refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote as escape
from urllib.parse import urlencode

from roadster_sandbox.answers import Refused
from roadster_sandbox.world.dealers import DEALERS, SandboxDealer
from roadster_sandbox.world.inventory import Vehicle
from roadster_sandbox.world.plans import PLANS, ChosenPlan, choose_plan
from roadster_sandbox.world.service_records import REQUESTER_USER_UUID, record_of
from roadster_sandbox.world.world import World

from .quotes import quote
from .requests import (
    CustomerBody,
    CustomerIdQuery,
    CustomerUpdateBody,
    DocumentContentsBody,
    DocumentDeletionBody,
    DocumentIdQuery,
    DocumentListBody,
    DocumentUploadBody,
    DpidQuery,
    InventoryQuery,
    LinkBody,
    PartnerIdQuery,
    PlansQuery,
    QuoteBody,
    RecordBody,
    RecordPath,
    RecordQuery,
    RequestedDealer,
    RequestedPlan,
    RequestedVehicle,
    TradeOfferBody,
    UtmTags,
    parse_request,
    resolve_dealer,
)

_UPLOADED_AT = "2025-01-01T00:00:00.000Z"
"""Always the same time, because the sandbox has no clock."""


@dataclass(frozen=True)
class ApiCall:
    """The parts of one request that an operation reads. `body` is parsed JSON of any shape, None without a body."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any


def list_dealers(_world: World, _call: ApiCall) -> Any:
    return [dealer.to_listing() for dealer in DEALERS]


def get_dealer(_world: World, call: ApiCall) -> Any:
    return resolve_dealer(parse_request(RequestedDealer, {"dpid": call.path["dpid"]})).to_details()


def list_inventory(world: World, call: ApiCall) -> Any:
    query = parse_request(InventoryQuery, call.query)
    dealer = resolve_dealer(parse_request(DpidQuery, call.query).dealer)
    since = query.updated_since or 0
    vehicles = [
        vehicle
        for vehicle in world.vehicles[dealer.dpid].values()
        if vehicle.updated_at >= since and (vehicle.in_stock or query.in_stock == "any")
    ]
    remaining = [vehicle for vehicle in vehicles if vehicle.vin > (query.from_vin or "")]
    return {"vehicles": [vehicle.to_listing() for vehicle in remaining[: query.size]], "total": len(vehicles)}


def get_vehicle(world: World, call: ApiCall) -> Any:
    dealer = resolve_dealer(parse_request(PartnerIdQuery, call.query).dealer)
    return {"vehicle_info": world.require_vehicle(dealer, call.path["vin"]).to_details()}


def quote_payments(world: World, call: ApiCall) -> Any:
    body = parse_request(QuoteBody, call.body)
    vehicle = world.require_vehicle(resolve_dealer(body.dealer), body.vehicle.vin)
    return quote(vehicle, body, _choose_plans(body.plans))


def list_plans(world: World, call: ApiCall) -> Any:
    dealer = resolve_dealer(parse_request(PartnerIdQuery, call.query).dealer)
    query = parse_request(PlansQuery, call.query)
    if query.deal_type != "cash":
        for name in ("deal_rate", "deal_term", "amount_financed"):
            if getattr(query, name) is None:
                raise Refused(400, f"Missing {name.replace('_', ' ')}")
    world.require_vehicle(dealer, query.vin)
    return {"plans": [plan.to_listing(dealer.dpid, rank) for rank, plan in enumerate(PLANS.values(), 1)]}


def create_link(world: World, call: ApiCall) -> Any:
    body = parse_request(LinkBody, call.body)
    dealer = resolve_dealer(body.dealer)
    url = _redirect_url(dealer, body.vehicle, body.analytics)
    world.links.append({"dpid": dealer.dpid, **_sent_fields(body), "redirect_url": url})
    in_stock = any(
        vehicle.in_stock for vehicle in world.vehicles[dealer.dpid].values() if _matches(vehicle, body.vehicle)
    )
    return {
        "status": "ok",
        "vehicle": {"price_locked": True, "in_stock": in_stock, "grade": "new"},
        "link": {"dpid": dealer.dpid, "redirect_url": url},
    }


def create_customer(world: World, call: ApiCall) -> Any:
    body = parse_request(CustomerBody, call.body)
    dealer = resolve_dealer(body.dealer)
    _choose_plans(body.plans)
    duplicate = world.find_customer(dealer, body.customer.email)
    fields = _sent_fields(body)
    customer_id = (duplicate or world.add_customer(dealer, **fields.pop("customer"), **fields))["id"]
    url = _redirect_url(dealer, body.vehicle, body.analytics, customer_id)
    answer = {"status": "ok", "customer": {"id": customer_id, "dpid": dealer.dpid, "redirect_url": url}}
    return {**answer, "duplicate": True} if duplicate else answer


def update_customer(world: World, call: ApiCall) -> Any:
    body = parse_request(CustomerUpdateBody, call.body)
    customer = world.require_customer(resolve_dealer(body.dealer), str(parse_request(CustomerIdQuery, call.query).id))
    if body.agent is not None:
        if body.agent.id is None and body.agent.email is None:
            raise Refused(400, "Missing agent")
        customer["agent"] = body.agent.model_dump(exclude_none=True)
    names = ("first_name", "last_name", "email", "phone")
    return {"status": "ok", "customer": {name: customer.get(name) for name in names}}


def submit_trade_valuation(world: World, call: ApiCall) -> Any:
    body = parse_request(TradeOfferBody, call.body)
    dealer = resolve_dealer(RequestedDealer(dpid=body.dpid))
    customer = world.find_customer(dealer, body.email) or world.add_customer(dealer, email=body.email)
    offer = {
        "dpid": dealer.dpid,
        "customer_id": customer["id"],
        **body.model_dump(exclude_unset=True, exclude={"dpid", "email"}),
    }
    # An offer for the same dealer, customer and VIN replaces the one before it.
    world.trade_offers = [
        other for other in world.trade_offers if (other["customer_id"], other["vin"]) != (customer["id"], body.vin)
    ] + [offer]
    url = _redirect_url(dealer, RequestedVehicle(), UtmTags(), customer["id"])
    return {"status": "ok", "customer": {"id": customer["id"], "redirect_url": url}}


def upload_document(world: World, call: ApiCall) -> Any:
    body = parse_request(DocumentUploadBody, call.body)
    customer = world.require_customer(resolve_dealer(body.dealer), call.path["customer_id"])
    if body.relationship is None and body.document_type != "deal":
        raise Refused(400, "Missing relationship")
    if body.relationship == "co_app" and not body.co_app_email_id:
        raise Refused(400, "Missing co app email id")
    try:
        contents = base64.b64decode(body.contents, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "Invalid contents") from None
    document_id = world.first_ids.document + len(world.contents)
    fields = _sent_fields(body)
    world.contents[document_id] = fields.pop("contents")
    world.documents.append(
        {
            "id": document_id,
            "dpid": customer["dpid"],
            "customer_id": customer["id"],
            **fields,
            "sha256": hashlib.sha256(contents).hexdigest(),
            "size": len(contents),
        }
    )
    return {"document_id": document_id}


def list_documents(world: World, call: ApiCall) -> Any:
    body = parse_request(DocumentListBody, call.body)
    customer = world.require_customer(resolve_dealer(body.dealer), call.path["customer_id"])
    return [
        {
            "id": document["id"],
            "document_type": document["document_type"],
            "relationship": document.get("relationship"),
            "name": document["document_name"],
            "file_name": document["file_name"],
            "created_at": _UPLOADED_AT,
            "updated_at": _UPLOADED_AT,
        }
        for document in world.documents_of(customer).values()
        if body.doc_type in ("all", "deal_docs" if document["document_type"] == "deal" else "user_docs")
    ]


def get_document(world: World, call: ApiCall) -> Any:
    body = parse_request(DocumentContentsBody, call.body)
    customer = world.require_customer(resolve_dealer(body.dealer), call.path["customer_id"])
    document_id = parse_request(DocumentIdQuery, call.query).doc_id
    if document_id not in world.documents_of(customer):
        raise Refused(404)
    return {"contents": world.contents[document_id]}


def delete_documents(world: World, call: ApiCall) -> Any:
    """Deletes all of the documents, or none if one of them is unknown."""
    body = parse_request(DocumentDeletionBody, call.body)
    customer = world.require_customer(resolve_dealer(body.dealer), call.path["customer_id"])
    if not world.documents_of(customer).keys() >= set(body.doc_ids):
        raise Refused(404)
    world.documents = [document for document in world.documents if document["id"] not in body.doc_ids]
    return {"message": "Successfully deleted document"}


def get_customer_record(world: World, call: ApiCall) -> Any:
    customer_uuid = parse_request(RecordPath, call.path).customer_uuid
    body = parse_request(RecordBody, call.body)
    parse_request(RecordQuery, call.query)
    if body.requester_user_uuid != REQUESTER_USER_UUID:
        raise Refused(401, "Unknown requester")
    return record_of(world.service_customers, customer_uuid, body.dealer_uuids)


HANDLERS: Mapping[str, Callable[[World, ApiCall], Any]] = {
    "list_dealers": list_dealers,
    "get_dealer": get_dealer,
    "list_inventory": list_inventory,
    "get_vehicle": get_vehicle,
    "quote_payments": quote_payments,
    "list_plans": list_plans,
    "create_link": create_link,
    "create_customer": create_customer,
    "update_customer": update_customer,
    "submit_trade_valuation": submit_trade_valuation,
    "list_documents": list_documents,
    "upload_document": upload_document,
    "get_document": get_document,
    "delete_documents": delete_documents,
    "get_customer_record": get_customer_record,
}
"""The function of each operation, by its id."""


def _sent_fields(body: LinkBody | CustomerBody | DocumentUploadBody) -> dict[str, Any]:
    """Returns the fields that the caller sent, without the dealer. Records name their dealer by its dpid."""
    return body.model_dump(mode="json", exclude_unset=True, exclude={"dealer"})


def _choose_plans(plans: tuple[RequestedPlan, ...]) -> tuple[ChosenPlan, ...]:
    choices = [choose_plan(plan.id, plan.code, plan.tier) for plan in plans]
    if None in choices:
        raise Refused(400, "Unknown plan")
    return tuple(filter(None, choices))


def _matches(vehicle: Vehicle, wish: RequestedVehicle) -> bool:
    fields = {
        "vin": vehicle.vin,
        "make": vehicle.dealer.make,
        "model": vehicle.line.model,
        "trim": vehicle.trim.name,
        "year": vehicle.year,
    }
    # A VIN identifies the vehicle, so a make beside it may be spelt in any way.
    filters = {"vin": wish.vin} if wish.vin else wish.model_dump(exclude_none=True)
    return all(str(fields[name]).lower() == str(value).lower() for name, value in filters.items())


def _redirect_url(
    dealer: SandboxDealer, vehicle: RequestedVehicle, analytics: UtmTags, customer_id: int | None = None
) -> str:
    """Returns the address of the vehicle's page, or of the search results for a make or model.

    The parameter `ucid` holds the customer's id.
    """
    filters = {} if vehicle.vin else vehicle.model_dump(exclude_none=True)
    ucid = {} if customer_id is None else {"ucid": customer_id}
    query = urlencode({**filters, **ucid, **analytics.model_dump(exclude_none=True)}, quote_via=escape)
    page = f"express/{vehicle.vin}" if vehicle.vin else "inventory"
    return f"https://{dealer.express_host}/{page}" + (f"?{query}" if query else "")

"""The documented operations, each a function of the world and one call; what cannot be served raises Refused."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote as escaped
from urllib.parse import urlencode

from roadster_sandbox.answers import Refused
from roadster_sandbox.world.dealers import DEALERS, SandboxDealer
from roadster_sandbox.world.inventory import Vehicle
from roadster_sandbox.world.plans import PLANS, ChosenPlan, chosen_plan
from roadster_sandbox.world.service_records import REQUESTER_USER_UUID, record_of
from roadster_sandbox.world.world import FIRST_DOCUMENT_ID, World

from .quotes import quote
from .requests import (
    CustomerBody,
    CustomerUpdateBody,
    CustomerUpdateQuery,
    DocumentContentsBody,
    DocumentDeletionBody,
    DocumentIdQuery,
    DocumentListBody,
    DocumentUploadBody,
    InventoryQuery,
    LinkBody,
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
    find_dealer,
    parse_request,
)

_UPLOADED_AT = "2025-01-01T00:00:00.000Z"
"""Nothing here has a clock."""


@dataclass(frozen=True)
class ApiCall:
    """One request, as far as an operation sees it. `body` is parsed JSON of any shape."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any


def list_dealers(_world: World, _call: ApiCall) -> Any:
    return [dealer.listed() for dealer in DEALERS]


def get_dealer(_world: World, call: ApiCall) -> Any:
    return find_dealer(RequestedDealer(dpid=call.path["dpid"])).configured()


def list_inventory(world: World, call: ApiCall) -> Any:
    query = parse_request(InventoryQuery, call.query)
    dealer = find_dealer(parse_request(RequestedDealer, {"dpid": given(call.query, "dpid")}))
    since = query.updated_since or 0
    matching = [
        vehicle
        for vehicle in world.vehicles[dealer.dpid].values()
        if vehicle.updated_at >= since and (vehicle.in_stock or query.in_stock == "any")
    ]
    rest = [vehicle for vehicle in matching if vehicle.vin > (query.from_vin or "")]
    return {"vehicles": [vehicle.listed() for vehicle in rest[: query.size]], "total": len(matching)}


def get_vehicle(world: World, call: ApiCall) -> Any:
    dealer = find_dealer(parse_request(RequestedDealer, {"partner_id": given(call.query, "dealer[partner_id]")}))
    return {"vehicle_info": world.vehicle(dealer, call.path["vin"]).details()}


def quote_payments(world: World, call: ApiCall) -> Any:
    order = parse_request(QuoteBody, call.body)
    vehicle = world.vehicle(find_dealer(order.dealer), order.vehicle.vin)
    return quote(vehicle, order, _chosen(order.plans))


def list_plans(world: World, call: ApiCall) -> Any:
    dealer = find_dealer(parse_request(RequestedDealer, {"partner_id": given(call.query, "dealer[partner_id]")}))
    query = parse_request(PlansQuery, call.query)
    if query.deal_type != "cash":
        for name in ("deal_rate", "deal_term", "amount_financed"):
            if getattr(query, name) is None:
                raise Refused(400, f"Missing {name.replace('_', ' ')}")
    world.vehicle(dealer, query.vin)
    return {"plans": [plan.listed(dealer.dpid, rank) for rank, plan in enumerate(PLANS.values(), 1)]}


def create_link(world: World, call: ApiCall) -> Any:
    order = parse_request(LinkBody, call.body)
    dealer = find_dealer(order.dealer)
    url = _redirect_url(dealer, order.vehicle, order.analytics)
    world.links.append({"dpid": dealer.dpid, **_given_fields(order), "redirect_url": url})
    in_stock = any(
        vehicle.in_stock for vehicle in world.vehicles[dealer.dpid].values() if _matches(vehicle, order.vehicle)
    )
    return {
        "status": "ok",
        "vehicle": {"price_locked": True, "in_stock": in_stock, "grade": "new"},
        "link": {"dpid": dealer.dpid, "redirect_url": url},
    }


def create_customer(world: World, call: ApiCall) -> Any:
    order = parse_request(CustomerBody, call.body)
    dealer = find_dealer(order.dealer)
    _chosen(order.plans)
    known = world.customer_of(dealer, order.customer.email)
    fields = _given_fields(order)
    customer_id = (known or world.add_customer(dealer, **fields.pop("customer"), **fields))["id"]
    url = _redirect_url(dealer, order.vehicle, order.analytics, customer_id)
    answer = {"status": "ok", "customer": {"id": customer_id, "dpid": dealer.dpid, "redirect_url": url}}
    return {**answer, "duplicate": True} if known else answer


def update_customer(world: World, call: ApiCall) -> Any:
    order = parse_request(CustomerUpdateBody, call.body)
    customer = world.customer(find_dealer(order.dealer), str(parse_request(CustomerUpdateQuery, call.query).id))
    if order.agent is not None:
        if order.agent.id is None and order.agent.email is None:
            raise Refused(400, "Missing agent")
        customer["agent"] = order.agent.model_dump(exclude_none=True)
    names = ("first_name", "last_name", "email", "phone")
    return {"status": "ok", "customer": {name: customer.get(name) for name in names}}


def submit_trade_valuation(world: World, call: ApiCall) -> Any:
    order = parse_request(TradeOfferBody, call.body)
    dealer = find_dealer(RequestedDealer(dpid=order.dpid))
    customer = world.customer_of(dealer, order.email) or world.add_customer(dealer, email=order.email)
    offer = {
        "dpid": dealer.dpid,
        "customer_id": customer["id"],
        **order.model_dump(exclude_unset=True, exclude={"dpid", "email"}),
    }
    # Email, dealer and VIN are what makes two of them one.
    world.trade_offers = [
        other for other in world.trade_offers if (other["customer_id"], other["vin"]) != (customer["id"], order.vin)
    ] + [offer]
    url = _redirect_url(dealer, RequestedVehicle(), UtmTags(), customer["id"])
    return {"status": "ok", "customer": {"id": customer["id"], "redirect_url": url}}


def upload_document(world: World, call: ApiCall) -> Any:
    order = parse_request(DocumentUploadBody, call.body)
    customer = world.customer(find_dealer(order.dealer), call.path["customer_id"])
    if order.relationship is None and order.document_type != "deal":
        raise Refused(400, "Missing relationship")
    if order.relationship == "co_app" and not order.co_app_email_id:
        raise Refused(400, "Missing co app email id")
    try:
        contents = base64.b64decode(order.contents, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "Invalid contents") from None
    document_id = FIRST_DOCUMENT_ID + len(world.contents)
    fields = _given_fields(order)
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
    order = parse_request(DocumentListBody, call.body)
    customer = world.customer(find_dealer(order.dealer), call.path["customer_id"])
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
        if order.doc_type in ("all", "deal_docs" if document["document_type"] == "deal" else "user_docs")
    ]


def get_document(world: World, call: ApiCall) -> Any:
    order = parse_request(DocumentContentsBody, call.body)
    customer = world.customer(find_dealer(order.dealer), call.path["customer_id"])
    document_id = parse_request(DocumentIdQuery, call.query).doc_id
    if document_id not in world.documents_of(customer):
        raise Refused(404)
    return {"contents": world.contents[document_id]}


def delete_documents(world: World, call: ApiCall) -> Any:
    """All of them, or none where one of them is unknown."""
    order = parse_request(DocumentDeletionBody, call.body)
    customer = world.customer(find_dealer(order.dealer), call.path["customer_id"])
    if not world.documents_of(customer).keys() >= set(order.doc_ids):
        raise Refused(404)
    world.documents = [document for document in world.documents if document["id"] not in order.doc_ids]
    return {"message": "Successfully deleted document"}


def get_customer_record(_world: World, call: ApiCall) -> Any:
    customer_uuid = parse_request(RecordPath, call.path).customer_uuid
    order = parse_request(RecordBody, call.body)
    parse_request(RecordQuery, call.query)
    if order.requester_user_uuid != REQUESTER_USER_UUID:
        raise Refused(401, "Unknown requester")
    return record_of(customer_uuid, order.dealer_uuids)


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
"""By operation id."""


def given(query: Mapping[str, str], name: str) -> str:
    """A required part of the query; what is missing is named as the reference names it: the dealer."""
    value = query.get(name)
    if not value:
        raise Refused(400, "Missing dealer")
    return value


def _given_fields(order: LinkBody | CustomerBody | DocumentUploadBody) -> dict[str, Any]:
    """What the caller sent, without the dealer, which every record names by its dpid."""
    return order.model_dump(mode="json", exclude_unset=True, exclude={"dealer"})


def _chosen(plans: tuple[RequestedPlan, ...]) -> tuple[ChosenPlan, ...]:
    chosen = [chosen_plan(plan.id, plan.code, plan.tier) for plan in plans]
    if None in chosen:
        raise Refused(400, "Unknown plan")
    return tuple(filter(None, chosen))


def _matches(vehicle: Vehicle, wanted: RequestedVehicle) -> bool:
    own = {
        "vin": vehicle.vin,
        "make": vehicle.dealer.make,
        "model": vehicle.line.model,
        "trim": vehicle.trim.name,
        "year": vehicle.year,
    }
    # A VIN alone says which vehicle it is: a make beside it may be spelt in any way.
    narrowing = {"vin": wanted.vin} if wanted.vin else wanted.model_dump(exclude_none=True)
    return all(str(own[name]).lower() == str(value).lower() for name, value in narrowing.items())


def _redirect_url(
    dealer: SandboxDealer, vehicle: RequestedVehicle, analytics: UtmTags, customer_id: int | None = None
) -> str:
    """The vehicle's page, or the results of a make or model; the customer's id is in `ucid`."""
    narrowing = {} if vehicle.vin else vehicle.model_dump(exclude_none=True)
    ucid = {} if customer_id is None else {"ucid": customer_id}
    query = urlencode({**narrowing, **ucid, **analytics.model_dump(exclude_none=True)}, quote_via=escaped)
    page = f"express/{vehicle.vin}" if vehicle.vin else "inventory"
    return f"https://{dealer.express_host}/{page}" + (f"?{query}" if query else "")

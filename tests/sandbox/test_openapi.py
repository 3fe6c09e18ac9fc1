"""The sandbox keeps to its own OpenAPI description, under the requests that schemathesis invents and under ours."""

from __future__ import annotations

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from roadster_client import OPERATIONS, basic_key
from roadster_sandbox import API_KEY, BASE_PATHS, DEALERS, REQUESTER_USER_UUID, USERNAME, create_app
from roadster_sandbox.world.service_records import LOCKED_UUID
from tests.conftest import SAMPLES
from tests.tool_examples import CARLOS_UUID

schema = schemathesis.openapi.from_asgi("/openapi.json", create_app())

AUTHORISED = {"authorization": f"Bearer {API_KEY}"}
AS_USER = {"authorization": f"Basic {basic_key(USERNAME, API_KEY)}"}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@schema.parametrize()
@settings(max_examples=15, derandomize=True, suppress_health_check=list(HealthCheck))
def test_answer_matches_the_description(case):
    """Good and bad requests lead to no server error, and to no undocumented status, content type or body."""
    case.call_and_validate(headers=AS_USER if "mykaarma" in case.path else AUTHORISED, checks=CHECKS)


@pytest.fixture(scope="module")
def vin():
    feed = schema["/v1/vehicles"]["GET"].Case(query={"dpid": "umazda"}).call(headers=AUTHORISED)
    return feed.json()["vehicles"][0]["vin"]


CUSTOMER = {"first_name": "Steve", "last_name": "McQueen", "email": "steve.mcqueen@example.com"}
UPLOAD = {"document_name": "DL", "document_type": "license", "file_name": "dl.png", "relationship": "self"}
DEALER = {"dealer": {"dpid": "umazda"}}


TRADE = {"dpid": "umazda", "email": CUSTOMER["email"], "vin": "4T1C11AK0LU322811", "value": 9000}
TEMPLATE = {
    "form_data": {
        "name": "Form",
        "file_name": "form.pdf",
        "form_definition": {"pages": [{"fields": [{"x": 1, "y": 1, "name": "vin_1", "type": "vin"}]}]},
    },
    "file_stream": "data:application/pdf;charset=utf-8;base64,JVBERi0xLjQ=",
}
SHIPMENTS = "/roadie/v1/shipments"
SHIPMENT = json.loads((SAMPLES / "shipment.req.json").read_text())
BINDER = "/v1/customers/{customer_id}/documents"


@pytest.mark.parametrize(
    ("path", "method", "parts"),
    [
        ("/v1/dealers", "GET", {}),
        ("/v1/dealers/{dpid}", "GET", {"path_parameters": {"dpid": "umazda"}}),
        ("/v1/vehicles", "GET", {"query": {"dpid": "umazda", "size": 500, "in_stock": "any"}}),
        ("/v1/vehicles/{vin}", "GET", {"query": {"dealer[partner_id]": "51101"}}),
        ("/v1/plans", "GET", {"query": {"dealer[partner_id]": "51101", "deal_type": "cash"}}),
        ("/v1/payments", "POST", {"body": {"customer": {}, "trade_in": {"value": 1}, "plans": [{"id": 6160}]}}),
        ("/v1/links", "POST", {"body": {}}),
        ("/v1/customers", "POST", {"body": {"customer": CUSTOMER}}),
        ("/v1/customers", "PUT", {"body": {**DEALER, "agent": {"id": "ID9876"}}}),
        ("/v1/create_tradein_offer", "POST", {"body": TRADE}),
        (BINDER, "POST", {"body": {**UPLOAD, "contents": "JVBERg=="}}),
        (BINDER, "GET", {"body": {**DEALER, "doc_type": "all"}}),
        (f"{BINDER}/content", "GET", {"body": DEALER}),
        (BINDER, "DELETE", {"body": DEALER}),
        ("/v1/templates", "GET", {"query": {"dpid": "umazda"}}),
        ("/v1/templates/details", "GET", {"query": {"dpid": "umazda", "template_id": 278}}),
        ("/v1/templates/file", "GET", {"query": {"dpid": "umazda", "template_id": 278}}),
        ("/v1/templates", "POST", {"query": {"dpid": "umazda"}, "body": TEMPLATE}),
        (
            "/v1/orders/{order_id}/forms",
            "POST",
            {"path_parameters": {"order_id": "367101"}, "body": {"title": "Please sign", "template_ids": [278]}},
        ),
        (SHIPMENTS, "POST", {"body": SHIPMENT}),
        (f"{SHIPMENTS}/{{shipment_id}}", "GET", {}),
        (f"{SHIPMENTS}/{{shipment_id}}", "PATCH", {"body": {"options": {"signature_required": True}}}),
        (f"{SHIPMENTS}/{{shipment_id}}", "DELETE", {}),
    ],
)
def test_success_matches_the_description(vin, path, method, parts):
    """Random requests seldom name a dealer that exists. These do, and succeed."""
    if "{shipment_id}" in path:
        shipment = schema[SHIPMENTS]["POST"].Case(body=SHIPMENT).call(headers=AUTHORISED)
        parts = {**parts, "path_parameters": {"shipment_id": str(shipment.json()["id"])}}
    elif method == "POST" and path not in ("/v1/create_tradein_offer", SHIPMENTS):
        parts = {**parts, "body": {**DEALER, "vehicle": {"vin": vin}, **parts["body"]}}
    elif "{vin}" in path:
        parts = {**parts, "path_parameters": {"vin": vin}}
    elif path == "/v1/plans":
        parts = {**parts, "query": {**parts["query"], "vin": vin}}
    if path.startswith("/v1/customers"):  # the order of the tests must not matter, so each makes its own customer
        customer_id, document_id = new_customer()
        if "{customer_id}" in path:
            parts = {**parts, "path_parameters": {"customer_id": str(customer_id)}}
        if method == "PUT":
            parts = {**parts, "query": {"id": customer_id}}
        if path.endswith("/content"):
            parts = {**parts, "query": {"doc_id": document_id}}
        if method == "DELETE":
            parts = {**parts, "body": {**parts["body"], "doc_ids": [document_id]}}
    answer = schema[path][method].Case(**parts).call_and_validate(headers=AUTHORISED, checks=CHECKS)
    assert answer.status_code == (204 if path.startswith(SHIPMENTS) and method == "DELETE" else 200)


def new_customer():
    """Returns the ids of a customer and of a new document."""
    customer = schema["/v1/customers"]["POST"].Case(body={**DEALER, "customer": CUSTOMER}).call(headers=AUTHORISED)
    customer_id = customer.json()["customer"]["id"]
    upload = schema[BINDER]["POST"].Case(
        path_parameters={"customer_id": str(customer_id)}, body={**DEALER, **UPLOAD, "contents": "JVBERg=="}
    )
    return customer_id, upload.call(headers=AUTHORISED).json()["document_id"]


@pytest.mark.parametrize(
    ("customer_uuid", "status"), [(CARLOS_UUID, 200), (LOCKED_UUID, 200), ("0" * 64, 204), ("short", 400)]
)
def test_customer_record_matches_the_description(customer_uuid, status):
    case = schema["/mykaarma/customer/v2/customer/{customer_uuid}"]["POST"].Case(
        path_parameters={"customer_uuid": customer_uuid},
        body={"requesterUserUUID": REQUESTER_USER_UUID, "dealerUUIDList": [DEALERS[0].mykaarma_uuid]},
    )
    assert case.call_and_validate(headers=AS_USER, checks=CHECKS).status_code == status


def test_description_has_every_operation_of_the_client():
    """Methods and paths are the same."""
    operations = {
        (operation["operationId"], method.upper(), path)
        for path, methods in schema.raw_schema["paths"].items()
        for method, operation in methods.items()
    }
    assert operations == {
        (operation.name, operation.method, BASE_PATHS[operation.api] + operation.path)
        for operation in OPERATIONS.values()
    }

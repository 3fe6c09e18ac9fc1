"""The OpenAPI description of what the sandbox serves: requests as it reads them, answers as the client's models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from roadster_client.models.customer_records import CustomerRecord
from roadster_client.models.customers import CustomerCreated, CustomerUpdated
from roadster_client.models.dealers import Dealer, DealerDetails
from roadster_client.models.deliveries import Shipment
from roadster_client.models.documents import Document, DocumentContents, DocumentsDeleted, DocumentUploaded
from roadster_client.models.forms import FormsCreated
from roadster_client.models.links import LinkCreated
from roadster_client.models.plans import PlanCatalogue
from roadster_client.models.quotes import Quote
from roadster_client.models.templates import Template, TemplateReceipt
from roadster_client.models.trades import TradeValued
from roadster_client.models.vehicles import InventoryPage, VehicleDetails
from roadster_client.operations import OPERATIONS, ApiName, Operation

from .requests import (
    CustomerBody,
    CustomerUpdateBody,
    DocumentContentsBody,
    DocumentDeletionBody,
    DocumentListBody,
    DocumentUploadBody,
    FormsBody,
    LinkBody,
    QuoteBody,
    RecordBody,
    TemplateBody,
    TradeOfferBody,
)
from .shipment_requests import ShipmentBody, ShipmentUpdateBody

_ASKED: Mapping[str, type[BaseModel]] = {
    "quote_payments": QuoteBody,
    "create_link": LinkBody,
    "create_customer": CustomerBody,
    "update_customer": CustomerUpdateBody,
    "submit_trade_valuation": TradeOfferBody,
    "list_documents": DocumentListBody,
    "upload_document": DocumentUploadBody,
    "get_document": DocumentContentsBody,
    "delete_documents": DocumentDeletionBody,
    "create_template": TemplateBody,
    "create_forms": FormsBody,
    "create_shipment": ShipmentBody,
    "update_shipment": ShipmentUpdateBody,
    "get_customer_record": RecordBody,
}
_ANSWERED: Mapping[str, type[BaseModel]] = {
    "list_dealers": Dealer,
    "get_dealer": DealerDetails,
    "list_inventory": InventoryPage,
    "get_vehicle": VehicleDetails,
    "quote_payments": Quote,
    "list_plans": PlanCatalogue,
    "create_link": LinkCreated,
    "create_customer": CustomerCreated,
    "update_customer": CustomerUpdated,
    "submit_trade_valuation": TradeValued,
    "list_documents": Document,
    "upload_document": DocumentUploaded,
    "get_document": DocumentContents,
    "delete_documents": DocumentsDeleted,
    "list_templates": Template,
    "get_template": Template,
    "create_template": TemplateReceipt,
    "create_forms": FormsCreated,
    "create_shipment": Shipment,
    "get_shipment": Shipment,
    "update_shipment": Shipment,
    "get_customer_record": CustomerRecord,
}
_TEMPLATE = {"dpid": {"type": "string", "minLength": 1}, "template_id": {"type": "integer", "minimum": 1}}
_PARAMETERS: Mapping[str, Mapping[str, dict[str, Any]]] = {
    "list_inventory": {
        "dpid": {"type": "string", "minLength": 1},
        "size": {"type": "integer", "minimum": 1, "maximum": 500},
        "from_vin": {"type": "string", "minLength": 1, "maxLength": 500},
        "updated_since": {"type": "integer", "minimum": 0, "description": "epoch seconds"},
        "in_stock": {"type": "string", "enum": ["any"]},
    },
    "get_vehicle": {"dealer[partner_id]": {"type": "string", "minLength": 1}},
    "list_plans": {
        "dealer[partner_id]": {"type": "string", "minLength": 1},
        "vin": {"type": "string", "minLength": 17, "maxLength": 17},
        "deal_type": {"type": "string", "enum": ["cash", "finance", "lease"]},
        "deal_rate": {"type": "number", "minimum": 0, "maximum": 100, "description": "the APR in percent"},
        "deal_term": {"type": "integer", "minimum": 1, "maximum": 120, "description": "months"},
        "amount_financed": {"type": "integer", "minimum": 0},
    },
    "update_customer": {"id": {"type": "integer", "minimum": 1}},
    "get_document": {"doc_id": {"type": "integer", "minimum": 1}},
    "list_templates": {"dpid": {"type": "string", "minLength": 1}},
    "get_template": _TEMPLATE,
    "get_template_file": _TEMPLATE,
    "create_template": {"dpid": {"type": "string", "minLength": 1}},
    "get_customer_record": {"excludeOrderType": {"type": "boolean"}},
}
_LISTS = ("list_dealers", "list_documents", "list_templates")
"""Answered with an array of what the model describes."""

_REQUIRED = ("dpid", "dealer[partner_id]", "vin", "deal_type", "id", "doc_id", "template_id")
_ERROR = {
    "type": "object",
    "properties": {"status": {"const": "error"}, "error": {"type": "string", "examples": ["Missing email"]}},
    "required": ["status", "error"],
}
_PROBLEMS = {
    "type": "object",
    "properties": {
        "errors": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["errorCode"]}},
        "warnings": {"type": "array"},
    },
    "required": ["errors", "warnings"],
}
"""Of myKaarma, with 200 too."""


_SHIPMENT_ERRORS = {
    "type": "object",
    "properties": {
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "code": {"type": "integer", "minimum": 1001, "maximum": 1006},
                    "parameter": {"type": "string"},
                    "message": {"type": "string"},
                },
                "required": ["code", "parameter", "message"],
            },
        }
    },
    "required": ["errors"],
}
_UNKNOWN = {"description": "Unknown dealer, vehicle, customer or document"}


def openapi(base_paths: Mapping[ApiName, str]) -> dict[str, Any]:
    """OpenAPI 3.1, with every operation of the client's list."""
    schemas = {
        "Error": _ERROR,
        "Problems": _PROBLEMS,
        "ShipmentErrors": _SHIPMENT_ERRORS,
        **_schemas(_ASKED),
        **_or_numbers(_schemas(_ANSWERED)),
    }
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS.values():
        path = paths.setdefault(base_paths[operation.api] + operation.path, {})
        path[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Roadster sandbox", "version": "1.2.0"},
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "user": {"type": "http", "scheme": "basic"},
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    errors = {"$ref": f"#/components/schemas/{'ShipmentErrors' if operation.api == 'roadie' else 'Error'}"}
    described: dict[str, Any] = {
        "operationId": operation.name,
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
              for name in sorted(operation.path_parameters)),
            *({"name": name, "in": "query", "required": name in _REQUIRED, "schema": schema}
              for name, schema in _PARAMETERS.get(operation.name, {}).items()),
        ],
        "responses": {
            **_done(operation),
            "400": _json(errors, "Refused"),
            "401": {"description": "Unknown credentials"},
            "404": _json(errors, "Unknown shipment") if operation.api == "roadie" else _UNKNOWN,
            "500": {"description": "Failed"},
        },
    }  # fmt: skip
    if operation.api == "mykaarma":
        problems = {"$ref": "#/components/schemas/Problems"}
        described["security"] = [{"user": []}]
        described["responses"] = {
            "200": _json({"anyOf": [_ref(_ANSWERED[operation.name]), problems]}, "Done, or refused"),
            "204": {"description": "No such customer"},
            "400": _json(problems, "Refused"),
            "401": _json(problems, "Unknown credentials or requester"),
            "500": _json(problems, "Failed"),
        }
    if operation.name in _ASKED:
        described["requestBody"] = {"required": True, **_json(_ref(_ASKED[operation.name]))}
    return described


def _done(operation: Operation) -> dict[str, Any]:
    if operation.name == "cancel_shipment":
        return {"204": {"description": "Done"}}
    model = _ANSWERED.get(operation.name)
    answer = _ref(model) if model else {"type": "string", "description": "a file in base64"}
    return {"200": _json({"type": "array", "items": answer} if operation.name in _LISTS else answer, "Done")}


def _json(schema: dict[str, Any], description: str | None = None) -> dict[str, Any]:
    content = {"content": {"application/json": {"schema": schema}}}
    return content if description is None else {"description": description, **content}


def _ref(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _schemas(models: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    _, definitions = models_json_schema(
        [(model, "validation") for model in models.values()], ref_template="#/components/schemas/{model}"
    )
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas


def _or_numbers(schema: Any) -> Any:
    """`schema` with a number allowed wherever it says string: zips, colours and codes come as either."""
    if isinstance(schema, list):
        return [_or_numbers(item) for item in schema]
    if isinstance(schema, dict):
        return {
            name: ["string", "number"] if (name, value) == ("type", "string") else _or_numbers(value)
            for name, value in schema.items()
        }
    return schema

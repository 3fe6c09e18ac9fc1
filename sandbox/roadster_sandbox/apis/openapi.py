"""The OpenAPI description of the sandbox. Requests are described by its own models, answers by the client's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from roadster_client.operations import OPERATIONS, ApiName, Operation

from .forms import RECEIPT_FIELDS
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
    FormsBody,
    InventoryQuery,
    LinkBody,
    PartnerIdQuery,
    PlansQuery,
    QuoteBody,
    RecordBody,
    RecordQuery,
    TemplateBody,
    TemplateIdQuery,
    TradeOfferBody,
)
from .shipment_requests import ShipmentBody, ShipmentUpdateBody

_BODIES: Mapping[str, type[BaseModel]] = {
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
_QUERIES: Mapping[str, tuple[type[BaseModel], ...]] = {
    "list_inventory": (DpidQuery, InventoryQuery),
    "get_vehicle": (PartnerIdQuery,),
    "list_plans": (PartnerIdQuery, PlansQuery),
    "update_customer": (CustomerIdQuery,),
    "get_document": (DocumentIdQuery,),
    "list_templates": (DpidQuery,),
    "get_template": (DpidQuery, TemplateIdQuery),
    "get_template_file": (DpidQuery, TemplateIdQuery),
    "create_template": (DpidQuery,),
    "get_customer_record": (RecordQuery,),
}
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
"""myKaarma sends errors in this shape, also with the status 200."""

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


def build_openapi(base_paths: Mapping[ApiName, str]) -> dict[str, Any]:
    """Returns an OpenAPI 3.1 document with every operation of the client's list.

    `base_paths` holds the path that stands before the operations of each API.
    """
    bodies, body_schemas = _schemas(_BODIES)
    answers, answer_schemas = _schemas({operation.name: operation.answer_type for operation in OPERATIONS.values()})
    # The client reads nothing of this receipt, so its model has no fields.
    receipt = {name: {"type": ["string", "boolean", "null"]} for name in RECEIPT_FIELDS}
    answer_schemas["TemplateReceipt"]["properties"] = receipt
    schemas = {
        "Error": _ERROR,
        "Problems": _PROBLEMS,
        "ShipmentErrors": _SHIPMENT_ERRORS,
        **body_schemas,
        **_or_numbers(answer_schemas),
    }
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS.values():
        path = paths.setdefault(base_paths[operation.api] + operation.path, {})
        path[operation.method.lower()] = _describe(operation, bodies.get(operation.name), answers[operation.name])
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


def _describe(operation: Operation, body: dict[str, Any] | None, answer: dict[str, Any]) -> dict[str, Any]:
    errors = {"$ref": f"#/components/schemas/{'ShipmentErrors' if operation.api == 'roadie' else 'Error'}"}
    description: dict[str, Any] = {
        "operationId": operation.name,
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
              for name in sorted(operation.path_parameters)),
            *(parameter for model in _QUERIES.get(operation.name, ()) for parameter in _parameters(model)),
        ],
        "responses": {
            **_success(operation, answer),
            "400": _json(errors, "Refused"),
            "401": {"description": "Unknown credentials"},
            "404": _json(errors, "Unknown shipment") if operation.api == "roadie" else _UNKNOWN,
            "500": {"description": "Failed"},
        },
    }  # fmt: skip
    if operation.api == "mykaarma":
        problems = {"$ref": "#/components/schemas/Problems"}
        description["security"] = [{"user": []}]
        description["responses"] = {
            "200": _json({"anyOf": [answer, problems]}, "Done, or refused"),
            "204": {"description": "No such customer"},
            "400": _json(problems, "Refused"),
            "401": _json(problems, "Unknown credentials or requester"),
            "500": _json(problems, "Failed"),
        }
    if body is not None:
        description["requestBody"] = {"required": True, **_json(body)}
    return description


def _parameters(model: type[BaseModel]) -> Iterator[dict[str, Any]]:
    """Yields the query parameters that the model reads."""
    schema = model.model_json_schema()
    for name, field in schema["properties"].items():
        (variant,) = (each for each in field.get("anyOf", [field]) if each != {"type": "null"})
        constraints = {key: value for key, value in variant.items() if key not in ("title", "default")}
        yield {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": constraints}


def _success(operation: Operation, answer: dict[str, Any]) -> dict[str, Any]:
    if operation.name == "cancel_shipment":
        return {"204": {"description": "Done"}}
    if answer == {"type": "string"}:
        answer = {**answer, "description": "a file in base64"}
    return {"200": _json(answer, "Done")}


def _json(schema: dict[str, Any], description: str | None = None) -> dict[str, Any]:
    content = {"content": {"application/json": {"schema": schema}}}
    return content if description is None else {"description": description, **content}


def _schemas(types: Mapping[str, Any]) -> tuple[Mapping[str, dict[str, Any]], dict[str, Any]]:
    """Returns the schema of each type, by the name of its operation, and the components that the schemas refer to."""
    inputs: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [
        (name, "validation", TypeAdapter(each)) for name, each in types.items()
    ]
    schemas, components = TypeAdapter.json_schemas(inputs, ref_template="#/components/schemas/{model}")
    return {name: schema for (name, _), schema in schemas.items()}, components["$defs"]


def _or_numbers(schema: Any) -> Any:
    """Returns `schema` with a number allowed for each string. Zip codes, colours and codes can be either."""
    if isinstance(schema, list):
        return [_or_numbers(item) for item in schema]
    if isinstance(schema, dict):
        return {
            name: ["string", "number"] if (name, value) == ("type", "string") else _or_numbers(value)
            for name, value in schema.items()
        }
    return schema

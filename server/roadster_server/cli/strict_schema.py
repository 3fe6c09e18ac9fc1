"""OpenAI's strict form of a schema: what its Structured Outputs guide allows, so that a model's arguments always fit.

Every property is required, an optional one may be null, no object is open. Bounds, formats and defaults are told in the
description instead: not every model takes them as keywords, and the server checks them anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TOLD: Mapping[str, str] = {
    "default": "default {}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "format": "{}",
}
_KEPT = frozenset({"type", "properties", "required", "additionalProperties", "items", "enum", "description"})


class NotStrict(Exception):
    """The schema has what no strict one can have, such as an object whose properties it does not name."""


def strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` in the strict form. Raises NotStrict."""
    if not schema.keys() <= _KEPT | _TOLD.keys() or not isinstance(schema.get("type"), str):
        raise NotStrict
    made: dict[str, Any] = {"type": schema["type"]}
    told = [schema["description"]] if "description" in schema else []
    told += [words.format(_plain(schema[key])) for key, words in _TOLD.items() if key in schema]
    if told:
        made["description"] = "; ".join(told)
    if "enum" in schema:
        made["enum"] = schema["enum"]
    if schema["type"] == "array":
        if "items" not in schema:
            raise NotStrict
        made["items"] = strict(schema["items"])
    if schema["type"] == "object":
        if "properties" not in schema:
            raise NotStrict
        needed = schema.get("required", [])
        made["properties"] = {
            name: strict(part) if name in needed else _or_null(strict(part))
            for name, part in schema["properties"].items()
        }
        made["required"] = list(made["properties"])
        made["additionalProperties"] = False
    return made


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if schema["type"] in ("object", "array"):
        return {"anyOf": [schema, {"type": "null"}]}
    made = {**schema, "type": [schema["type"], "null"]}
    return {**made, "enum": [*schema["enum"], None]} if "enum" in schema else made


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

"""OpenAI's strict form of a schema, after its guide to Structured Outputs: a model's arguments always fit it.

Every property is required, an optional one may be null, and no object is open. Bounds, formats and defaults stand in
the description instead: not every model takes them as keywords, and the server checks them anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WORDS: Mapping[str, str] = {
    "default": "default {}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "format": "{}",
}
_KEYWORDS = frozenset({"type", "properties", "required", "additionalProperties", "items", "enum", "description"})


class NotStrict(Exception):
    """The schema holds something that no strict one can, such as an object with properties that it does not name."""


def strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `schema` in the strict form. Raises NotStrict."""
    if not schema.keys() <= _KEYWORDS | _WORDS.keys() or not isinstance(schema.get("type"), str):
        raise NotStrict
    result: dict[str, Any] = {"type": schema["type"]}
    sentences = [schema["description"]] if "description" in schema else []
    sentences += [words.format(_plain(schema[key])) for key, words in _WORDS.items() if key in schema]
    if sentences:
        result["description"] = "; ".join(sentences)
    if "enum" in schema:
        result["enum"] = schema["enum"]
    if schema["type"] == "array":
        if "items" not in schema:
            raise NotStrict
        result["items"] = strict(schema["items"])
    if schema["type"] == "object":
        if "properties" not in schema:
            raise NotStrict
        mandatory = schema.get("required", [])
        result["properties"] = {
            name: strict(part) if name in mandatory else _or_null(strict(part))
            for name, part in schema["properties"].items()
        }
        result["required"] = list(result["properties"])
        result["additionalProperties"] = False
    return result


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if schema["type"] in ("object", "array"):
        return {"anyOf": [schema, {"type": "null"}]}
    nullable = {**schema, "type": [schema["type"], "null"]}
    return {**nullable, "enum": [*schema["enum"], None]} if "enum" in schema else nullable


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

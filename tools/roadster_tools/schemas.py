"""The schemas of all tools, stored in `schemas.json`: reviewed like code, and read at the start instead of derived.

To derive them, pydantic must build every model, and an assistant would wait for that at each start. Run `make generate`
after you change a tool. A test compares the file with the code.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from roadster_client.models.values import MOST, PLAUSIBLE

from .arguments.parameters import NAMES_ONLY

_NAME = "schemas.json"


@cache
def load_schemas() -> dict[str, dict[str, dict[str, Any]]]:
    """Returns the facts, the input schema and the output schema of each tool, by its name."""
    schemas: dict[str, dict[str, dict[str, Any]]] = json.loads(
        files("roadster_tools").joinpath(_NAME).read_text(encoding="utf-8")
    )
    return schemas


def compact(schema: dict[str, Any], *, names_only: bool = True) -> dict[str, Any]:
    """Returns `schema` as short as it can be with the same meaning to a model.

    References are resolved, because not every host does it. `null` goes, because a caller leaves an optional field out
    and answers never hold it. Docstrings of nested classes go, because a description that a model needs stands with
    the field. `_is_redundant` decides about the rest.

    Objects that are marked as `NAMES_ONLY` keep what is required of them if `names_only` is false.
    """
    definitions = schema.pop("$defs", {})

    def shorten(node: Any, *, is_marked: bool = False) -> Any:
        if isinstance(node, list):
            return [shorten(item, is_marked=is_marked) for item in node]
        if not isinstance(node, dict):
            return node
        is_marked = is_marked or (names_only and NAMES_ONLY in node)
        if "$ref" in node:
            definition = {**definitions[node["$ref"].rpartition("/")[2]], "description": None}
            rest = {key: value for key, value in node.items() if key != "$ref"}
            return shorten({**definition, **rest}, is_marked=is_marked)
        if "anyOf" in node:
            branches = [branch for branch in node["anyOf"] if branch != {"type": "null"}]
            rest = {key: value for key, value in node.items() if key != "anyOf"}
            if len(branches) == 1:
                return shorten({**branches[0], **rest}, is_marked=is_marked)
        parts = {
            key: value
            for key, value in node.items()
            if not (_is_redundant(key, value, node) or (is_marked and key in ("required", "format")))
        }
        return {
            key: {name: shorten(part, is_marked=is_marked) for name, part in value.items()}
            if key == "properties"
            else shorten(value, is_marked=is_marked)
            for key, value in parts.items()
        }

    result: dict[str, Any] = shorten(schema)
    return result


def _is_redundant(key: str, value: Any, node: dict[str, Any]) -> bool:
    """Tells whether a model understands the schema without `key`. The arguments are checked against all of it.

    Titles repeat names, and a text's default is the first of its choices. No model adds properties to an object
    unasked, and google-genai takes no schema that forbids it. None crosses bounds that are only plausible. Patterns are
    for programs: where a name does not explain one, the field's description does.
    """
    match key:
        case "title":
            return isinstance(value, str)
        case "description":
            return value is None
        case "default":
            return value is None or isinstance(value, str) or "const" in node
        case "additionalProperties":
            return isinstance(value, bool)
        case "pattern" | "maxLength":
            return True
        case "minLength" | "minItems":
            return value in (0, 1)
        case "minimum" | "exclusiveMinimum":
            return value in (0, 1) or PLAUSIBLE in node
        case "maximum":
            return bool(value >= MOST) or PLAUSIBLE in node
        case _:
            return key in (PLAUSIBLE, NAMES_ONLY)

"""The schemas of all tools, written down: reviewed like code, and read at the start instead of derived.

Deriving them makes pydantic build every model, which an assistant would wait for at each start. Run
`make generate` after changing a tool; a test compares what is written with what the code says.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from .parameters import MOST, PLAUSIBLE

_NAME = "schemas.json"


@cache
def written_schemas() -> dict[str, dict[str, dict[str, Any]]]:
    """Input and output schema by tool."""
    schemas: dict[str, dict[str, dict[str, Any]]] = json.loads(
        files("roadster_tools").joinpath(_NAME).read_text(encoding="utf-8")
    )
    return schemas


def compact(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` as short as it can be with the same meaning to a model.

    A reference is something that not every host resolves, and `null` is how an optional field is left
    out; answers never hold it. A nested class's docstring is for who reads the code: what a model needs
    to know stands with the field. What is left out of the rest is in `_says_nothing`.
    """
    definitions = schema.pop("$defs", {})

    def shorten(node: Any) -> Any:
        if isinstance(node, list):
            return [shorten(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            definition = {**definitions[node["$ref"].rpartition("/")[2]], "description": None}
            return shorten({**definition, **{key: value for key, value in node.items() if key != "$ref"}})
        if "anyOf" in node:
            branches = [branch for branch in node["anyOf"] if branch != {"type": "null"}]
            rest = {key: value for key, value in node.items() if key != "anyOf"}
            if len(branches) == 1:
                return shorten({**branches[0], **rest})
        return {
            key: {name: shorten(part) for name, part in value.items()} if key == "properties" else shorten(value)
            for key, value in node.items()
            if not _says_nothing(key, value, node)
        }

    shortened: dict[str, Any] = shorten(schema)
    return {"additionalProperties": False, **shortened}


def _says_nothing(key: str, value: Any, node: dict[str, Any]) -> bool:
    """Whether a model knows what it should without `key`. All of it is checked all the same.

    Titles repeat names, and a text's default is the first of its choices. That nested objects take no
    other properties is what a model does unasked; so are bounds that nobody would cross. A pattern is
    for programs: where the name does not say it, the description does in words.
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
            return key == PLAUSIBLE

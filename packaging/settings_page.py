"""The reference of the settings: every key of the configuration's models, with what its docstring says."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from roadster_server.settings.sections.callers import RightsSettings
from roadster_server.settings.sections.network import CaBundle
from roadster_server.settings.settings import Settings
from roadster_tools import Access

READ_MORE = {
    "": "[Secrets](../operate/secrets.md#the-file-of-secrets)",
    "roadster": "[Operations of the upstreams](operations.md)",
    "dealers.DPID": "[Add a dealer](../operate/add-a-dealer.md)",
    "dealers.DPID.acknowledge": "[Web hooks](../operate/webhooks.md)",
    "callers.NAME": "[Access](../operate/access.md)",
    "dealer_groups.NAME": "[Access](../operate/access.md#roles-and-groups)",
    "roles.NAME": "[Access](../operate/access.md#roles-and-groups)",
    "identity.NAME": "[People](../operate/people.md)",
    "identity.NAME.people": "[People](../operate/people.md#rules)",
    "disclosures": "[Disclosures](../operate/disclosures.md)",
    "http": "[HTTP](../operate/http.md)",
    "uploads": "[Documents](../use/documents.md)",
    "store": "[Audit](../operate/audit.md#the-store), [Backup and restore](../operate/backup-and-restore.md)",
    "roadie": "[Deliveries](../use/deliveries.md)",
    "mykaarma": "[Customer records](../use/customer-records.md)",
    "webhooks": "[Web hooks](../operate/webhooks.md)",
    "people": "[Pages for people](../operate/pages-for-people.md)",
    "approvals": "[Approvals](../operate/approvals.md)",
    "inventory": "[Inventory](../use/inventory.md)",
    "network": "[Behind a corporate proxy](../operate/corporate-network.md)",
    "replicas": "[Several processes](../operate/deployment.md#several-processes)",
}
"""The page that explains each section."""
PLACEHOLDERS = {"dealers": "DPID"}
"""Placeholders for the name that you choose, other than NAME."""
SECRET = "[secret](../operate/secrets.md)"


@dataclass(frozen=True)
class Key:
    name: str
    values: str
    default: str
    description: str


def sections(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, str, list[Key]]]:
    """Yields each section: its name, what it is, and its keys. A section stands before those inside it."""
    keys, inner = [], []
    docs, annotations = _source(model)
    for name, field in model.model_fields.items():
        section = _model(field.annotation)
        if section is None:
            keys.append(Key(name, _values(field, annotations[name]), _default(field), docs[name]))
        else:
            placeholder = f".{PLACEHOLDERS.get(name, 'NAME')}" if get_origin(field.annotation) is dict else ""
            inner.append((section, f"{prefix}{name}{placeholder}"))
    if keys:
        yield prefix.rstrip("."), inspect.getdoc(model) or "", keys
    for section, name in inner:
        yield from sections(section, f"{name}.")


def settings() -> str:
    """Returns the page's generated part: a heading and a table for each section."""
    parts = []
    for name, description, keys in sections():
        written, what = re.fullmatch(r"(?:(`\[+[^`]*`): )?(.*)", description, re.DOTALL).groups()
        heading = written or "At the top"
        parts.append(f"## {heading}\n\n{what[0].upper()}{what[1:]} Read more: {READ_MORE[name]}.\n\n")
        shared_keys = RightsSettings.model_fields if name == "roles.NAME" else ()
        if shared_keys:
            names = ", ".join(f"`{key.name}`" for key in keys if key.name in shared_keys)
            parts.append(f"It has these keys of a [caller](#callersname), too: {names}.\n\n")
        parts.append("| key | value | default | what it is |\n|---|---|---|---|\n")
        parts += [
            f"| `{key.name}` | {key.values} | {key.default} | {key.description} |\n"
            for key in keys
            if key.name not in shared_keys
        ]
        parts.append("\n")
    return "".join(parts).removesuffix("\n")


def _source(model: type[BaseModel]) -> tuple[dict[str, str], dict[str, str]]:
    """Returns the docstring of each field of `model`, and its annotation as it is written."""
    above = [base for base in model.__bases__ if base is not BaseModel and issubclass(base, BaseModel)]
    docs, annotations = _source(above[0]) if above else ({}, {})
    tree = ast.parse(Path(inspect.getfile(model)).read_text(encoding="utf-8"))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == model.__name__)
    for field, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            annotations[field.target.id] = ast.unparse(field.annotation)
            match following:
                case ast.Expr(ast.Constant(str(text))):
                    docs[field.target.id] = " ".join(text.split())
    return docs, annotations


def _model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation if issubclass(annotation, BaseModel) else None
    return next(filter(None, map(_model, get_args(annotation))), None)


def _values(field: FieldInfo, annotation: str) -> str:
    least = next((each.ge for each in field.metadata if isinstance(each, Ge)), None)
    most = next((each.le for each in field.metadata if isinstance(each, Le)), None)
    if re.search(r"\bSecret\b", annotation):
        return f"list of {SECRET}s" if annotation.startswith("list") else SECRET
    bounds = f" from {least}" * (least is not None) + f" to {most}" * (most is not None)
    return _in_words(field.annotation) + bounds


def _in_words(annotation: Any) -> str:
    arguments = [part for part in get_args(annotation) if part is not NoneType]
    origin = get_origin(annotation)
    if origin is Literal:
        return " or ".join(f'`"{value}"`' for value in arguments)
    if origin is list:
        return f"list of {_in_words(arguments[0])}s"
    if origin is dict:
        return "table"
    if hasattr(annotation, "__metadata__"):  # Annotated
        return _in_words(arguments[0])
    if arguments:
        return " or ".join(map(_in_words, arguments))
    return {bool: "`true` or `false`", int: "number", Path: "path", CaBundle: "path", Access: "level"}.get(
        annotation, "text"
    )


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "computed"
    if field.default is PydanticUndefined:
        return "required"
    if isinstance(field.default, timedelta):
        return f'`"{field.default // timedelta(hours=1)}h"`'
    return "none" if field.default is None else f"`{json.dumps(field.default)}`"

"""Masks one answer of an upstream by the types of its model."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, TypeAdapter, ValidationError

from roadster_client import Reader
from roadster_client.models.dealer_figures import customers_rows
from roadster_client.models.identity_numbers import mask_identity_numbers
from roadster_client.models.personal_data import MASK, PersonalDataClass
from roadster_client.models.personal_text import mask_contact
from roadster_client.models.values import FileContents, WebUrl, decode_file
from roadster_client.refusals import repeatable_words
from roadster_tools.files.files import content_type

# The parts of an annotation that mark a field as withheld, as rows that are withheld in part, as a link and as a file.
_WITHHELD = (*get_args(PersonalDataClass), "dealer")
_ROWS: tuple[Literal["rebates", "incentives"], ...] = ("rebates", "incentives")
_LINK, _FILE = get_args(WebUrl)[1], get_args(FileContents)[1]

_MAGIC = {"application/pdf": b"%PDF-1.4", "image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}

_LONG_NUMBER = re.compile(r"(?<!\w)\+?\(?\d(?:[ ().\-/]{0,3}\d){6,}(?!\w)")
"""A card or telephone number, however it is grouped."""

_DEALER_FIELD = re.compile("dpid|dealer|dealership|dealer(uuid|id)s?(list)?")


def masked_answer(answer_type: Any, json: Any, people: frozenset[str]) -> Any:
    """Returns the answer without personal data and the dealer's own figures.

    Text loses `people` and whatever looks like somebody's number.
    """
    if isinstance(json, dict) and (json.get("errors") or json.get("status") == "error"):
        return _masked_refusal(json)
    return _masked_value(answer_type, json, people)


def is_name(text: str, people: frozenset[str]) -> bool:
    """Returns whether the whole text is the name of one of `people`, in any case."""
    return text.casefold() in {name.casefold() for name in people}


def _masked_value(kind: Any, value: Any, people: frozenset[str]) -> Any:
    """Returns the value of a field whose annotation is `kind`."""
    parts = tuple(_parts(kind))
    match value:
        case list():
            rows = next((customers_rows(part, value) for part in _ROWS if part in parts), value)
            return [_masked_value(kind, item, people) for item in rows]
        case dict():
            model = next((part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)), None)
            return _dealer_ids(value) if model is None else _masked_object(model, value, people)
        case None | "":
            return value
        case _ if _is_withheld(parts):
            return _stand_in(kind, value)
        case bool():
            return value
        case str():
            return _masked_text(parts, value, people)
        case _:
            return value


def _masked_object(model: type[BaseModel], value: Mapping[str, Any], people: frozenset[str]) -> dict[str, Any]:
    fields = {
        field.alias or name: Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        for name, field in model.model_fields.items()
    }
    in_model = {
        # A phone that is no personal data is the dealership's, so it must not be masked as a number in a text.
        name: item
        if name == "phone" and not _is_withheld(tuple(_parts(fields[name])))
        else _masked_value(fields[name], item, people)
        for name, item in value.items()
        if name in fields
    }
    outside_model = _dealer_ids({name: item for name, item in value.items() if name not in fields})
    return {**in_model, **outside_model}


def _is_withheld(parts: tuple[Any, ...]) -> bool:
    return any(part in _WITHHELD for part in parts if isinstance(part, str))


def _stand_in(kind: Any, value: Any) -> Any:
    """Returns what a reader without rights sees: the mask, or None instead of a number and of the dealer's figures."""
    try:
        return TypeAdapter(kind, config={"coerce_numbers_to_str": True}).validate_python(value, context=Reader())
    except ValidationError:
        return MASK


def _masked_text(parts: tuple[Any, ...], text: str, people: frozenset[str]) -> str:
    if _LINK in parts:
        # Whatever follows the host may sign somebody in.
        address = urlsplit(text)
        return f"{address.scheme}://{address.hostname}/{MASK}"
    if _FILE in parts:
        return _file_stand_in(text)
    if str not in parts and re.fullmatch(r"[0-9T:Z.+-]{0,40}", text) is None:
        return MASK  # the documented type is another one, so nobody knows what this text is
    text = mask_identity_numbers(text)
    if " " in text or "@" in text:
        return mask_contact(_LONG_NUMBER.sub(MASK, text), people)
    return MASK if is_name(text, people) else text


def _file_stand_in(contents: str) -> str:
    """Returns a file of the same type, in base64. It holds only the size and the digest of the original."""
    try:
        data = decode_file(contents)
    except ValueError:
        return MASK
    header = _MAGIC.get(content_type(data) or "", b"")
    digest = f"\nnot recorded: {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()[:16]}\n"
    return base64.b64encode(header + digest.encode()).decode()


def _masked_refusal(body: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a documented refusal with the codes and words that a model may read too."""
    result: dict[str, Any] = {}
    if body.get("status") == "error":
        result["status"] = "error"
    error = body.get("error")
    if isinstance(error, str):
        result["error"] = repeatable_words(error) or MASK
    errors = body.get("errors")
    if errors:
        items = errors if isinstance(errors, list) else [errors]
        result["errors"] = [_masked_problem(item) if isinstance(item, dict) else MASK for item in items]
    return result


def _masked_problem(problem: Mapping[str, Any]) -> dict[str, Any]:
    result = {}
    for name in ("code", "errorCode"):
        value = problem.get(name)
        if isinstance(value, int | str) and re.fullmatch(r"\d{1,5}", str(value)):
            result[name] = value
    parameter = problem.get("parameter")
    if isinstance(parameter, str) and re.fullmatch(r"[a-z_]{1,30}([.\[][a-z0-9_]{1,30}\]?){0,5}", parameter):
        words = " ".join(re.findall("[a-z_]+", parameter))
        result["parameter"] = parameter if repeatable_words(words) else MASK
    return result


def _dealer_ids(value: Any) -> Any:
    """Returns the ids of dealers, at any depth, in a value that no model describes."""
    if isinstance(value, list):
        return [ids for ids in map(_dealer_ids, value) if ids]
    if not isinstance(value, dict):
        return {}
    result: dict[str, Any] = {}
    for name, item in value.items():
        names_dealer = _DEALER_FIELD.fullmatch(re.sub("[^a-z]", "", name.lower())) is not None
        if names_dealer and _is_id(item):
            result[name] = item
        elif names_dealer and isinstance(item, dict):
            ids = {key: item[key] for key in ("dpid", "partner_id") if _is_id(item.get(key))}
            result[name] = {**_dealer_ids(item), **ids}
        elif isinstance(item, dict | list) and (ids := _dealer_ids(item)):
            result[name] = ids
    return result


def _is_id(value: Any) -> bool:
    """Returns whether the value looks like an id: one word of letters and digits, or a list of such words."""
    if isinstance(value, list):
        return all(map(_is_id, value))
    return isinstance(value, int | str) and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", str(value)) is not None


def _parts(*annotations: Any) -> Iterator[Any]:
    """Yields all that an annotation is made of, but not the fields of a model in it."""
    for annotation in annotations:
        yield annotation
        yield from _parts(*(get_args(annotation) or getattr(annotation, "__metadata__", ())))

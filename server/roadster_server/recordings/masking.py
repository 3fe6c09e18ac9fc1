"""What of an exchange with an upstream may be kept: everything but a person's data, files, and links that sign in.

The models' own classes decide, so that what is masked in an answer is masked in a recording. What no model names
is left out, but for the ids of dealers, by which a foreign answer is known.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, TypeAdapter, ValidationError

from roadster_client.models.customer_records import CustomerRecord
from roadster_client.models.customers import CustomerCreated, CustomerUpdated
from roadster_client.models.dealers import Dealer, DealerDetails
from roadster_client.models.deliveries import Shipment
from roadster_client.models.documents import Document, DocumentsDeleted, DocumentUploaded
from roadster_client.models.forms import FormsCreated
from roadster_client.models.links import LinkCreated
from roadster_client.models.parts import Received
from roadster_client.models.personal_data import MASK, PersonalDataClass
from roadster_client.models.personal_text import mask_contact, mask_social_security
from roadster_client.models.plans import PlanCatalogue
from roadster_client.models.quotes import Quote
from roadster_client.models.templates import Template, TemplateReceipt
from roadster_client.models.trades import TradeValued
from roadster_client.models.values import FileContents, WebUrl, file_bytes
from roadster_client.models.vehicles import InventoryPage, VehicleDetails
from roadster_client.refusals import repeatable_words
from roadster_client.upstream.exchange import Request


class _DocumentFile(Received):
    contents: FileContents


ANSWERS: Mapping[str, Any] = {
    "list_dealers": tuple[Dealer, ...],
    "get_dealer": DealerDetails,
    "list_inventory": InventoryPage,
    "get_vehicle": VehicleDetails,
    "quote_payments": Quote,
    "list_plans": PlanCatalogue,
    "create_link": LinkCreated,
    "create_customer": CustomerCreated,
    "update_customer": CustomerUpdated,
    "submit_trade_valuation": TradeValued,
    "list_documents": tuple[Document, ...],
    "upload_document": DocumentUploaded,
    "get_document": _DocumentFile,
    "delete_documents": DocumentsDeleted,
    "list_templates": tuple[Template, ...],
    "get_template": Template,
    "get_template_file": FileContents,
    "create_template": TemplateReceipt,
    "create_forms": FormsCreated,
    "create_shipment": Shipment,
    "get_shipment": Shipment,
    "update_shipment": Shipment,
    "cancel_shipment": Shipment,
    "get_customer_record": CustomerRecord,
}
"""What each operation is answered with."""

_CLASSES = get_args(PersonalDataClass)
_LINK, _FILE = get_args(WebUrl)[1], get_args(FileContents)[1]
_SHORTEST = 3
_MAGIC = (b"%PDF-1.4", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_NUMBER = re.compile(r"(?<!\w)\+?\(?\d(?:[ ().\-/]{0,3}\d){6,}(?!\w)")
"""Of a card or a telephone, however it is grouped."""
_QUOTED_OF_A_PERSON = ("credit_score", "zip_code", "payoff")
"""In the request of a quote, which no preview shows, so that the models do not class it."""
_WRITTEN = (
    *("title", "description", "name", "file_name", "formLabel"),
    *("utm_source", "utm_medium", "utm_campaign"),
)
"""Fields of requests that somebody fills in as they like, even with a single word."""
_NAMES = ("first_name", "last_name", "fname", "lname", "name")
_OF_NO_CUSTOMER = frozenset(
    {"list_dealers", "get_dealer", "list_inventory", "get_vehicle", "quote_payments", "list_plans"}
)
"""Operations whose answers tell of dealers and cars alone: there, Ford is no customer."""


class People:
    """Masks the exchanges of one recording, with the names that all of them so far have told."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def learn(self, request: Request) -> None:
        """Remembers whom the request names."""
        self._remember(_personal(request))

    def masked_answer(self, request: Request, json: Any) -> Any:
        """The answer as it may be kept: free of the people of its request, of itself, and of what came before."""
        operation = request.operation.name
        told = list(_hidden(json, _masked_answer(operation, json, frozenset())))
        self._remember(told)
        known = _people_of(request) | {value for _, value in told if len(value) >= _SHORTEST}
        if operation not in _OF_NO_CUSTOMER:
            known |= self._names
        return _masked_answer(operation, json, known)

    def _remember(self, values: Iterable[tuple[str, str]]) -> None:
        for field, value in values:
            if field.rpartition(".")[2] in _NAMES:
                # At an address stands a business, of whose words each is anybody's.
                words = () if field == "address.name" else value.split()
                self._names.update(name for name in (value, *words) if len(name) >= _SHORTEST)


def masked_request(request: Request) -> dict[str, Any]:
    """Method, path, query and body as they may be kept: the same for the same request, whatever came before it."""
    shown = request.shown_to("model")
    if request.content is not None:
        body = _kept("", request.content.wire(), request.content.shown_to("model"), _people_of(request))
        shown["body"] = {**body, **request.dealer}
    return shown


def _personal(request: Request) -> list[tuple[str, str]]:
    if request.content is None:
        return []
    return list(_hidden(request.content.wire(), request.content.shown_to("model")))


def _people_of(request: Request) -> frozenset[str]:
    """The values of the request that say who somebody is, and their words."""
    hidden = {value for _, value in _personal(request)}
    words = hidden | {word for value in hidden for word in value.split()}
    return frozenset(word for word in words if len(word) >= _SHORTEST)


def _masked_answer(operation: str, json: Any, people: frozenset[str]) -> Any:
    if isinstance(json, dict) and (json.get("errors") or json.get("status") == "error"):
        return _refusal(json)
    return _masked(ANSWERS[operation], json, people)


def _hidden(given: Any, shown: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """What is masked in `shown`, with the name of its field and of the object that this is in."""
    if isinstance(given, str) and shown == MASK:
        yield at, given
    elif isinstance(given, dict) and isinstance(shown, dict):
        for name, value in given.items():
            yield from _hidden(value, shown.get(name), f"{at.rpartition('.')[2]}.{name}")
    elif isinstance(given, list) and isinstance(shown, list):
        for value, other in zip(given, shown, strict=False):
            yield from _hidden(value, other, at)


def _kept(name: str, sent: Any, shown: Any, people: frozenset[str]) -> Any:
    """The part of a request that is called `name`. Written text is left out whole: whom it names, nobody knows."""
    match sent:
        case dict():
            return {key: _kept(key, value, shown[key], people) for key, value in sent.items()}
        case list():
            return [_kept(name, *pair, people) for pair in zip(sent, shown, strict=True)]
        case _ if name in _QUOTED_OF_A_PERSON:
            return MASK
        case str() if shown != sent:  # a person's, or a file
            return shown
        case str() if name in _WRITTEN or re.search(r"[\s@]", sent) or _is_one_of(people, sent):
            return MASK
        case _:
            return sent


def _masked(kind: Any, value: Any, people: frozenset[str]) -> Any:
    """`value` as a field of this kind may keep it."""
    parts = tuple(_parts(kind))
    match value:
        case list():
            return [_masked(kind, item, people) for item in value]
        case dict():
            model = next((part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)), None)
            return _dealers_of(value) if model is None else _masked_object(model, value, people)
        case None | "" | bool():
            return value
        case _ if any(part in _CLASSES for part in parts if isinstance(part, str)):
            return _as_shown(kind, value)
        case str():
            return _masked_text(parts, value, people)
        case _:
            return value


def _masked_object(model: type[BaseModel], value: Mapping[str, Any], people: frozenset[str]) -> dict[str, Any]:
    fields = {
        field.alias or name: Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        for name, field in model.model_fields.items()
    }
    known = {
        # A phone of no class is the dealership's.
        name: item if name == "phone" and not _is_personal(fields[name]) else _masked(fields[name], item, people)
        for name, item in value.items()
        if name in fields
    }
    unknown = _dealers_of({name: item for name, item in value.items() if name not in fields})
    return {**known, **unknown}


def _is_personal(kind: Any) -> bool:
    return any(part in _CLASSES for part in _parts(kind) if isinstance(part, str))


def _as_shown(kind: Any, value: Any) -> Any:
    """A person's value as whoever may see none is shown it: masked, and where it is a number, left out."""
    try:
        return TypeAdapter(kind, config={"coerce_numbers_to_str": True}).validate_python(value, context="masked")
    except ValidationError:
        return MASK


def _masked_text(parts: tuple[Any, ...], text: str, people: frozenset[str]) -> str:
    if _LINK in parts:
        # What follows the host may sign in whoever opens it.
        address = urlsplit(text)
        return f"{address.scheme}://{address.hostname}/{MASK}"
    if _FILE in parts:
        return _stand_in(text)
    if str not in parts and re.fullmatch(r"[0-9T:Z.+-]{0,40}", text) is None:
        return MASK  # of another type than documented: nobody knows what it is
    return _free_text(text, people)


def _free_text(text: str, people: frozenset[str]) -> str:
    """`text` without the people and, where it is written text, without what looks like somebody's."""
    if " " in text or "@" in text:
        text = _NUMBER.sub(MASK, mask_social_security(text))
        return mask_contact(text, people)
    return MASK if _is_one_of(people, text) else text


def _is_one_of(people: frozenset[str], text: str) -> bool:
    return text.casefold() in {value.casefold() for value in people}


def _stand_in(contents: str) -> str:
    """A file of the same type that holds nothing but a mark of its own, in base64."""
    try:
        data = file_bytes(contents)
    except ValueError:
        return MASK
    begins = next((magic for magic in _MAGIC if data[:3] == magic[:3]), b"")
    mark = f"\nnot recorded: {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()[:16]}\n"
    return base64.b64encode(begins + mark.encode()).decode()


def _refusal(body: Mapping[str, Any]) -> dict[str, Any]:
    """A documented refusal, of whose texts those alone are kept that are told, too."""
    kept: dict[str, Any] = {}
    if body.get("status") == "error":
        kept["status"] = "error"
    error = body.get("error")
    if isinstance(error, str):
        kept["error"] = repeatable_words(error) or MASK
    errors = body.get("errors")
    if errors:
        listed = errors if isinstance(errors, list) else [errors]
        kept["errors"] = [_problem(each) if isinstance(each, dict) else MASK for each in listed]
    return kept


def _problem(given: Mapping[str, Any]) -> dict[str, Any]:
    kept = {}
    for name in ("code", "errorCode"):
        value = given.get(name)
        if isinstance(value, int | str) and re.fullmatch(r"\d{1,5}", str(value)):
            kept[name] = value
    parameter = given.get("parameter")
    if isinstance(parameter, str) and re.fullmatch(r"[a-z_]{1,30}([.\[][a-z0-9_]{1,30}\]?){0,5}", parameter):
        words = " ".join(re.findall("[a-z_]+", parameter))
        kept["parameter"] = parameter if repeatable_words(words) else MASK
    return kept


_DEALER = re.compile("dpid|dealer|dealership|dealer(uuid|id)s?(list)?")


def _dealers_of(value: Any) -> Any:
    """Of what no model names, the ids of dealers at any depth."""
    if isinstance(value, list):
        return [kept for kept in map(_dealers_of, value) if kept]
    if not isinstance(value, dict):
        return {}
    found: dict[str, Any] = {}
    for name, item in value.items():
        names_dealer = _DEALER.fullmatch(re.sub("[^a-z]", "", name.lower())) is not None
        if names_dealer and _is_id(item):
            found[name] = item
        elif names_dealer and isinstance(item, dict):
            ids = {key: item[key] for key in ("dpid", "partner_id") if _is_id(item.get(key))}
            found[name] = {**_dealers_of(item), **ids}
        elif isinstance(item, dict | list) and (kept := _dealers_of(item)):
            found[name] = kept
    return found


def _is_id(value: Any) -> bool:
    """Letters and digits in one word, or a list of such: no name, address or number of a person's looks like it."""
    if isinstance(value, list):
        return all(map(_is_id, value))
    return isinstance(value, int | str) and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", str(value)) is not None


def _parts(*annotations: Any) -> Iterator[Any]:
    """All that an annotation is made of, but for what a model in it is made of."""
    for annotation in annotations:
        yield annotation
        yield from _parts(*(get_args(annotation) or getattr(annotation, "__metadata__", ())))

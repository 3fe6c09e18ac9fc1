"""Masks the requests and answers of a recording.

A recording holds no personal data, no files and no links that sign somebody in. The types in the client's models
decide what is personal, so a recording masks what an answer to a model masks, and more:

- Written text in a request becomes `***` as a whole, because nobody knows whom it names.
- Names of people, once any exchange has held them, are masked in the text of all later answers.
- A field that no model has is left out, unless it holds the id of a dealer. Those ids stay, so that a replay of
  another dealer's answer is refused as the answer was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from roadster_client.models.personal_data import MASK
from roadster_client.upstream.exchange import Request

from .answers import is_name, masked_answer

_SHORTEST_NAME = 3
"""Characters. Shorter words are too often something else."""

_NAME_FIELDS = ("first_name", "last_name", "fname", "lname", "name")

_UNCLASSED_FIELDS = ("credit_score", "zip_code", "payoff")
"""A person's data in the request of a quote. The models do not class them, because no preview shows them."""

_WRITTEN_FIELDS = (
    *("title", "description", "name", "file_name", "formLabel"),
    *("utm_source", "utm_medium", "utm_campaign"),
)
"""Fields of requests in which people write what they like. Even a single word may be a name there."""

_WITHOUT_CUSTOMERS = frozenset(
    {"list_dealers", "get_dealer", "list_inventory", "get_vehicle", "quote_payments", "list_plans"}
)
"""Answers about cars and dealers. Known names are not masked in them, because "Ford" is a make there."""


class ExchangeMask:
    """Masks the exchanges of one recording, and remembers the names of people in them."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def learn(self, request: Request) -> None:
        """Remembers the people whom the request names."""
        self._remember(_personal_values(request))

    def masked_answer(self, request: Request, json: Any) -> Any:
        """Returns the answer without the people of its request, of itself and of earlier exchanges."""
        operation = request.operation
        in_answer = list(_masked_values(json, masked_answer(operation.answer_type, json, frozenset())))
        self._remember(in_answer)
        people = _people_of(request) | {value for _, value in in_answer if len(value) >= _SHORTEST_NAME}
        if operation.name not in _WITHOUT_CUSTOMERS:
            people |= self._names
        return masked_answer(operation.answer_type, json, people)

    def _remember(self, values: Iterable[tuple[str, str]]) -> None:
        for field, value in values:
            if field.rpartition(".")[2] in _NAME_FIELDS:
                # The name at an address is a business. Its single words are no names.
                words = () if field == "address.name" else value.split()
                self._names.update(name for name in (value, *words) if len(name) >= _SHORTEST_NAME)


def masked_request(request: Request) -> dict[str, Any]:
    """Returns method, path, query and body. Equal requests give equal results, whatever was recorded before."""
    result = request.shown_to("model")
    if request.content is not None:
        wire, preview = request.content.wire(), request.content.shown_to("model")
        result["body"] = {**_masked_part("", wire, preview, _people_of(request)), **request.dealer}
    return result


def _masked_part(name: str, value: Any, preview: Any, people: frozenset[str]) -> Any:
    """Returns the part of a request's body that is called `name`. `preview` is the same part as a model sees it."""
    match value:
        case dict():
            return {key: _masked_part(key, item, preview[key], people) for key, item in value.items()}
        case list():
            return [_masked_part(name, *pair, people) for pair in zip(value, preview, strict=True)]
        case _ if name in _UNCLASSED_FIELDS:
            return MASK
        case str() if preview != value:  # personal data, or a file
            return preview
        case str() if name in _WRITTEN_FIELDS or re.search(r"[\s@]", value) or is_name(value, people):
            return MASK
        case _:
            return value


def _people_of(request: Request) -> frozenset[str]:
    """Returns the values of the request that say who somebody is, and their words."""
    values = {value for _, value in _personal_values(request)}
    words = values | {word for value in values for word in value.split()}
    return frozenset(word for word in words if len(word) >= _SHORTEST_NAME)


def _personal_values(request: Request) -> list[tuple[str, str]]:
    """Returns the personal data in the body, each with the name of its field and of the object around it."""
    if request.content is None:
        return []
    return list(_masked_values(request.content.wire(), request.content.shown_to("model")))


def _masked_values(original: Any, copy: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yields each value that is masked in `copy`, with the name of its field and of the object around it."""
    if isinstance(original, str) and copy == MASK:
        yield path, original
    elif isinstance(original, dict) and isinstance(copy, dict):
        for name, value in original.items():
            yield from _masked_values(value, copy.get(name), f"{path.rpartition('.')[2]}.{name}")
    elif isinstance(original, list) and isinstance(copy, list):
        for value, other in zip(original, copy, strict=False):
            yield from _masked_values(value, other, path)

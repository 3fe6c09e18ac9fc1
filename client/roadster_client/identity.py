"""Reads the ids of answers and events, and finds those that name a dealer.

Programs write one id in several ways: as a number, as a number with a point, or as text with blanks around it. All of
these are read here, so that a check never takes an own id for another one, or another one for an own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from .models.values import UUID_PATTERN

_EXACT_FLOATS = 2**53
"""Above it a float stands for several integers."""

_BLANKS = " \t\r\n"
"""Only these: with an invisible character, an id is another one."""

_WRITTEN_NUMBER = re.compile(r"0*([0-9]{1,18})(?:\.0+)?")
"""A UUID may have only digits too, and many more of them."""

Leaf = tuple[tuple[str, ...], Any]
"""A value that is no object and no list, after the names of the fields that it stands in, as small letters only."""


def read_whole(value: Any) -> Any:
    """Returns 77 for 77.0, because some programs write every number with a point, and None for any other float.

    Returns every other value as it is.
    """
    if not isinstance(value, float):
        return value
    return int(value) if value.is_integer() and abs(value) < _EXACT_FLOATS else None


def read_id(value: Any) -> str | None:
    """Returns an id as text without blanks around it, and None where the value is none."""
    match read_whole(value):
        case bool():
            return None
        case int() as number:
            return str(number)
        case str() as text:
            return text.strip(_BLANKS) or None
        case _:
            return None


def read_number_id(value: Any) -> str | None:
    """Returns an id that the documents show as a number. Its texts "0123" and "123.0" are 123 too."""
    text = read_id(value)
    number = _WRITTEN_NUMBER.fullmatch(text or "")
    return number[1] if number else text


def comparable_id(value: Any) -> str:
    """Returns the same text for all spellings of an id, also those in other letters.

    A value of another kind has a text that no id has.
    """
    return (read_number_id(value) or str(value).strip(_BLANKS)).lower()


def is_number_id(value: Any) -> bool:
    """Returns whether the value is a number, or the text of one."""
    return _WRITTEN_NUMBER.fullmatch(comparable_id(value)) is not None


@lru_cache(maxsize=4096)
def plain_name(name: str) -> str:
    """Returns a field's name in small letters, without digits and punctuation."""
    return re.sub("[^a-z]", "", name.lower())


def leaves(json: Any, above: tuple[str, ...] = (), skip: Callable[[str], bool] = lambda _name: False) -> Iterator[Leaf]:
    """Yields all values at any depth, also of fields that no model reads, except those in fields that `skip` names."""
    unseen: list[Leaf] = [(above, json)]
    while unseen:
        fields, node = unseen.pop()
        if isinstance(node, list):
            unseen += ((fields, each) for each in node)
        elif isinstance(node, dict):
            names = ((plain_name(name), value) for name, value in node.items())
            unseen += (((*fields, name), value) for name, value in names if not skip(name))
        elif fields:
            yield fields, node


_DEALER_FIELD = re.compile("dealer(?!order|associate)|rooftop")
"""In myKaarma's document, `dealerOrder` and `dealerAssociate` are an order and an employee with ids of their own."""

_ID_FIELD = re.compile("(id|uuid)s?(list)?$")
_INSTEAD_OF_ID_FIELD = re.compile(
    "(dealer|ship|rooftop|info|data|details?|(?<!phone)(?<!fax)number|(?<!zip)(?<!postal)code)s?(list)?$"
)


def is_dealer_id(fields: tuple[str, ...], value: Any) -> bool:
    """Returns whether the value of a leaf identifies a dealer.

    It does so in an id field of a dealer or below one. A number or a UUID does so too, in a field that can stand
    instead of an id. A dealer's name, telephone number and zip code do not.
    """
    if isinstance(value, bool) or not any(map(_DEALER_FIELD.search, fields)):
        return False
    if _ID_FIELD.search(fields[-1]):
        return True
    is_id = is_number_id(value) or re.fullmatch(UUID_PATTERN, str(value))
    return bool(is_id and _INSTEAD_OF_ID_FIELD.search(fields[-1]))


@lru_cache(maxsize=4096)
def _names_dealer(name: str) -> bool:
    return name == "dpid" or _DEALER_FIELD.search(name) is not None


_MOST_OTHER_NAMES = 4096
_other_names: set[str] = set()
"""Names of fields that are not named after a dealer. Most objects have no others, and that is seen at once."""


def dealer_ids(node: Mapping[str, Any]) -> Iterator[str]:
    """Yields the values of one object that may identify a dealer, as `comparable_id` writes them.

    They stand in a field that is named after a dealer, or in objects below it. Objects in there with such a field are
    left to a call of their own, and so are those of other things: a dealer's fee has an id of its own.
    """
    for name in [name for name in node if name not in _other_names]:
        field = plain_name(name)
        if not _names_dealer(field):
            if len(_other_names) >= _MOST_OTHER_NAMES:
                _other_names.clear()  # by names that come only once, such as ids
            _other_names.add(name)
            continue
        for fields, leaf in leaves(node[name], (field,), _is_of_another_thing):
            if _may_hold_id(fields[-1]):
                yield comparable_id(leaf)


@lru_cache(maxsize=4096)
def _may_hold_id(name: str) -> bool:
    return any(pattern.search(name) for pattern in (_ID_FIELD, _INSTEAD_OF_ID_FIELD))


@lru_cache(maxsize=4096)
def _is_of_another_thing(name: str) -> bool:
    return _names_dealer(name) or not _may_hold_id(name)

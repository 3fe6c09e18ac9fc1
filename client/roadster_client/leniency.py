"""Reads an answer although a field of it is odd.

The shapes of answers are inferred from documents, so an upstream will send values that no model expects. One of them
must not hide the rest. A value that cannot be read is left out and counted. An object that lacks what identifies it is
left out whole: a row of its list, or the field that it stands in. Null, and a blank text where no text belongs, say
"nothing" in other words, so they are not counted, except in a field that is the subject of the answer, and as a row.

A row is an object of a list, or what stands in its place. An item of a list of plain values is no row: its list is the
field that lacks something.

Only what an answer cannot do without is an error: its own id, or the content that the call asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from .visible_text import is_absent

_ValueT = TypeVar("_ValueT")

UNIDENTIFIED = "unidentified"
"""The type of a validator's error for a value that its object must not be read without."""

SUBJECT = "subject"
"""The mark of a field that an answer is about. Where it is missing, null or an object without a value, it counts as
left out, because a caller would take the answer for "there is none"."""

_NO_OBJECT = ("model_type", "model_attributes_type")
"""The types of a validator's error for a value that stands in the place of an object."""

_MOST_ROUNDS = 16
"""Each round leaves out at least one value of each odd object, and models are at most seven deep."""

_MOST_PROBLEMS = 10_000
"""Values of one answer. Each problem takes some hundred bytes, and an answer with more has another shape altogether."""


class LeftOut(NamedTuple):
    """Values that were left out of answers of one operation, at one place.

    `path` has the names that the models give to fields, and `*` for each row of a list. It holds nothing that an
    upstream said.
    """

    operation: str
    path: str

    @property
    def is_row(self) -> bool:
        return self.path.endswith("*")


OnLeftOut = Callable[[Counter[LeftOut]], None]
"""Runs with what was left out of an answer, and how many values of each."""


def ignore_left_out(left_out: Counter[LeftOut]) -> None:
    """Does nothing, for an answer that no caller sees."""


def read_leniently(
    adapter: TypeAdapter[_ValueT], json: Any, context: Any, operation: str, on_left_out: OnLeftOut
) -> _ValueT:
    """Returns `json` as the adapter's type, without the values that cannot be read.

    Changes the lists and objects of `json`. Raises ValidationError where nothing of it can be read.
    """
    pruning: _Pruning | None = None
    for _ in range(_MOST_ROUNDS):
        try:
            value = adapter.validate_python(json, context=context)
        except ValidationError as error:
            pruning = pruning or _Pruning(json, operation)
            if error.error_count() > _MOST_PROBLEMS or not pruning.leave_out(error):
                raise
        else:
            counts = pruning.counts() if pruning is not None else Counter()
            # The larger count of each, because a subject that could not be read is now missing too.
            counts |= Counter(LeftOut(operation, path) for path in _missing_subjects(value))
            if counts:
                on_left_out(counts)
            return value
    raise ValueError("every round left something out")


def _missing_subjects(value: Any, path: str = "") -> Iterator[str]:
    """Yields the path of each subject that the value lacks."""
    if isinstance(value, tuple):
        for item in value:
            yield from _missing_subjects(item, f"{path}*.")
    elif isinstance(value, BaseModel):
        for name in _fields_to_subjects(type(value)):
            field, part = type(value).model_fields[name], getattr(value, name)
            place = f"{path}{field.alias or name}"
            if SUBJECT in field.metadata and (name not in value.model_fields_set or _says_nothing(part)):
                yield place
            else:
                yield from _missing_subjects(part, f"{place}.")


def _says_nothing(value: Any) -> bool:
    is_object = isinstance(value, BaseModel)
    return value is None or (is_object and all(getattr(value, name) is None for name in value.model_fields_set))


@cache
def _fields_to_subjects(model: type[BaseModel]) -> tuple[str, ...]:
    """Returns the fields of the model that are subjects, or that have some at any depth."""
    return tuple(
        name
        for name, field in model.model_fields.items()
        if SUBJECT in field.metadata or any(map(_fields_to_subjects, _models_in(field.annotation)))
    )


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


class _Spot(NamedTuple):
    """The place of a value: the lists and objects around it, the outermost first, and its key in the last of them."""

    around: tuple[Any, ...]
    key: Any
    path: str

    @property
    def id(self) -> tuple[int, Any]:
        return id(self.around[-1]), self.key

    @property
    def value(self) -> Any:
        return self.around[-1][self.key]

    @property
    def counts(self) -> bool:
        return self.path.endswith("*") or not is_absent(self.value)


class _Pruning:
    """Leaves values out of a JSON document, and counts them. A value inside another one that is left out is not."""

    def __init__(self, json: Any, operation: str) -> None:
        self._json = json
        self._operation = operation
        self._spots: list[_Spot] = []
        """The spots that count."""
        self._containers: dict[int, Any] = {}
        """The lists and objects that were left out, by id. It holds them, so that no other object gets the same id."""

    def counts(self) -> Counter[LeftOut]:
        spots = (spot for spot in self._spots if not any(id(each) in self._containers for each in spot.around))
        return Counter(LeftOut(self._operation, spot.path) for spot in spots)

    def leave_out(self, error: ValidationError) -> bool:
        """Leaves out the values that the error is about. Returns False where one of them is the whole document."""
        spots = list(self._spots_of(error))
        if None in spots:
            return False
        # Found before any is left out, because a spot may be inside another one.
        different = {spot.id: spot for spot in spots if spot is not None}.values()
        self._spots += [spot for spot in different if spot.counts]
        self._containers |= {id(spot.value): spot.value for spot in different if isinstance(spot.value, list | dict)}
        _remove(different)
        return True

    def _spots_of(self, error: ValidationError) -> Iterator[_Spot | None]:
        for problem in error.errors(include_url=False, include_context=False, include_input=False):
            location = problem["loc"]
            lacks_part = problem["type"] in ("missing", UNIDENTIFIED)
            if lacks_part:
                location = location[:-1]  # the object that lacks it
            yield self._spot(location, is_object=lacks_part or problem["type"] in _NO_OBJECT)

    def _spot(self, location: tuple[int | str, ...], *, is_object: bool) -> _Spot | None:
        """Returns the spot at a location that pydantic gives, or None where it is the whole document."""
        around: list[Any] = []
        key: Any = None
        node: Any = self._json
        for part in location:
            # One object may stand for a list of one. Then its index is in the location, and not in the document.
            if (type(node), type(part)) in ((dict, str), (list, int)):
                around.append(node)
                key, node = part, node[part]
        if not around:
            return None
        # The path of a plain item is its list's. One object that stands for a list of one has the path of a row.
        is_plain_item = not is_object and isinstance(location[-1], int)
        names = location[:-1] if is_plain_item else location
        path = ".".join("*" if isinstance(part, int) else part for part in names)
        return _Spot(tuple(around), key, path)


def _remove(spots: Iterable[_Spot]) -> None:
    # From the end of a list, because each removal moves what comes after it.
    for spot in sorted(spots, key=lambda spot: spot.key if isinstance(spot.key, int) else -1, reverse=True):
        del spot.around[-1][spot.key]

"""Names that an error proposes instead of a wrong one: few, and short, however many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice

MOST_CHOICES = 10
"""Names in one text."""
_MOST_CHARACTERS = 600
"""Characters of the names in one text."""
_LONGEST_TYPED = 200
"""Characters. A caller may send a megabyte in the place of a name, and comparing it would take a while."""
_SHORTEST_PART = 3
"""Characters. Shorter text is a part of too many names."""
_MOST_COMPARED = 20
"""Spellings. A comparison takes about 40 µs, and 3,000 of them would keep all other calls waiting."""
_MOST_LOOKED_AT = 3000
"""Entries of the index for one search."""


def name_choices(names: Sequence[str], typed: str | None = None) -> str:
    """Returns what to choose from: all of a few names, or of many the number and those spelled like `typed`."""
    if len(names) <= MOST_CHOICES:
        return f"one of {some_of(names)}"
    near = [] if typed is None else near_names(names, typed)
    return f"one of {len(names):,} names{f'; near spellings: {some_of(near)}' if near else ''}"


def some_of(names: Sequence[str]) -> str:
    """Returns the first ten names, or fewer if they are long, and how many more there are."""
    room = _MOST_CHARACTERS
    first: list[str] = []
    for name in names[:MOST_CHOICES]:
        room -= len(name)
        if room < 0:
            break
        first.append(name)
    more = len(names) - len(first)
    return f"{', '.join(first)} and {more} more" if first and more else ", ".join(first) or f"{more} with long names"


def near_names(names: Sequence[str], typed: str) -> list[str]:
    """Returns at most ten names: those of a similar spelling, then those that contain `typed`. Case does not count.

    Of more than twenty names only those are compared that share rare parts with `typed`, however many there are.
    """
    if len(typed) > _LONGEST_TYPED:
        return []
    spelling = typed.strip().casefold()
    index = _index(tuple(names))
    similar = [*get_close_matches(spelling, index.alike(spelling), MOST_CHOICES), *index.containing(spelling)]
    return [name for near in dict.fromkeys(similar) for name in index.names[near]][:MOST_CHOICES]


class _Index:
    """Finds spellings by their parts of three characters."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names: dict[str, list[str]] = {}
        """The names by their spelling without case."""
        for name in names:
            self.names.setdefault(name.casefold(), []).append(name)
        self._by_part: dict[str, list[str]] = {}
        for spelling in self.names:
            for part in _parts(f"  {spelling} "):
                self._by_part.setdefault(part, []).append(spelling)

    def alike(self, text: str) -> list[str]:
        """Returns the spellings that share the most parts with `text`, where the rare parts count."""
        if len(self.names) <= _MOST_COMPARED:
            return [*self.names]
        counts = Counter[str]()
        room = _MOST_LOOKED_AT
        for spellings in self._with_parts(f"  {text} "):
            counts.update(islice(spellings, room))
            room -= len(spellings)
            if room <= 0:
                break
        return [spelling for spelling, _ in counts.most_common(_MOST_COMPARED)]

    def containing(self, text: str) -> Iterator[str]:
        """Yields spellings that contain `text`. Each of them has all of its parts, so also the rarest one."""
        if len(text) >= _SHORTEST_PART:
            rarest = self._with_parts(text)[0]
            yield from (spelling for spelling in islice(rarest, _MOST_LOOKED_AT) if text in spelling)

    def _with_parts(self, text: str) -> list[list[str]]:
        """Returns for each part of `text` the spellings that have it, the rarest part first."""
        return sorted((self._by_part.get(part, []) for part in _parts(text)), key=len)


def _parts(text: str) -> list[str]:
    """Returns the parts of three characters, each once."""
    places = range(len(text) - _SHORTEST_PART + 1)
    return [*dict.fromkeys(text[place : place + _SHORTEST_PART] for place in places)]


@lru_cache(maxsize=16)
def _index(names: tuple[str, ...]) -> _Index:
    """Returns the index of the names. It is kept: to make it for 3,000 names takes as long as some hundred searches."""
    return _Index(names)

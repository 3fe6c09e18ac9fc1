"""Names that an error proposes instead of a wrong one: few, and short, however many there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

MOST_CHOICES = 10
"""Names in one text."""
_MOST_CHARACTERS = 600
"""Characters of the names in one text."""
_LONGEST_TYPED = 200
"""Characters. A caller may send a megabyte in the place of a name, and comparing it would take a while."""
_SHORTEST_PART = 3
"""Characters. Shorter text is a part of too many names."""


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
    """Returns at most ten names: those of a similar spelling, then those that contain `typed`. Case does not count."""
    if len(typed) > _LONGEST_TYPED:
        return []
    spelling = typed.strip().casefold()
    spellings: dict[str, list[str]] = {}
    for name in names:
        spellings.setdefault(name.casefold(), []).append(name)
    similar = [*get_close_matches(spelling, spellings, MOST_CHOICES), *_containing(spellings, spelling)]
    return [name for near in dict.fromkeys(similar) for name in spellings[near]][:MOST_CHOICES]


def _containing(spellings: dict[str, list[str]], part: str) -> Iterator[str]:
    if len(part) >= _SHORTEST_PART:
        yield from (spelling for spelling in spellings if part in spelling)

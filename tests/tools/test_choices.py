"""The names that an error proposes: few, short, and only from the list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadster_tools import MOST_CHOICES, name_choices

NAMES = st.lists(st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=300), max_size=40)


@given(NAMES, st.none() | st.text(max_size=1000))
def test_choices_are_short_and_only_from_the_list(names: list[str], typed: str | None) -> None:
    text = name_choices(names, typed)
    assert len(text) <= 700
    if len(names) > MOST_CHOICES:
        near = text.partition("near spellings: ")[2].partition(" and ")[0]
        assert {*filter(None, near.split(", "))} <= {*names} or "long names" in near
        assert len(near.split(", ")) <= MOST_CHOICES


def test_a_few_names_are_all_shown() -> None:
    assert name_choices(["umazda", "hyundaidemo"], "anything") == "one of umazda, hyundaidemo"


@pytest.mark.parametrize("typed", ["MAZDA-0017", " mazda-0017", "mazda0017", "a-0017", "mazda-0017b"])
def test_of_many_names_those_spelled_alike_are_shown(typed: str) -> None:
    text = name_choices([f"mazda-{number:04}" for number in range(3000)], typed)
    assert text.startswith("one of 3,000 names; near spellings: ")
    assert "mazda-0017" in text
    assert text.count("mazda-") <= MOST_CHOICES
    assert "mazda" not in name_choices([f"mazda-{number:04}" for number in range(3000)], "toyota")

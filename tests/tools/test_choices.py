"""The names that an error proposes: few, short, and only from the list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadster_tools import MOST_CHOICES, choices, name_choices

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


TOWNS = ("springfield", "riverside", "franklin", "bristol", "clinton", "salem", "madison", "oxford", "milton", "hudson")
MAKES = ("mazda", "hyundai", "toyota", "honda", "ford", "kia", "bmw", "audi", "subaru", "lexus", "volvo", "jeep")
DEALERS = [f"{town}{make}{number}" for town in TOWNS for make in MAKES for number in range(25)]


@given(st.sampled_from(DEALERS), st.integers(1, 10), st.sampled_from(["left out", "doubled", "swapped", "wrong"]))
def test_a_slip_of_the_pen_is_found_among_thousands_of_names(dealer: str, place: int, slip: str) -> None:
    place = min(place, len(dealer) - 1)
    before, letter, after = dealer[:place], dealer[place], dealer[place + 1 :]
    typed = {
        "left out": f"{before}{after}",
        "doubled": f"{before}{letter}{letter}{after}",
        "swapped": f"{before}{after[:1]}{letter}{after[1:]}",
        "wrong": f"{before}q{after}",
    }[slip]
    near = name_choices(DEALERS, typed).partition("near spellings: ")[2].split(", ")
    assert dealer.rstrip("0123456789") in {name.rstrip("0123456789") for name in near}


def test_a_search_compares_few_of_many_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison takes so long that 3,000 of them kept all other calls waiting."""
    compared: list[int] = []

    def count(_typed: str, names: list[str], *_: object) -> list[str]:
        compared.append(len(names))
        return []

    monkeypatch.setattr(choices, "get_close_matches", count)
    for typed in ("springfieldmazda7", "s", "mazda", "x" * 200, "springfieldmazda" * 12):
        name_choices(DEALERS, typed)
    assert max(compared) <= 20

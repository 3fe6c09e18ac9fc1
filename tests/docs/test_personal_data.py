"""docs/operate/personal-data.md says which numbers are masked: each example in its two tables is tried."""

from __future__ import annotations

import re

import pytest

from roadster_client.models.identity_numbers import mask_identity_numbers

from .pages import page, rows

_PAGE = page("operate/personal-data.md")


def _examples(heading: str) -> list[str]:
    cells = [written for written, _ in rows(_PAGE, heading)]
    return [example.replace(r"\n", "\n") for cell in cells for example in re.findall("`(.+?)`", cell)]


@pytest.mark.parametrize("example", _examples("### Which numbers are masked"))
def test_number_is_masked(example: str) -> None:
    assert not any(map(str.isdigit, mask_identity_numbers(f"I wrote {example}, thanks")))


@pytest.mark.parametrize("example", _examples("### Which numbers are not"))
def test_number_stays(example: str) -> None:
    assert mask_identity_numbers(f"I wrote {example}, thanks") == f"I wrote {example}, thanks"

"""A sandbox in the process of the test."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import pytest

import roadster_sandbox
from roadster_sandbox import EmbeddedSandbox


@pytest.mark.anyio
async def test_example_of_the_package_works() -> None:
    """Runs the example of the docstring, which begins with the line that makes a sandbox."""
    example = re.search(r"^    sandbox = .*?(?=\n\n)", roadster_sandbox.__doc__ or "", re.MULTILINE | re.DOTALL)
    assert example is not None
    lines = textwrap.indent(textwrap.dedent(example[0]), "    ")
    names: dict[str, Any] = {}
    exec(f"import httpx2\nfrom roadster_sandbox import *\nasync def example():\n{lines}", names)
    await names["example"]()


def test_fault_names_the_valid_operations_and_kinds() -> None:
    sandbox = EmbeddedSandbox()
    with pytest.raises(ValueError, match="unknown operation; there are: list_dealers, "):
        sandbox.fault("sell_car", "html")
    with pytest.raises(ValueError, match="unknown fault; there are: status, "):
        sandbox.fault("*", "earthquake")


@pytest.mark.parametrize(
    ("fields", "mistake"),
    [
        ({"colour": "blue"}, "colour: there is no such field"),
        ({"dealer": "nobody"}, "dealer: expected 'umazda', 'hyundaidemo' or 'toyotademo'"),
        ({"customer_id": 0}, "customer_id: expected greater than 0"),
        ({"customer_id": "abc"}, "customer_id: expected a valid integer, unable to parse string as an integer"),
        ({"event": {}, "type": "x", "message": "y"}, "event is sent as it is: leave out type, message, or write it"),
    ],
)
def test_mistake_in_an_event_is_one_plain_sentence(fields: dict[str, Any], mistake: str) -> None:
    with pytest.raises(ValueError, match=re.escape(mistake)) as error:
        EmbeddedSandbox().make_event(**fields)
    assert type(error.value) is ValueError
    assert "\n" not in str(error.value)


def test_mistake_in_a_fault_is_one_plain_sentence() -> None:
    with pytest.raises(ValueError, match=r"^times: expected greater than or equal to 1$"):
        EmbeddedSandbox().fault("*", "html", times=0)
    with pytest.raises(ValueError, match=r"^stauts: there is no such field$"):
        EmbeddedSandbox().fault("*", "status", stauts=500)


def test_state_and_requests_are_copies() -> None:
    sandbox = EmbeddedSandbox()
    sandbox.state()["customers"].append({})
    sandbox.requests().append({})
    assert sandbox.state()["customers"] == []
    assert sandbox.requests() == []

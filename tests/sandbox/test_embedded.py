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


def test_state_and_requests_are_copies() -> None:
    sandbox = EmbeddedSandbox()
    sandbox.state()["customers"].append({})
    sandbox.requests().append({})
    assert sandbox.state()["customers"] == []
    assert sandbox.requests() == []

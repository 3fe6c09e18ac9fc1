"""Imports go one way: server to tools to client, server to prompts and sandbox, sandbox to the client's operations."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT

ALLOWED = {
    "client": set(),
    "tools": {"roadster_client"},
    "prompts": set(),
    "sandbox": {"roadster_client"},
    "server": {"roadster_client", "roadster_tools", "roadster_prompts", "roadster_sandbox"},
    "evals": {"roadster_server", "roadster_tools", "roadster_sandbox", "roadster_client"},
}


def imported(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


@pytest.mark.parametrize("root", ALLOWED)
def test_a_package_imports_only_what_lies_below_it(root: str) -> None:
    """Also within functions; the pytest plugin of the sandbox names the server's as text, for pytest to import."""
    own = f"roadster_{root}"
    modules = sorted((PROJECT / root / own).rglob("*.py"))
    found = {
        (str(module.relative_to(PROJECT)), name)
        for module in modules
        for name in imported(module)
        if name.startswith("roadster_") and name.partition(".")[0] not in {own, *ALLOWED[root]}
    }
    assert modules
    assert found == set()

"""Imports go one way: between packages, between the rooms of the server, and between files, where none may loop.

Imports inside functions and behind `TYPE_CHECKING` count as well: they hide a loop, they do not undo it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import PROJECT

PACKAGES: dict[str, set[str]] = {
    "client": set(),
    "tools": {"client"},
    "prompts": set(),
    "sandbox": {"client"},
    "server": {"client", "tools", "prompts", "sandbox"},
    "evals": {"client", "tools", "sandbox", "server"},
}
"""What each source root may import."""

FLOORS: dict[str, tuple[set[str], ...]] = {
    "roadster_server": (
        {"telemetry", "store", "plain_files", "turns"},
        {"settings", "replicas", "stored", "inventory", "request_body"},
        {"calls", "events", "identity", "recordings", "sandbox", "uploads"},
        {"protocol", "runtime", "people"},
        {"backend", "pytest_plugin"},
        {"transports"},
        {"cli"},
        {"__main__"},
    ),
    "roadster_evals": (
        {"language", "usage"},
        {"scenario_files"},
        {"people", "agents"},
        {"grading"},
        {"runs"},
        {"reports"},
        {"harness", "listing", "commands"},
        {"__main__"},
    ),
}
"""The rooms of a package, floor by floor. A room imports rooms of lower floors only, and none of its own floor."""


def name_of(file: Path, root: str) -> str:
    """Returns the dotted name of the module, that of the package for its `__init__.py`."""
    parts = file.relative_to(PROJECT / root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file, root): file for root in PACKAGES for file in sorted((PROJECT / root).rglob("*.py"))}


def imports_of(module: str) -> Iterator[str]:
    """Yields the project's modules that `module` imports anywhere in its text."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*parents, *([node.module] if node.module else [])])
            targets = [name if (name := f"{source}.{alias.name}") in MODULES else source for alias in node.names]
        else:
            continue
        yield from (target for target in targets if target.startswith("roadster_") and target != module)


IMPORTS = {module: set(imports_of(module)) for module in MODULES}


@pytest.mark.parametrize("root", PACKAGES)
def test_package_imports_only_packages_below_it(root: str) -> None:
    """The sandbox's pytest plugin names the server's as text, for pytest to import."""
    own = f"roadster_{root}"
    allowed = {own, *(f"roadster_{other}" for other in PACKAGES[root])}
    modules = [module for module in MODULES if module.partition(".")[0] == own]
    wrong = [
        (module, target) for module in modules for target in IMPORTS[module] if target.partition(".")[0] not in allowed
    ]
    assert modules
    assert wrong == []


def room_of(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("package", FLOORS)
def test_room_imports_only_floors_below(package: str) -> None:
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS[package]) for room in rooms}
    modules = [module for module in MODULES if module.startswith(f"{package}.")]
    assert {room_of(module) for module in modules} == floor_of.keys(), "FLOORS names every room of the package"
    wrong = [
        (module, target)
        for module in modules
        for target in IMPORTS[module]
        if target.startswith(f"{package}.")
        and room_of(target) != room_of(module)
        and floor_of[room_of(target)] >= floor_of[room_of(module)]
    ]
    assert wrong == []


def test_sandbox_room_imports_only_rooms_before_it() -> None:
    order = ["world", "apis", "http"]
    wrong = [
        (module, target)
        for module in MODULES
        for target in IMPORTS[module]
        if module.startswith("roadster_sandbox.") and target.startswith("roadster_sandbox.")
        if room_of(module) in order and room_of(target) in order
        if order.index(room_of(target)) > order.index(room_of(module))
    ]
    assert wrong == []


def test_no_file_imports_itself_by_way_of_others() -> None:
    """A package's `__init__.py` only lists what its files define, so the file that defines a name counts."""
    graph = {module: {target for target in targets if target in MODULES} for module, targets in IMPORTS.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))

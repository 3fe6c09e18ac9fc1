"""A name says what it holds. A bare participle (`found`, `given`, `shown`) says what happened to it instead."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT

ROOTS = ("client", "tools", "prompts", "server", "sandbox", "evals", "bench", "packaging", "examples")

MOST_PER_THOUSAND_LINES = 3

IRREGULAR = frozenset(
    """
    begun bound broken brought built caught chosen cut done drawn felt forgotten found given gone got grown heard held
    hidden kept known laid led left lost made meant met paid put read run said seen sent set shown sold spent spoken
    stood taken thought told understood won written
    """.split()  # noqa: SIM905 - as words they can be read
)
NO_PARTICIPLES = frozenset({"feed", "need", "red", "seed", "shed", "speed"})
VERBS = frozenset({"cut", "put", "read", "run", "set"})
"""As the name of a function these are the verb."""


def is_participle(name: str, *, of_function: bool = False) -> bool:
    word = name.strip("_")
    if of_function and word in VERBS:
        return False
    return word in IRREGULAR or (
        "_" not in word and word.endswith("ed") and word.islower() and word not in NO_PARTICIPLES
    )


WIRE_MODELS = frozenset({"Received", "Sent", "ToolAnswer"})
"""The bases of models whose fields are documented, or listed to clients: these keep the field's own word."""


def wire_fields(tree: ast.AST) -> set[ast.expr]:
    """Returns the targets of the annotations that are fields of such models."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    models = [each for each in classes if {base.id for base in each.bases if isinstance(base, ast.Name)} & WIRE_MODELS]
    return {field.target for model in models for field in model.body if isinstance(field, ast.AnnAssign)}


def names_in(tree: ast.AST) -> Iterator[tuple[str, int, bool]]:
    """Yields each name that the code gives: the name, its line, and whether it is a function's."""
    ignored = wire_fields(tree)
    for node in ast.walk(tree):
        if node in ignored:
            continue
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, node.lineno, True
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name, node.lineno, False
            case ast.alias(asname=str(name)):
                yield name, node.lineno, False


def python_files(root: str) -> list[Path]:
    return [file for file in sorted((PROJECT / root).rglob("*.py")) if "node_modules" not in file.parts]


@pytest.mark.parametrize("root", ROOTS)
def test_names_are_no_participles(root: str) -> None:
    """A few are the field's own word, for instance `allowed` of a verdict or `created` of a documented answer."""
    lines = 0
    places: dict[str, list[str]] = {}
    for file in python_files(root):
        text = file.read_text()
        lines += text.count("\n")
        for name, line, of_function in names_in(ast.parse(text)):
            if is_participle(name, of_function=of_function):
                places.setdefault(name, []).append(f"{file.relative_to(PROJECT)}:{line}")
    count = sum(map(len, places.values()))
    worst = Counter({name: len(where) for name, where in places.items()}).most_common(10)
    summary = ", ".join(f"{name} ({times}, for instance {places[name][0]})" for name, times in worst)
    assert count <= MOST_PER_THOUSAND_LINES * max(lines, 1000) / 1000, summary


def test_rule_tells_participles_from_nouns_and_verbs() -> None:
    code = "def read(): ...\ndef told(found): shown = seed = dealers = agent_filled = 1\nself.kept = 2"
    flagged = [
        name for name, _, of_function in names_in(ast.parse(code)) if is_participle(name, of_function=of_function)
    ]
    assert sorted(flagged) == ["found", "kept", "shown", "told"]

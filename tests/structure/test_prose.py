"""Docstrings are plain sentences: they begin with a verb or a noun, and use no word that a reader stumbles over.

`docs/contributing/prose.md` has the rules. A tool's own docstring is what a model reads, and has tests of its own.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from .test_names import ROOTS, python_files

STUMBLING = re.compile(
    r"""
      ^(What|Whether|Who|Whose|As|Of|By(?!\ default)|To)\b
    | \bbut\ for\b
    | \b(that|of)\ which\b
    | \bas\ \w+\ has\ it\b
    | \b[Ww]ho(so)?ever\b
    | \b(is|are|has|by|for|in|of|to)\ \w+\ alone\b
    | ;
    """,
    re.VERBOSE,
)


def texts_of(file: Path) -> Iterator[tuple[int, str]]:
    """Yields each docstring and comment of the file with its line. Indented examples in docstrings are left out."""
    source = file.read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            prose = re.sub(r"^ {4,}\S.*$|`[^`]*`", "", node.value.value, flags=re.MULTILINE)
            yield node.lineno, prose
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not re.match(r"# (noqa|type:|---)", token.string):
            yield token.start[0], token.string.lstrip("# ")


@pytest.mark.parametrize("root", ROOTS)
def test_docstrings_and_comments_are_plain(root: str) -> None:
    places = [
        f"{file}:{line}: {match[0]}"
        for file in python_files(root)
        for line, text in texts_of(file)
        if "toolsets" not in file.parts and (match := STUMBLING.search(text))
    ]
    assert places == []

"""The documents, and how tests read them: blocks, tables, headings."""

from __future__ import annotations

import re

from tests.conftest import PROJECT

DOCS = PROJECT / "docs"
NAMES = sorted(
    [
        *(path.relative_to(PROJECT).as_posix() for path in DOCS.rglob("*.md")),
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "examples/README.md",
        "examples/deploy/README.md",
    ]
)
"""Every document, by its path in the project."""


def page(name: str) -> str:
    """Returns the text of a document: `README.md`, or one in `docs/` by its path there."""
    path = PROJECT / name if name in NAMES else DOCS / name
    return path.read_text(encoding="utf-8")


PAGES = {name: page(name) for name in NAMES}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def rows(text: str, heading: str) -> list[list[str]]:
    """Returns the cells of the first table below `heading`."""
    lines = text[f"\n{text}".index(f"\n{heading}\n") :].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|--"))
    table = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return table


def code(cell: str) -> str:
    """Returns the text of a cell without its code marks."""
    return cell.strip().strip("`")


def prose(text: str) -> str:
    """Returns the text without its code blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """Returns the anchors of the headings, as the forge and the site make them."""
    titles = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

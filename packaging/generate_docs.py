"""Writes the parts of the documents that follow from the code, each between its markers: `make generate`.

python packaging/generate_docs.py           writes them
python packaging/generate_docs.py --check   names the files that are stale, and exits with 1 where there are any
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

from arguments_page import arguments
from commands_page import commands
from settings_page import settings

from roadster_client import OPERATIONS
from roadster_prompts import PROMPTS
from roadster_server.cli.formats import render
from roadster_server.telemetry.metrics import Metrics
from roadster_tools import RESOURCES, TOOLS

PROJECT = Path(__file__).parent.parent
TRANSPORTS = "server/roadster_server/transports"
PAGES = "server/roadster_server/people"
STORE = "server/roadster_server/store"
COMMAND_LINE = "server/roadster_server/cli"
OWN_MAPS = (TRANSPORTS, COMMAND_LINE, PAGES, STORE)
"""Rooms of the server whose modules stand on pages of their own."""


def tools_in_short() -> str:
    """Returns a row for each tool, with the first sentence of its description."""
    return table(
        ["tool", "", "what it is for"],
        (
            [
                f"`{tool.name}`",
                "writes" if tool.writes else "reads",
                re.split(r"(?<=[.;])\s", tool.description)[0].rstrip(".;"),
            ]
            for tool in TOOLS.values()
        ),
    )


def tools() -> str:
    return render(TOOLS.values(), "markdown") + "\n"


def resources() -> str:
    return table(
        ["address", "tool", "what is there"],
        ([f"`{resource.template}`", f"`{resource.tool_name}`", resource.description] for resource in RESOURCES),
    )


def prompts() -> str:
    return table(
        ["prompt", "needs", "what for"],
        (
            [f"`{name}`", ", ".join(f"`{tool}`" for tool in prompt.needs), prompt.description]
            for name, prompt in PROMPTS.items()
        ),
    )


def metrics() -> str:
    return table(
        ["metric", "kind", "labels", "what"],
        (
            [f"`{row.name}`", row.kind, ", ".join(f"`{label}`" for label in row.labels), row.description]
            for row in Metrics().rows
        ),
    )


def operations() -> str:
    """Returns a row for each upstream operation, with the test that works it through its tool."""
    tool_and_test = {operation: (f"`{tool}`", f"`{test}`") for operation, tool, test in _operation_tests()}
    facts = {
        name: (f"{operation.method} {operation.path}", operation.certainty, f"{operation.deadline:.0f} s")
        for name, operation in OPERATIONS.items()
    }
    facts["customer_link"] = ("GET https://{express_host}/express/{vin}?mem=", "stated", "")
    if untested := facts.keys() - tool_and_test.keys():
        sys.exit(f"no test is marked with @pytest.mark.operation for: {', '.join(sorted(untested))}")
    return table(
        ["operation", "method, path", "status", "deadline", "tool", "test"],
        (
            [f"`{name}`", f"`{route}`", certainty, deadline, *tool_and_test[name]]
            for name, (route, certainty, deadline) in facts.items()
        ),
    )


def _operation_tests() -> Iterator[tuple[str, str, str]]:
    """Yields operation, tool and test of each `@pytest.mark.operation(operation, tool)`."""
    for path in sorted((PROJECT / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "mark.operation(" not in text:
            continue
        for function in ast.walk(ast.parse(text)):
            for decorator in getattr(function, "decorator_list", []):
                match decorator:
                    case ast.Call(ast.Attribute(attr="operation"), [ast.Constant(operation), ast.Constant(tool)]):
                        yield operation, tool, f"{path.relative_to(PROJECT).as_posix()}::{function.name}"


def modules(*roots: str, without: Iterable[str] = ()) -> str:
    """Returns a table for each folder of the roots: its modules, and the first line of their docstrings."""
    parts = []
    for root in roots:
        files = sorted((PROJECT / root).rglob("*.py"), key=lambda path: (path.parent.as_posix(), path.name))
        files = [path for path in files if not any(PROJECT / folder in path.parents for folder in without)]
        for folder, paths in groupby(files, key=lambda path: path.parent):
            docs = {path.name: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) for path in paths}
            rows = [[f"`{name}`", doc.splitlines()[0]] for name, doc in docs.items() if doc]
            if rows and folder.name != "versions":
                name = folder.relative_to(PROJECT).as_posix()
                parts.append(f"## `{name}`\n\n{table(['module', 'what it is'], rows)}")
    return "\n".join(parts)


def decisions() -> str:
    """Returns a row for each page in docs/decisions."""
    rows = []
    for path in sorted((PROJECT / "docs" / "decisions").glob("[0-9]*.md")):
        heading, _, rest = path.read_text(encoding="utf-8").partition("\n")
        number, _, title = heading.removeprefix("# ").partition(". ")
        date, status = re.findall(r"^Date: (\S+)\. Status: (.+)\.$", rest, re.MULTILINE)[0]
        rows.append([number, f"[{title}]({path.name})", date, status])
    return table(["", "decision", "date", "status"], rows)


PARTS: Mapping[tuple[str, str], Callable[[], str]] = {
    ("README.md", "tools"): tools_in_short,
    ("docs/use/tools.md", "tools"): tools,
    ("docs/use/resources.md", "resources"): resources,
    ("docs/use/prompts.md", "prompts"): prompts,
    ("docs/operate/metrics.md", "metrics"): metrics,
    ("docs/reference/arguments.md", "arguments"): arguments,
    ("docs/reference/operations.md", "operations"): operations,
    ("docs/reference/settings.md", "settings"): settings,
    ("docs/reference/cli.md", "commands"): commands,
    ("docs/contributing/map.md", "modules"): lambda: modules("client", "prompts", "sandbox"),
    ("docs/contributing/map-of-the-evaluation.md", "modules"): lambda: modules("evals"),
    ("docs/contributing/map-of-the-tools.md", "modules"): lambda: modules("tools"),
    ("docs/contributing/map-of-the-server.md", "modules"): lambda: modules("server", without=OWN_MAPS),
    ("docs/contributing/map-of-the-store.md", "modules"): lambda: modules(STORE),
    ("docs/contributing/map-of-the-command-line.md", "modules"): lambda: modules(COMMAND_LINE),
    ("docs/contributing/map-of-the-transports.md", "modules"): lambda: modules(TRANSPORTS),
    ("docs/contributing/map-of-the-pages.md", "modules"): lambda: modules(PAGES),
    ("docs/decisions/index.md", "decisions"): decisions,
}
"""Each file and marker with the function that writes what stands between `<!-- marker -->` and `<!-- /marker -->`."""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    cells = list(head)
    lines = [f"| {' | '.join(cells)} |", f"|{'---|' * len(cells)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return "".join(f"{line}\n" for line in lines)


def documents() -> dict[Path, str]:
    """Returns the text of each file with generated parts, as it should be."""
    texts: dict[Path, str] = {}
    for (name, marker), part in PARTS.items():
        path = PROJECT / name
        text = texts.get(path) or path.read_text(encoding="utf-8")
        between = re.compile(rf"(?<=<!-- {marker} -->\n).*?(?=<!-- /{marker} -->)", re.DOTALL)
        if not between.search(text):
            raise ValueError(f"{name} has no part <!-- {marker} -->")
        content = part()
        texts[path] = between.sub(lambda _, content=content: content, text)
    return texts


def stale() -> list[str]:
    """Returns the names of the files that are not as they should be."""
    return [
        path.relative_to(PROJECT).as_posix()
        for path, text in documents().items()
        if path.read_text(encoding="utf-8") != text
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; name what is stale")
    if parser.parse_args().check:
        names = stale()
        for name in names:
            print(f"{name} is stale: run `make generate`")
        sys.exit(1 if names else 0)
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

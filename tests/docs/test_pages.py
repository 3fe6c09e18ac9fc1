"""Every page: its size, its links, the files it shows, the commands it names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import pytest
from mcp_types import ElicitResult

from roadster_sandbox import SandboxTransport
from roadster_server.runtime import open_calls
from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.live import LiveSettings
from roadster_tools import Access, Caller, ReadArguments, Tool, admit
from roadster_tools.catalogue import catalogue
from roadster_tools.gate.gate import CallOversight
from tests.conftest import PROJECT, Connect, World, answer_of

from .pages import PAGES, anchors, blocks, page, prose

MOST_BYTES_OF_THE_README = 8_192
"""Two minutes of reading."""

MOST_BYTES = 15_500
"""A page that one reader reads in one go. What is longer is two pages."""


def test_a_page_is_short() -> None:
    sizes = {name: len(text.encode()) for name, text in PAGES.items()}
    assert sizes.pop("README.md") <= MOST_BYTES_OF_THE_README
    for table in ("CHANGELOG.md", "docs/decisions/index.md", "docs/reference/faults.md", "docs/reference/settings.md"):
        del sizes[table]
    assert {name: size for name, size in sizes.items() if size > MOST_BYTES} == {}


def test_a_page_says_who_should_read_it() -> None:
    """Apart from lists and decisions, whose readers look something up."""
    pages = {name: text for name, text in PAGES.items() if name.startswith("docs/") and "/decisions/" not in name}
    del pages["docs/index.md"]
    assert [name for name, text in pages.items() if not re.match(r"# .+\n\n\*Read this ", text)] == []


def test_sentences_are_whole() -> None:
    """A semicolon is two sentences. Code and what the code has written are not counted."""
    for name, text in PAGES.items():
        sentences = re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->|`[^`]*`", "", prose(text), flags=re.DOTALL)
        assert re.findall(r".*;.*", sentences) == [], name


def test_decisions_are_numbered_and_say_when_and_whether_they_hold() -> None:
    decisions = {name: text for name, text in PAGES.items() if re.match(r"docs/decisions/\d", name)}
    numbers = [int(name.split("/")[-1][:4]) for name in decisions]
    assert len({*numbers}) == len(numbers)
    for number, text in zip(numbers, decisions.values(), strict=True):
        status = r"accepted|superseded by \[\d+\]\(\S+\.md\)"
        assert re.match(rf"# {number}\. .+\n\nDate: \d{{4}}-\d\d-\d\d\. Status: ({status})\.\n\n", text), text


def test_links_lead_to_files_and_headings_that_exist() -> None:
    for name, text in PAGES.items():
        document = PROJECT / name
        for link in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
            if link.startswith("https://"):
                continue
            path, _, anchor = link.partition("#")
            target = (document.parent / path).resolve() if path else document
            assert target.exists(), (name, link)
            if anchor:
                assert anchor in anchors(target.read_text()), (name, link)


def test_every_page_is_reached_from_the_readme() -> None:
    visited, new = set(), {"README.md"}
    while new:
        visited |= new
        new = {
            target
            for name in new
            for link in re.findall(r"\]\(([^)\s#]+\.md)(?:#\S+)?\)", PAGES[name])
            if not link.startswith("https://")
            for target in [(PROJECT / name).parent.joinpath(link).resolve().relative_to(PROJECT).as_posix()]
        } - visited
    assert set(PAGES) - visited == set()


def test_each_file_shown_is_the_example_file() -> None:
    for name, text in PAGES.items():
        files = re.findall(r"^<!-- (examples/\S+) -->\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        for file, content in files:
            assert content == (PROJECT / file).read_text(), name
        languages = ("json", "jsonl", "toml")
        assert len([file for file, _ in files if Path(file).suffix[1:] in languages]) == sum(
            len(blocks(text, language)) for language in languages
        ), f"{name}: a block without its file's name"
        for block in blocks(text, "json"):
            assert json.loads(block)


def test_every_make_target_and_lock_file_named_exists() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    for name, text in PAGES.items():
        for target in re.findall(r"(?:^|`)make ([\w-]+)", text, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), (name, target)
        for lock in re.findall(r"requirements[\w-]*\.lock", text):
            assert (PROJECT / lock).is_file()


def test_every_file_of_the_project_named_exists() -> None:
    roots = "client|tools|prompts|server|sandbox|evals|tests|examples|bench|packaging|docs"
    for name, text in PAGES.items():
        for path in re.findall(rf"`((?:{roots})/[\w./-]+\w\.\w+)(?:::\w+)?`", text):
            assert (PROJECT / path).is_file(), (name, path)


def test_each_example_is_listed() -> None:
    names = set(re.findall(r"^\| \[(\S+)\]", page("examples/README.md"), re.MULTILINE))
    assert names == {path.name for path in (PROJECT / "examples").iterdir() if path.is_file()} - {"README.md"}


@pytest.mark.anyio
async def test_the_question_shown_is_the_one_that_a_person_reads(connect: Connect) -> None:
    questions = []

    async def ask(_ctx: Any, params: Any) -> ElicitResult:
        questions.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    arguments = json.loads((PROJECT / "examples" / "customer.json").read_text())
    async with connect(dealers=["umazda"], access={"customers": Access.CONFIRM}, ask=ask) as client:
        answer_of(await client.call_tool("create_customer", arguments))
    assert blocks(page("use/writes.md"), "text") == [f"{question}\n" for question in questions]


@pytest.mark.anyio
async def test_the_tool_that_contributing_shows_works(world: World, store_url: str) -> None:
    module = ModuleType("shown")
    (source,) = blocks(page("contributing/add-a-tool.md"), "python")
    exec(source, vars(module))
    (example,) = catalogue(inventory=tuple(each for each in vars(module).values() if isinstance(each, Tool))).values()
    caller = Caller("tester", ("umazda",), {"inventory": Access.READ})
    live = LiveSettings(sandbox_settings(store_url))
    async with open_calls(live, local=True, transport=SandboxTransport(world.app)) as calls:
        answer = await admit(
            example, calls.services.gate, caller, ReadArguments({}, {}), Mock(spec=CallOversight)
        ).run()
    assert answer.structured_content()["vehicles"] > 0
    assert 80 <= len(example.description) <= 500

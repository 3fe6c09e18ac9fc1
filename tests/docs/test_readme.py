"""README.md and CONTRIBUTING.md say what the program does: what they show is run, what they list is compared."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, get_args
from unittest.mock import Mock

import pytest
from mcp_types import ElicitResult
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from roadster_client import OPERATIONS
from roadster_prompts import PROMPTS
from roadster_sandbox import DEALERS, REQUESTER_USER_UUID, SandboxTransport
from roadster_sandbox.http.faults import KINDS
from roadster_sandbox.world.service_records import LOCKED_UUID, record_of
from roadster_sandbox.world.world import World as SandboxWorld
from roadster_server.cli.call import EXIT_CODES
from roadster_server.protocol.server import tools_of
from roadster_server.runtime import open_calls
from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.loading import load
from roadster_server.settings.sections import Settings
from roadster_server.store import default_url
from roadster_tools import RESOURCES, TOOLS, Access, Caller, Tool, admit
from roadster_tools.catalogue import catalogue
from roadster_tools.gate.gate import CallOversight
from tests.conftest import PROJECT, Connect, World, answer_of, free_port, kind_of, run_cli, serving
from tests.server.calls.test_writes import READS, WRITES

README = (PROJECT / "README.md").read_text()
CONTRIBUTING = (PROJECT / "CONTRIBUTING.md").read_text()
DOCUMENTS = [
    PROJECT / name
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/decisions.md",
        "docs/evaluation.md",
        "examples/README.md",
        "examples/deploy/README.md",
    )
]
SECRETS = {
    "ROADSTER_API_KEY": "sandbox-key",
    "UMAZDA_LINK_KEY": "k" * 32,
    "ROADIE_TOKEN": "made-up",
    "MYKAARMA_USERNAME": "made-up",
    "MYKAARMA_PASSWORD": "made-up",
    "ROADSTER_WEBHOOK_KEY": "our-own-key",
    "ROADIE_WEBHOOK_KEY": "made-up",
    "REDIS_URL": "redis://127.0.0.1:6379",
}
COMPUTED = "see right"
"""What the table of keys says of a default that depends on the machine."""


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below `heading`, code marks removed."""
    lines = README[README.index(f"\n{heading}\n") :].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|--"))
    table = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            return table
        table.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return table


def code(cell: str) -> str:
    return cell.strip().strip("`")


# What is listed


def test_the_tools_are_those_of_the_command() -> None:
    shown = re.search(r"<!-- tools -->\n(.*?)<!-- /tools -->", README, re.DOTALL)
    assert shown is not None
    assert shown[1] == run_cli("tools", "--format", "markdown").stdout


OPERATION_ROWS = [tuple(map(code, row)) for row in rows("## What the upstreams document, and what is inferred")]


def test_the_operations_are_those_of_the_code() -> None:
    *shown, link = [row[:3] for row in OPERATION_ROWS]
    assert shown == [
        (name, f"{operation.method} {operation.path}", operation.certainty) for name, operation in OPERATIONS.items()
    ]
    assert link == ("(link of a customer)", "GET https://{express_host}/express/{vin}?mem=", "stated")


@pytest.mark.parametrize("test", sorted({row[4] for row in OPERATION_ROWS}))
def test_the_test_of_each_operation_exists(test: str) -> None:
    file, _, name = test.partition("::")
    assert re.search(rf"^async def {name}\(", (PROJECT / file).read_text(), re.MULTILINE)


@pytest.mark.anyio
async def test_each_tool_sends_the_operation_in_its_row(connect: Connect, world: World) -> None:
    sent: dict[str, set[str]] = {}
    made = dict(list(WRITES.items())[:-1])  # what cancels the delivery comes last
    deletes = made.pop("delete_documents")
    last = {"delete_documents": deletes, "cancel_delivery": WRITES["cancel_delivery"]}
    async with connect() as client:
        for tool, arguments in {**made, **READS, **last}.items():
            before = len(await world.requests())
            kind = kind_of(await client.call_tool(tool, dict(arguments)))
            assert kind == ("not_found" if tool == "get_customer" else None), "no event has named the customer"
            sent[tool] = {request["operation"] for request in (await world.requests())[before:]}
    assert sent.keys() == TOOLS.keys()
    for operation, _, _, tool, _ in OPERATION_ROWS[:-1]:
        assert operation in sent[tool]
    assert {operation for found in sent.values() for operation in found} == OPERATIONS.keys()


def test_the_resources_are_those_of_the_code() -> None:
    shown = [(code(address), code(tool), what) for address, tool, what in rows("## Resources")]
    assert shown == [(found.template, found.tool_name, found.description) for found in RESOURCES]


def test_the_prompts_are_those_of_the_code() -> None:
    shown = [(code(name), re.findall(r"`(\w+)`", needs), what) for name, needs, what in rows("## Prompts")]
    assert shown == [(name, list(prompt.needs), prompt.description) for name, prompt in PROMPTS.items()]


def test_what_detail_adds_is_said_of_each_tool_that_takes_it() -> None:
    """The list is that of the catalogue, in its order."""
    shown = [code(tool) for tool, _ in rows("### Detail")]
    assert shown == [tool.name for tool in TOOLS.values() if "detail" in tool.input_schema["properties"]]


def test_the_ids_of_the_sandbox_are_those_that_are_in_it() -> None:
    """Orders, templates, dealers and customers at myKaarma, and who asks there."""
    world = SandboxWorld(7)
    shown = rows("### What is in it")
    assert [code(row[0]) for row in shown] == [dealer.dpid for dealer in DEALERS]
    for dealer, (_, orders, templates, at_mykaarma, customers) in zip(DEALERS, shown, strict=True):
        assert orders == ", ".join(map(str, dealer.orders))
        ids = sorted(world.templates_of(dealer))
        assert templates == f"{ids[0]} to {ids[-1]}"
        assert world.templates_of(dealer)[ids[-1]].is_deleted
        assert at_mykaarma == f"`{dealer.mykaarma_uuid}`, {dealer.mykaarma_id}"
        for uuid in re.findall("`(.+?)`", customers):
            assert record_of(uuid, [dealer.mykaarma_uuid])["customerInfo"]["uuid"] == uuid
    assert f"`{REQUESTER_USER_UUID}`" in README
    assert f"`{LOCKED_UUID}`" in README


def test_each_key_of_the_configuration_is_explained_with_its_default() -> None:
    shown = {code(key): code(default) for key, default, _ in rows("### Every key")}
    assert shown == dict(keys_of(Settings))


def keys_of(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    placeholders = {"dealers": "dealers.DPID", "callers": "callers.NAME"}
    for name, field in section.model_fields.items():
        inner = next((part for part in _parts(field.annotation) if issubclass(part, BaseModel)), None)
        if inner is not None:
            yield from keys_of(inner, f"{prefix}{placeholders.get(name, name)}.")
        elif field.default_factory is not None:
            yield f"{prefix}{name}", COMPUTED
        elif field.default is PydanticUndefined:
            yield f"{prefix}{name}", "required"
        else:
            yield f"{prefix}{name}", "none" if field.default is None else json.dumps(field.default)


def _parts(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def test_the_annotated_configuration_loads_and_names_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    path = PROJECT / "examples" / "roadster.toml"
    assert load(path).caller("local").dealers == ("umazda",)
    assert load(path).store.url.get_secret_value() == default_url()
    for key, _ in keys_of(Settings):
        name = key.rpartition(".")[2]
        assert re.search(rf"^(# )?{name} = |^\[[\w.-]+\.{name}\]", path.read_text(), re.MULTILINE), key


def test_what_the_annotated_configuration_shows_as_comments_loads_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {**SECRETS, "STORE_URL": "postgresql://roadster@db.example.com/roadster"}.items():
        monkeypatch.setenv(name, value)
    text = (PROJECT / "examples" / "roadster.toml").read_text().replace("~/roadster-uploads", str(tmp_path))
    path = tmp_path / "roadster.toml"
    path.write_text(re.sub(r"^# (?=\[|\w+ = )", "", text, flags=re.MULTILINE))
    settings = load(path)
    assert settings.callers["erp"].jwt is not None
    assert settings.store.url.get_secret_value().startswith("postgresql://")
    assert settings.uploads is not None
    assert settings.http.anonymous_caller == "local"


def test_the_sandboxs_configuration_shows_every_tool_in_a_store_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the keys that its first lines and the examples name."""
    path = PROJECT / "examples" / "sandbox.toml"
    named = dict(re.findall(r"\b([A-Z_]+_KEY)=(\S+)", path.read_text()))
    assert f"$ export {' '.join(f'{name}={value}' for name, value in named.items())}\n" in README
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    settings = load(path)
    assert [tool.name for tool in tools_of(settings.caller("local"))] == list(TOOLS)
    umazda = settings.dealers["umazda"]
    assert umazda.link_key is not None
    assert umazda.link_key.get_secret_value() == DEALERS[0].link_key
    assert settings.store.url.get_secret_value() != default_url()
    assert "~" not in settings.store.url.get_secret_value()


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    needed = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    assert {code(row[0]) for row in rows("## Dependencies")} == {re.split(r"[<>=]", name)[0] for name in needed}


def test_exit_codes_access_levels_and_faults_are_all_named() -> None:
    kinds = {
        code(kind): int(number) for number, _, cell in rows("## Exit codes") for kind in re.findall(r"`\w+`", cell)
    }
    assert kinds == EXIT_CODES
    assert " < ".join(f"`{level.name.lower()}`" for level in Access) in README
    for name in (*KINDS, *EXIT_CODES):
        assert f"`{name}`" in README


# What is shown


def test_each_file_shown_is_the_example_file() -> None:
    shown = re.findall(r"^<!-- (examples/\S+) -->\n```\w+\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    of_files = [block for language in ("json", "jsonl", "toml") for block in blocks(README, language)]
    assert len(shown) == len(of_files), "a block without its file's name"
    for name, text in shown:
        assert text == (PROJECT / name).read_text()
    for text in blocks(README, "json"):
        assert json.loads(text)


@dataclass(frozen=True)
class Step:
    """A command as it is typed, and what it shows; `…` in that stands for any text."""

    command: str
    shown: str

    @property
    def starts_a_server(self) -> bool:
        return self.command.endswith(" &")


def steps(block: str) -> list[Step]:
    return [
        Step(command.strip(), shown.strip())
        for command, _, shown in (part.partition("\n") for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:])
    ]


@pytest.fixture
def shell(tmp_path: Path) -> Path:
    """A folder with the examples, and with a `roadster-mcp` in bin that runs this project."""
    shutil.copytree(PROJECT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("node_modules"))
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "roadster-mcp"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m roadster_server "$@"\n')
    command.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("block", blocks(README, "console"))
def test_each_console_block_shows_what_happens(block: str, shell: Path) -> None:
    if "curl" in block and None in (shutil.which("curl"), shutil.which("jq")):
        pytest.skip("the curl or the jq command is not installed")
    with ExitStack() as running:
        run_steps(steps(elsewhere(block, shell)), shell, running)


def test_each_example_with_a_sandbox_shows_the_same_after_all_before_it(shell: Path) -> None:
    """Read from top to bottom, in one store and with one sandbox, whose line is left out where it still runs."""
    if shutil.which("curl") is None:
        pytest.skip("the curl command is not installed")
    shown = [block for block in blocks(README, "console") if "$ roadster-mcp sandbox" in block]
    once: list[Step] = []
    started: set[str] = set()
    for step in steps(elsewhere("".join(shown), shell)):
        if step.command not in started:
            once.append(step)
        if step.starts_a_server:
            started.add(step.command)
    with ExitStack() as running:
        run_steps(once, shell, running)


def elsewhere(block: str, folder: Path) -> str:
    """`block` with free ports for those that are shown, in the example files too."""
    for port in ("8000", "9000"):
        free = str(free_port())
        block = block.replace(port, free)
        config = folder / "examples" / "sandbox.toml"
        config.write_text(config.read_text().replace(port, free))
    return block


def run_steps(steps: Iterable[Step], folder: Path, running: ExitStack) -> None:
    code = 0
    for step in steps:
        if step.starts_a_server:
            arguments = shlex.split(step.command.removesuffix(" &"))[1:]
            probe = "__sandbox/state" if arguments[0] == "sandbox" else "healthz"
            url = f"http://127.0.0.1:{arguments[arguments.index('--port') + 1]}/{probe}"
            places = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
            running.enter_context(serving(*arguments, url=url, cwd=folder, **places, **SECRETS))
        elif step.command == "echo $?":
            assert step.shown == str(code)
        else:
            done = run_in_shell(step.command, folder)
            code = done.returncode
            said = done.stdout + "".join(line for line in done.stderr.splitlines(keepends=True) if line[0] != "{")
            assert matches(step.shown, said), said


def run_in_shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **SECRETS,
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
    }
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,  # nobody is there to be asked
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def matches(shown: str, said: str) -> bool:
    pattern = ".*".join(map(re.escape, shown.split("…")))
    return re.fullmatch(pattern, said.strip(), re.DOTALL) is not None


def test_every_command_shown_stands_in_a_block_that_is_run() -> None:
    for text in (README, CONTRIBUTING):
        for block in blocks(text, "sh"):
            assert not re.search(r"^(\S*/)?roadster-mcp", block, re.MULTILINE)
    shown = {
        step.command.split("roadster-mcp ")[1].split()[0] for step in all_steps() if "roadster-mcp" in step.command
    }
    assert shown == {"audit", "call", "doctor", "forget", "policy", "run", "sandbox", "serve", "token"}


def all_steps() -> Iterator[Step]:
    return (step for block in blocks(README, "console") for step in steps(block))


def test_every_make_target_and_lock_file_named_exists() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    for text in (README, CONTRIBUTING):
        for target in re.findall(r"(?:^|`)make (\w+)", text, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
        for lock in re.findall(r"requirements[\w-]*\.lock", text):
            assert (PROJECT / lock).is_file()


@pytest.mark.anyio
async def test_the_question_shown_is_the_one_that_a_person_reads(connect: Connect) -> None:
    questions = []

    async def ask(_ctx: Any, params: Any) -> ElicitResult:
        questions.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    arguments = json.loads((PROJECT / "examples" / "customer.json").read_text())
    async with connect(dealers=["umazda"], access={"customers": Access.CONFIRM}, ask=ask) as client:
        answer_of(await client.call_tool("create_customer", arguments))
    assert blocks(README, "text") == [f"{question}\n" for question in questions]


@pytest.mark.anyio
async def test_the_tool_that_contributing_shows_works(world: World, store_url: str) -> None:
    module = ModuleType("shown")
    (source,) = blocks(CONTRIBUTING, "python")
    exec(source, vars(module))
    (shown,) = catalogue(inventory=tuple(each for each in vars(module).values() if isinstance(each, Tool))).values()
    caller = Caller("tester", ("umazda",), {"inventory": Access.READ})
    live = LiveSettings(sandbox_settings(store_url))
    async with open_calls(live, local=True, transport=SandboxTransport(world.app)) as calls:
        answer = await admit(shown, calls.services.gate, caller, {}, Mock(spec=CallOversight)).run()
    assert answer.structured_content()["vehicles"] > 0
    assert 80 <= len(shown.description) <= 500


# What is linked


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings_that_exist(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        if anchor:
            assert anchor in headings(target), link


def headings(document: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_each_example_is_listed() -> None:
    listed = set(re.findall(r"^\| \[(\S+)\]", (PROJECT / "examples" / "README.md").read_text(), re.MULTILINE))
    assert listed == {path.name for path in (PROJECT / "examples").iterdir() if path.is_file()} - {"README.md"}

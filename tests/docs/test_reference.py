"""What the pages list is compared with the code."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest
import trustme

from roadster_client import OPERATIONS
from roadster_sandbox import DEALERS, REQUESTER_USER_UUID
from roadster_sandbox.http.faults import KINDS
from roadster_sandbox.world.service_records import LOCKED_UUID, record_of
from roadster_sandbox.world.world import World as SandboxWorld
from roadster_server.cli.calls.call import EXIT_CODES
from roadster_server.protocol.visible import tools_of
from roadster_server.settings.loading import load
from roadster_server.store import default_url
from roadster_tools import TOOLS, Access
from tests.conftest import PROJECT, Connect, World, kind_of
from tests.tool_examples import every_call

from .pages import PAGES, code, page, rows
from .test_console import SECRETS

sys.path.insert(0, str(PROJECT / "packaging"))
from settings_page import sections

OPERATION_ROWS = [tuple(map(code, row)) for row in rows(page("reference/operations.md"), "<!-- operations -->")]


@pytest.mark.anyio
async def test_each_tool_sends_the_operation_in_its_row(connect: Connect, world: World) -> None:
    operations: dict[str, set[str]] = {}
    async with connect() as client:
        for tool, arguments in every_call("umazda").items():
            before = len(await world.requests())
            kind = kind_of(await client.call_tool(tool, arguments))
            assert kind == ("not_found" if tool == "get_customer" else None), "no event has named the customer"
            operations[tool] = {request["operation"] for request in (await world.requests())[before:]}
    assert operations.keys() == TOOLS.keys()
    for operation, _, _, _, tool, _ in OPERATION_ROWS[:-1]:
        assert operation in operations[tool]
    assert set().union(*operations.values()) == OPERATIONS.keys()


def test_detail_is_explained_for_each_tool_that_takes_it() -> None:
    """The list is that of the catalogue, in its order."""
    tools = [code(tool) for tool, _ in rows(page("use/tools.md"), "## Detail")]
    assert tools == [tool.name for tool in TOOLS.values() if "detail" in tool.input_schema["properties"]]


def test_the_ids_of_the_sandbox_are_those_that_are_in_it() -> None:
    """Orders, templates, dealers and customers at myKaarma, and who asks there."""
    text = page("develop/sandbox.md")
    world = SandboxWorld(7)
    table = rows(text, "## What is in it")
    assert [code(row[0]) for row in table] == [dealer.dpid for dealer in DEALERS]
    for dealer, (_, orders, templates, at_mykaarma, customers) in zip(DEALERS, table, strict=True):
        assert orders == ", ".join(map(str, dealer.orders))
        ids = sorted(world.templates_of(dealer))
        assert templates == f"{ids[0]} to {ids[-1]}"
        assert world.templates_of(dealer)[ids[-1]].is_deleted
        assert at_mykaarma == f"`{dealer.mykaarma_uuid}`, {dealer.mykaarma_id}"
        for uuid in re.findall("`(.+?)`", customers):
            assert record_of(world.service_customers, uuid, [dealer.mykaarma_uuid])["customerInfo"]["uuid"] == uuid
    assert f"`{REQUESTER_USER_UUID}`" in text
    assert f"`{LOCKED_UUID}`" in text


def test_every_command_is_explained() -> None:
    """On another page than that of their help."""
    text = "".join(text for name, text in PAGES.items() if name != "docs/reference/cli.md")
    commands = re.findall(r"^## (.+)$", page("reference/cli.md"), re.MULTILINE)
    assert {"serve", "policy explain", "audit tail"} <= set(commands)
    assert [command for command in commands if not re.search(rf"\b{command}\b", text)] == []


def test_the_annotated_configuration_loads_and_names_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    path = PROJECT / "examples" / "roadster.toml"
    assert load(path).caller("local").dealers == ("umazda",)
    assert load(path).store.url.get_secret_value() == default_url()
    for section, _, keys in sections():
        for key in keys:
            line = re.search(rf"^(# )?{key.name} = |^\[[\w.-]+\.{key.name}\]", path.read_text(), re.MULTILINE)
            assert line, f"{section}.{key.name}"


def test_the_commented_settings_of_the_configuration_load_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        **SECRETS,
        "UMAZDA_API_KEY": "made-up",
        "STORE_URL": "postgresql://roadster@db.example.com/roadster",
        "PROXY_URL": "http://steve:key@proxy.example.com:3128",
    }.items():
        monkeypatch.setenv(name, value)
    text = (PROJECT / "examples" / "roadster.toml").read_text().replace("~/roadster-uploads", str(tmp_path))
    trustme.CA().cert_pem.write_to_path(tmp_path / "authorities.pem")
    text = text.replace("/etc/ssl/example-authorities.pem", str(tmp_path / "authorities.pem"))
    path = tmp_path / "roadster.toml"
    path.write_text(re.sub(r"^# (?=\[|\w+ = )", "", text, flags=re.MULTILINE))
    (tmp_path / "secrets.env").touch(mode=0o600)
    (tmp_path / "dealers.d").mkdir()
    (tmp_path / "dealers.d" / "toyota.toml").write_text('[dealers.toyotademo]\nstate = "CA"\n')
    settings = load(path)
    assert [rule.role for rule in settings.identity["work"].people] == ["sales", "manager"]
    assert settings.store.url.get_secret_value().startswith("postgresql://")
    assert settings.uploads is not None
    assert settings.network.path().uses_proxy("api.roadster.com")
    assert settings.http.anonymous_caller == "local"


def test_the_sandboxs_configuration_has_every_tool_and_its_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the keys that its first lines and the examples name."""
    path = PROJECT / "examples" / "sandbox.toml"
    keys = dict(re.findall(r"\b([A-Z_]+_KEY)=(\S+)", path.read_text()))
    export = f"$ export {' '.join(f'{name}={value}' for name, value in keys.items())}\n"
    for name in ("use/writes.md", "use/events.md", "operate/audit.md", "operate/doctor.md", "develop/sandbox.md"):
        assert export in page(name)
    for name, value in keys.items():
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
    dependencies = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    table = rows(page("reference/dependencies.md"), "# Dependencies")
    assert {code(row[0]) for row in table} == {re.split(r"[<>=]", name)[0] for name in dependencies}


def test_exit_codes_access_levels_and_faults_are_all_named() -> None:
    text = page("reference/exit-codes.md")
    kinds = {
        code(kind): int(number) for number, _, cell in rows(text, "# Exit codes") for kind in re.findall(r"`\w+`", cell)
    }
    assert kinds == EXIT_CODES
    assert " < ".join(f"`{level.name.lower()}`" for level in Access) in page("operate/access.md")
    for name in KINDS:
        assert f"`{name}`" in page("develop/sandbox.md")

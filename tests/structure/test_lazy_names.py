"""The two packages that load their names when they are used: what they list, and that it is not loaded before."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import roadster_client
import roadster_tools

lazy_packages = pytest.mark.parametrize("package", [roadster_client, roadster_tools])


@lazy_packages
def test_package_loads_the_names_that_a_type_checker_sees(package: ModuleType) -> None:
    assert package.__file__
    body = ast.parse(Path(package.__file__).read_text()).body
    (block,) = (node.body for node in body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imports = {name.name: node.module for node in block if isinstance(node, ast.ImportFrom) for name in node.names}
    assert imports == package._HOMES
    assert sorted(imports) == sorted(package.__all__)


@lazy_packages
def test_name_of_a_package_is_that_of_its_module(package: ModuleType) -> None:
    """A module of the same name would take its place as soon as somebody imports it."""
    for name in package.__all__:
        module = import_module(f"{package.__name__}.{package._HOMES[name]}")
        assert getattr(package, name) is getattr(module, name)


@lazy_packages
def test_package_has_no_other_names(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        package.nothing  # noqa: B018 - it is read for its error


def test_a_connection_opens_without_the_code_of_the_tools() -> None:
    """The first answers need the settings and the catalogue, no model of an upstream and no HTTP."""
    script = (
        "import sys, roadster_server.cli.app, roadster_server.cli.serve, roadster_server.backend;"
        "from roadster_server.protocol.opening import Opening; from roadster_server.transports.stdin import Stdin;"
        "from roadster_server.settings.sections.people import ApprovalSettings;"
        "from roadster_tools import TOOLS, Access, Caller;"
        "caller = Caller('local', ('umazda',), dict.fromkeys(TOOLS, Access.WRITE));"
        "ask = lambda id_, method, params: Opening.answer(opening, ("
        '\'{"jsonrpc":"2.0","id":%d,"method":"%s","params":%s}\' % (id_, method, params)).encode());'
        "opening = Opening(caller, ApprovalSettings());"
        'assert ask(1, \'initialize\', \'{"protocolVersion":"2025-11-25","capabilities":{},'
        '"clientInfo":{"name":"test","version":"1"}}\');'
        "assert all(ask(id_, method + '/list', '{}') for id_, method in enumerate(("
        "'tools', 'prompts', 'resources', 'resources/templates'), 2));"
        "print([name for name in ('anyio', 'asyncio', 'cryptography', 'httpx2', 'mcp', 'roadster_client.channel',"
        " 'roadster_client.models.parts', 'roadster_tools.answers', 'roadster_tools.gate.gate',"
        " 'roadster_server.store.records', 'roadster_tools.toolsets', 'sqlalchemy') if name in sys.modules])"
    )
    end = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert end.stdout.strip() == "[]"

"""A host's configuration file gets our entry and keeps all else; what cannot be changed safely is not changed."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from roadster_server.cli.install import add_entry, entry_of, file_of, remove_entry, snippet
from roadster_server.cli.options import Host
from roadster_server.settings.errors import ConfigurationError
from tests.command_line import run_cli

HOSTS = list(Host)
OTHERS: dict[str, Any] = {
    "theme": "dark",
    "unknown": [1, 2.5, None, {"deep": "é"}],
    "mcpServers": {"other": {"command": "x", "env": {"TOKEN": "made-up"}}},
    "servers": {"other": {"url": "https://mcp.example.com"}},
}


@pytest.mark.parametrize(
    ("host", "platform", "environment", "expected"),
    [
        (Host.CLAUDE_DESKTOP, "darwin", {}, "home/Library/Application Support/Claude/claude_desktop_config.json"),
        (Host.CLAUDE_DESKTOP, "win32", {"APPDATA": "roaming"}, "roaming/Claude/claude_desktop_config.json"),
        (Host.CLAUDE_DESKTOP, "win32", {}, "home/AppData/Roaming/Claude/claude_desktop_config.json"),
        (Host.CLAUDE_DESKTOP, "linux", {}, "home/.config/Claude/claude_desktop_config.json"),
        (Host.VSCODE, "darwin", {}, "home/Library/Application Support/Code/User/mcp.json"),
        (Host.VSCODE, "win32", {"APPDATA": "roaming"}, "roaming/Code/User/mcp.json"),
        (Host.VSCODE, "linux", {"XDG_CONFIG_HOME": "xdg"}, "xdg/Code/User/mcp.json"),
        (Host.VSCODE, "linux", {}, "home/.config/Code/User/mcp.json"),
        *((Host.CURSOR, platform, {}, "home/.cursor/mcp.json") for platform in ("darwin", "win32", "linux")),
        *((Host.CLAUDE_CODE, platform, {}, "project/.mcp.json") for platform in ("darwin", "win32", "linux")),
    ],
)
def test_each_hosts_file_is_where_it_is_on_each_platform(
    host: Host, platform: str, environment: dict[str, str], expected: str
) -> None:
    found = file_of(host, platform=platform, home=Path("home"), environment=environment, folder=Path("project"))
    assert found == Path(expected)


@pytest.mark.parametrize("host", HOSTS)
def test_our_entry_comes_and_goes_and_all_else_stays(host: Host, tmp_path: Path) -> None:
    """Other servers, unknown keys, their order, the file's mode, its indentation, its line ends."""
    path = tmp_path / "mcp.json"
    before = json.dumps(OTHERS, indent=4, ensure_ascii=False).replace("\n", "\r\n").encode()
    path.write_bytes(before)
    path.chmod(0o640)
    put = entry_of(host, None)
    change = add_entry(path, host, put)
    assert change is not None
    assert path.read_bytes() == before, "nothing changes before it is applied"
    backup = change.apply()
    document = json.loads(path.read_text())
    assert document["servers" if host is Host.VSCODE else "mcpServers"].pop("roadster") == put
    assert json.dumps(document) == json.dumps(OTHERS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert backup is not None
    assert backup.read_bytes() == before
    assert add_entry(path, host, put) is None
    undone = remove_entry(path, host)
    assert undone is not None
    assert undone.apply() == backup
    assert path.read_bytes() == before
    assert remove_entry(path, host) is None
    assert sorted(found.name for found in tmp_path.iterdir()) == ["mcp.json", "mcp.json.roadster.bak"]


@pytest.mark.parametrize("indent", [None, 2])
def test_the_diff_shows_our_entry_alone(indent: int | None, tmp_path: Path) -> None:
    """No value of another server, also where the file is one line, and none of our entry's own environment."""
    path = tmp_path / "mcp.json"
    ours = {**entry_of(Host.CURSOR, None), "env": {"ROADSTER_API_KEY": "made-up"}}
    servers = {**OTHERS["mcpServers"], "roadster": ours}
    path.write_text(json.dumps({**OTHERS, "mcpServers": servers}, indent=indent))
    change = add_entry(path, Host.CURSOR, entry_of(Host.CURSOR, Path("roadster.toml")))
    assert change is not None
    lines = change.diff().splitlines()
    assert lines[0] == f"{path}, in mcpServers:"
    assert '- "roadster": {' in lines
    assert '-     "ROADSTER_API_KEY": "…"' in lines
    assert '+     "--config",' in lines
    for secret in ("made-up", "other", "example.com"):
        assert secret not in change.diff()


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (
            '{"b":1,\n\t"mcpServers": {"x": {"command":"y"}}}',
            '{\n\t"b": 1,\n\t"mcpServers": {\n\t\t"x": {\n\t\t\t"command": "y"\n\t\t}\n\t}\n}',
        ),
        ('{"theme": "dark"}\n', '{\n  "theme": "dark",\n  "mcpServers": {}\n}\n'),
        ("", '{\n  "mcpServers": {}\n}\n'),
    ],
)
def test_undo_writes_with_the_files_indentation(text: str, after: str, tmp_path: Path) -> None:
    """And keeps a copy of the file as it was before it."""
    path = tmp_path / "mcp.json"
    path.write_text(text)
    change = add_entry(path, Host.CURSOR, entry_of(Host.CURSOR, None))
    assert change is not None
    change.apply()
    with_entry = path.read_text()
    undo = remove_entry(path, Host.CURSOR)
    assert undo is not None
    backup = undo.apply()
    assert path.read_text() == after
    assert backup is not None
    assert backup.read_text() == with_entry


def test_undoing_keeps_what_was_changed_since(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    change = add_entry(path, Host.CURSOR, entry_of(Host.CURSOR, None))
    assert change is not None
    change.apply()
    path.write_text(path.read_text().replace("mcpServers", 'mine": 1, "mcpServers'))
    undone = remove_entry(path, Host.CURSOR)
    assert undone is not None
    undone.apply()
    assert json.loads(path.read_text()) == {"mine": 1, "mcpServers": {}}


@pytest.mark.parametrize(
    ("text", "line"),
    [('{\n  // mine\n  "servers": {}\n}', 2), ('{"servers": {}\n,}', 2), ('{"a": 1,\n\n"b": 2,\n"a": 3}', 4)],
)
def test_what_is_no_plain_json_is_named_by_its_line(text: str, line: int, tmp_path: Path) -> None:
    """A comment, a comma at an end, a key that is there twice."""
    path = tmp_path / "mcp.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=rf"at line {line} column \d+.* nothing was changed"):
        add_entry(path, Host.VSCODE, entry_of(Host.VSCODE, None))


def test_a_file_that_is_not_there_is_made_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "Code" / "User" / "mcp.json"
    put = entry_of(Host.VSCODE, None)
    change = add_entry(path, Host.VSCODE, put)
    assert change is not None
    assert change.apply() is None
    assert path.read_text() == snippet(Host.VSCODE, put) + "\n"
    assert remove_entry(tmp_path / "nothing.json", Host.VSCODE) is None


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """Who keeps such files elsewhere finds them changed there."""
    real, path = tmp_path / "dotfiles.json", tmp_path / "mcp.json"
    real.write_text("{}")
    path.symlink_to(real)
    change = add_entry(path, Host.CURSOR, entry_of(Host.CURSOR, None))
    assert change is not None
    change.apply()
    assert path.is_symlink()
    assert "roadster" in real.read_text()


@pytest.mark.parametrize(
    "text",
    [
        '{\n  // mine\n  "servers": {}\n}',
        '{"servers": {},}',
        "{",
        "[]",
        "1",
        '{"servers": []}',
        '{"servers": {"a": {}, "a": {}}}',
        '{"a": NaN}',
        '{"servers": {"roadster": {"command": "another", "args": []}}}',
        '{"servers": {"roadster": "x"}}',
        "\ufeff{}",
    ],
)
def test_what_cannot_be_changed_safely_is_left_alone(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError):
        add_entry(path, Host.VSCODE, entry_of(Host.VSCODE, None))
    if "roadster" in text:
        with pytest.raises(ConfigurationError, match="another server"):
            remove_entry(path, Host.VSCODE)
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_changed_while_we_asked_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    change = add_entry(path, Host.CURSOR, entry_of(Host.CURSOR, None))
    assert change is not None
    path.write_text('{"mine": 1}')
    with pytest.raises(ConfigurationError, match="changed meanwhile"):
        change.apply()
    assert path.read_text() == '{"mine": 1}'


def test_a_write_that_fails_leaves_the_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    change = add_entry(path, Host.CURSOR, entry_of(Host.CURSOR, None))
    assert change is not None

    def full(_descriptor: int) -> None:
        raise OSError

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        change.apply()
    assert path.read_text() == "{}"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="HOME is a matter of POSIX")
def test_the_command_asks_shows_installs_and_undoes(tmp_path: Path) -> None:
    path = tmp_path / ".cursor" / "mcp.json"
    home = {"HOME": str(tmp_path)}
    done = run_cli("install", "cursor", "--sandbox", **home)
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert '"--sandbox"' in done.stdout
    assert not path.exists()
    assert run_cli("install", "cursor", "--sandbox", "--yes", **home).returncode == 0
    server = json.loads(path.read_text())["mcpServers"]["roadster"]
    assert Path(server["command"]).is_absolute()
    assert server["args"][-2:] == ["serve", "--sandbox"]
    assert run_cli("install", "cursor", "--undo", "--yes", **home).returncode == 0
    assert json.loads(path.read_text()) == {"mcpServers": {}}


def test_print_prints_alone_with_the_configurations_absolute_path(tmp_path: Path) -> None:
    (tmp_path / "roadster.toml").write_text("")
    done = run_cli("install", "claude-code", "--print", cwd=tmp_path)
    assert json.loads(done.stdout)["mcpServers"]["roadster"]["args"][-2:] == [
        "--config",
        str(tmp_path / "roadster.toml"),
    ]
    assert [found.name for found in tmp_path.iterdir()] == ["roadster.toml"]
    done = run_cli("install", "claude-code", "--print", "--config", "nothing.toml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")

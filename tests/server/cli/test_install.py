"""`install` puts our entry into a host's file and keeps the rest. It does not touch a file that is unsafe to change."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from roadster_server.cli.install.hosts import entry_of, file_of, format_of, is_ours
from roadster_server.cli.install.install import add_entry, remove_entry
from roadster_server.cli.options import Host
from roadster_server.settings.errors import ConfigurationError
from tests.command_line import run_cli

JSON_HOSTS = [host for host in Host if host not in (Host.CODEX, Host.GOOSE)]
OTHERS: dict[str, Any] = {
    "theme": "dark",
    "unknown": [1, 2.5, None, {"deep": "é"}],
    "mcpServers": {"other": {"command": "x", "env": {"TOKEN": "made-up"}}},
    "servers": {"other": {"url": "https://mcp.example.com"}},
    "mcp": {"other": {"type": "remote", "url": "https://mcp.example.com"}},
    "context_servers": {"other": {"command": "x"}},
}


@pytest.mark.parametrize(
    ("host", "platform", "environment", "location"),
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
        *((Host.CODEX, platform, {}, "home/.codex/config.toml") for platform in ("darwin", "win32", "linux")),
        (Host.CODEX, "linux", {"CODEX_HOME": "codex"}, "codex/config.toml"),
        *((Host.GEMINI_CLI, platform, {}, "home/.gemini/settings.json") for platform in ("darwin", "win32", "linux")),
        (Host.GEMINI_CLI, "linux", {"GEMINI_CLI_HOME": "gemini"}, "gemini/.gemini/settings.json"),
        *((Host.COPILOT_CLI, platform, {}, "home/.copilot/mcp-config.json") for platform in ("darwin", "win32")),
        (Host.COPILOT_CLI, "linux", {"COPILOT_HOME": "copilot"}, "copilot/mcp-config.json"),
        *((Host.OPENCODE, platform, {}, "home/.config/opencode/opencode.json") for platform in ("darwin", "win32")),
        (Host.OPENCODE, "linux", {"XDG_CONFIG_HOME": "xdg"}, "xdg/opencode/opencode.json"),
        (Host.GOOSE, "darwin", {}, "home/.config/goose/config.yaml"),
        (Host.GOOSE, "linux", {"XDG_CONFIG_HOME": "xdg"}, "xdg/goose/config.yaml"),
        (Host.GOOSE, "win32", {"APPDATA": "roaming"}, "roaming/Block/goose/config/config.yaml"),
        (Host.ZED, "darwin", {"XDG_CONFIG_HOME": "xdg"}, "home/.config/zed/settings.json"),
        (Host.ZED, "linux", {"XDG_CONFIG_HOME": "xdg"}, "xdg/zed/settings.json"),
        (Host.ZED, "win32", {"APPDATA": "roaming"}, "roaming/Zed/settings.json"),
    ],
)
def test_install_knows_each_hosts_file_on_each_platform(
    host: Host, platform: str, environment: dict[str, str], location: str
) -> None:
    path = file_of(host, platform=platform, home=Path("home"), environment=environment, folder=Path("project"))
    assert path == Path(location)


@pytest.mark.parametrize("host", JSON_HOSTS)
def test_install_and_undo_leave_everything_else_alone(host: Host, tmp_path: Path) -> None:
    """Other servers and unknown keys keep their order, and the file its mode, indentation and line ends."""
    path = tmp_path / "mcp.json"
    before = json.dumps(OTHERS, indent=4, ensure_ascii=False).replace("\n", "\r\n").encode()
    path.write_bytes(before)
    path.chmod(0o640)
    ours = entry_of(host, None)
    change = add_entry(path, host, ours)
    assert change is not None
    assert path.read_bytes() == before, "nothing changes before it is applied"
    backup = change.apply()
    document = json.loads(path.read_text())
    assert document[format_of(host).section].pop("roadster") == ours
    assert json.dumps(document) == json.dumps(OTHERS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert backup is not None
    assert backup.read_bytes() == before
    assert add_entry(path, host, ours) is None
    undo = remove_entry(path, host)
    assert undo is not None
    assert undo.apply() == backup
    assert path.read_bytes() == before
    assert remove_entry(path, host) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mcp.json", "mcp.json.roadster.bak"]


@pytest.mark.parametrize("host", Host)
def test_entry_is_ours_whatever_its_arguments_are(host: Host) -> None:
    entry = entry_of(host, Path("roadster.toml"))
    assert is_ours(entry)
    words = next(value for value in entry.values() if isinstance(value, list) and "serve" in value)
    words[:] = ["another" if word.endswith("roadster-mcp") else word for word in words]
    assert not is_ours({**entry, **{key: "another" for key in ("cmd", "command") if isinstance(entry.get(key), str)}})


@pytest.mark.parametrize("indent", [None, 2])
def test_diff_shows_only_our_entry(indent: int | None, tmp_path: Path) -> None:
    """It shows no value of another server, not even in a file of one line, and none of our entry's environment."""
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
        ('{"b":1,\n\t"mcpServers": {"x": {"command":"y"}}}', '{"b":1,\n\t"mcpServers": {"x": {"command":"y"}}}'),
        ('{"theme": "dark"}\n', '{"theme": "dark"}\n'),
        ('{\n\t"theme": "dark"\n}', '{\n\t"theme": "dark"\n}'),
        ('{"mcpServers": {}, "a": 1}', '{"a": 1}'),
        ("", "{}\n"),
    ],
)
def test_undo_leaves_the_file_as_it_was_written(text: str, after: str, tmp_path: Path) -> None:
    """It also keeps a copy of the file as it was before."""
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


def test_undo_keeps_later_changes(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    change = add_entry(path, Host.CURSOR, entry_of(Host.CURSOR, None))
    assert change is not None
    change.apply()
    path.write_text(path.read_text().replace('"mcpServers', '"mine": 1, "mcpServers'))
    undo = remove_entry(path, Host.CURSOR)
    assert undo is not None
    undo.apply()
    assert json.loads(path.read_text()) == {"mine": 1}


@pytest.mark.parametrize(
    ("text", "line"),
    [('{\n  // mine\n  "mcpServers": {}\n}', 2), ('{"a": {}\n,}', 2), ('{"a": 1,\n\n"b": 2,\n"a": 3}', 4)],
)
def test_install_names_the_line_that_is_no_plain_json(text: str, line: int, tmp_path: Path) -> None:
    """The three cases are a comment, a comma at an end, and a key that is there twice."""
    path = tmp_path / "mcp.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=rf"at line {line} column \d+.* nothing was changed"):
        add_entry(path, Host.CURSOR, entry_of(Host.CURSOR, None))


def test_install_makes_a_missing_file_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "Code" / "User" / "mcp.json"
    ours = entry_of(Host.VSCODE, None)
    change = add_entry(path, Host.VSCODE, ours)
    assert change is not None
    assert change.apply() is None
    assert path.read_text() == format_of(Host.VSCODE).snippet(ours) + "\n"
    assert remove_entry(tmp_path / "nothing.json", Host.VSCODE) is None


@pytest.mark.reliability("a link in place of a host's file", "install writes nothing through it")
def test_install_writes_through_no_link(tmp_path: Path) -> None:
    real, path = tmp_path / "dotfiles.json", tmp_path / "mcp.json"
    real.write_text("{}")
    path.symlink_to(real)
    for plan in (
        lambda: add_entry(path, Host.CURSOR, entry_of(Host.CURSOR, None)),
        lambda: remove_entry(path, Host.CURSOR),
    ):
        with pytest.raises(ConfigurationError, match="is a link, and nothing is written through one"):
            plan()
    assert path.is_symlink()
    assert real.read_text() == "{}"


def test_install_refuses_a_link_that_was_made_after_the_question(tmp_path: Path) -> None:
    real, path = tmp_path / "dotfiles.json", tmp_path / "mcp.json"
    for file in (real, path):
        file.write_text("{}")
    change = add_entry(path, Host.CURSOR, entry_of(Host.CURSOR, None))
    assert change is not None
    path.unlink()
    path.symlink_to(real)
    with pytest.raises(ConfigurationError, match="is a link"):
        change.apply()
    assert real.read_text() == "{}"


@pytest.mark.reliability("a pipe in place of a host's file", "install refuses it without waiting")
@pytest.mark.skipif(os.name != "posix", reason="Windows has no such pipes")
def test_install_does_not_wait_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mcp.json")
    with pytest.raises(ConfigurationError, match="is not a plain file"):
        add_entry(tmp_path / "mcp.json", Host.CURSOR, entry_of(Host.CURSOR, None))


@pytest.mark.parametrize(
    "text",
    [
        '{\n  // mine\n  "mcpServers": {}\n}',
        '{"mcpServers": {},}',
        "{",
        "[]",
        "1",
        '{"mcpServers": []}',
        '{"mcpServers": {"a": {}, "a": {}}}',
        '{"a": NaN}',
        '{"mcpServers": {"roadster": {"command": "another", "args": []}}}',
        '{"mcpServers": {"roadster": "x"}}',
    ],
)
def test_install_leaves_an_unsafe_file_alone(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError):
        add_entry(path, Host.CURSOR, entry_of(Host.CURSOR, None))
    if "roadster" in text:
        with pytest.raises(ConfigurationError, match="another server"):
            remove_entry(path, Host.CURSOR)
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_install_does_not_overwrite_a_change_made_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    change = add_entry(path, Host.CURSOR, entry_of(Host.CURSOR, None))
    assert change is not None
    path.write_text('{"mine": 1}')
    with pytest.raises(ConfigurationError, match="changed meanwhile"):
        change.apply()
    assert path.read_text() == '{"mine": 1}'


def test_install_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_install_command_asks_shows_and_undoes(tmp_path: Path) -> None:
    path = tmp_path / ".cursor" / "mcp.json"
    home = {"HOME": str(tmp_path)}
    end = run_cli("install", "cursor", "--sandbox", **home)
    assert end.returncode == 2
    assert "--yes" in end.stderr
    assert '"--sandbox"' in end.stdout
    assert not path.exists()
    assert run_cli("install", "cursor", "--sandbox", "--yes", **home).returncode == 0
    server = json.loads(path.read_text())["mcpServers"]["roadster"]
    assert Path(server["command"]).is_absolute()
    assert server["args"][-2:] == ["serve", "--sandbox"]
    assert run_cli("install", "cursor", "--undo", "--yes", **home).returncode == 0
    assert path.read_text() == "{}\n"


def test_install_print_has_the_absolute_path_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "roadster.toml").write_text("")
    end = run_cli("install", "claude-code", "--print", cwd=tmp_path)
    assert json.loads(end.stdout)["mcpServers"]["roadster"]["args"][-2:] == [
        "--config",
        str(tmp_path / "roadster.toml"),
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["roadster.toml"]
    end = run_cli("install", "claude-code", "--print", "--config", "nothing.toml", cwd=tmp_path)
    assert (end.returncode, end.stdout) == (2, "")


def test_install_reads_files_of_settings_only(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(" " * (256 * 1024 + 1))
    with pytest.raises(ConfigurationError, match="is larger than 262,144 bytes; nothing was changed"):
        add_entry(path, Host.CURSOR, entry_of(Host.CURSOR, None))


@pytest.mark.parametrize(
    ("host", "text"),
    [
        *((host, '{"theme": "dark"}') for host in JSON_HOSTS),
        (Host.CODEX, 'model = "gpt-5"\n'),
        (Host.GOOSE, "GOOSE_MODE: auto\n"),
    ],
)
def test_install_keeps_a_byte_order_mark(host: Host, text: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(text, encoding="utf-8-sig")
    change = add_entry(path, host, entry_of(host, None))
    assert change is not None
    change.apply()
    after = path.read_bytes().decode()
    assert after.startswith("\ufeff")
    assert "\ufeff" not in after[1:]
    assert format_of(host).read(after[1:]) == entry_of(host, None)
    undo = remove_entry(path, host)
    assert undo is not None
    undo.apply()
    assert path.read_bytes() == text.encode("utf-8-sig")


@pytest.mark.parametrize("host", JSON_HOSTS)
def test_install_keeps_numbers_and_escapes_of_others_as_written(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    before = '{"large": 1e400, "price": 1.10, "half": "\\ud83d", "\\u00e9": [1,2]}'
    path.write_text(before)
    change = add_entry(path, host, entry_of(host, None))
    assert change is not None
    change.apply()
    assert path.read_text().endswith(f", {before[1:]}")
    undo = remove_entry(path, host)
    assert undo is not None
    undo.apply()
    assert path.read_text() == before


def test_install_in_zed_keeps_comments(tmp_path: Path) -> None:
    """The file that Zed makes begins with comments, and has a comma at each end."""
    path = tmp_path / "settings.json"
    before = """// Zed settings
{
  "theme": { "mode": "system", }, // as the system
  "context_servers": {
    // mine
    "other": { "command": "x", }, /* the last one */
  },
  /* "vim_mode": true, */
}
"""
    path.write_text(before)
    change = add_entry(path, Host.ZED, {"command": "/bin/roadster-mcp", "args": ["serve"]})
    assert change is not None
    change.apply()
    ours = """
    "roadster": {
      "command": "/bin/roadster-mcp",
      "args": [
        "serve"
      ]
    },"""
    assert path.read_text() == before.replace('servers": {', f'servers": {{{ours}')
    undo = remove_entry(path, Host.ZED)
    assert undo is not None
    undo.apply()
    assert path.read_text() == before


@pytest.mark.parametrize("host", Host)
def test_install_keeps_the_environment_of_our_entry(host: Host, tmp_path: Path) -> None:
    """A person or the host adds keys of their own. Only those that the command line decides change."""
    path, old, new = tmp_path / "config", entry_of(host, Path("/etc/roadster.toml")), entry_of(host, None)
    path.write_text(format_of(host).snippet({**old, "env": {"ROADSTER_API_KEY": "made-up"}}))
    change = add_entry(path, host, new)
    assert change is not None
    assert "made-up" not in change.diff()
    assert format_of(host).read(change.after) == {**new, "env": {"ROADSTER_API_KEY": "made-up"}}

"""`install` for hosts with TOML or YAML changes the lines of our entry, and leaves a file alone that it cannot read."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from roadster_server.cli.install.entries.entry_file import UnsafeFile, change_entry
from roadster_server.cli.install.hosts import entry_of, format_of
from roadster_server.cli.install.install import add_entry, remove_entry
from roadster_server.cli.options import Host
from roadster_server.settings.errors import ConfigurationError

TEXT_HOSTS = pytest.mark.parametrize("host", [Host.CODEX, Host.GOOSE])

CODEX = """\
# my own settings
model = "gpt-5"   # the large one

[mcp_servers.other]
command = "x"

[mcp_servers.other.env]
TOKEN = "made-up"

# what the terminal looks like
[tui]
notice = "\u2028"
"""
GOOSE = """\
# my own settings
GOOSE_PROVIDER: anthropic
GOOSE_SEARCH_PATHS:
- /usr/local/bin   # first
extensions:
  # it is always there
  developer:
    enabled: true
    type: builtin
    description: It's for files, and "more"
    envs:
      TOKEN: made-up

  "other one":
    cmd: x
    args:
    - --quiet
GOOSE_MODE: smart_approve
"""
FILES = {Host.CODEX: CODEX, Host.GOOSE: GOOSE}
OURS = {host: entry_of(host, None) for host in FILES}
OLD_CODEX = format_of(Host.CODEX).show(entry_of(Host.CODEX, Path("old.toml")))


def parse(host: Host, text: str) -> dict[str, Any]:
    document: dict[str, Any] = (tomllib.loads(text) if host is Host.CODEX else yaml.safe_load(text)) or {}
    return document


def with_entry(host: Host, document: dict[str, Any], entry: dict[str, Any] | None) -> dict[str, Any]:
    """Returns what the file should hold. A section without an entry is left out."""
    section = format_of(host).section
    servers = {key: value for key, value in (document.get(section) or {}).items() if key != "roadster"}
    servers |= {} if entry is None else {"roadster": entry}
    others = {key: value for key, value in document.items() if key != section}
    return {**others, section: servers} if servers else others


@TEXT_HOSTS
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_install_and_undo_keep_every_other_line(host: Host, newline: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    before = FILES[host].replace("\n", newline).encode()
    path.write_bytes(before)
    change = add_entry(path, host, OURS[host])
    assert change is not None
    assert "made-up" not in change.diff()
    backup = change.apply()
    after = path.read_bytes()
    assert parse(host, after.decode()) == with_entry(host, parse(host, FILES[host]), OURS[host])
    added = after.decode().replace(newline, "\n").split("\n")
    for line in FILES[host].split("\n"):
        added.remove(line)
    assert "\n".join(added).strip().splitlines()[0].strip(" []:").endswith("roadster")
    assert add_entry(path, host, OURS[host]) is None
    undo = remove_entry(path, host)
    assert undo is not None
    assert undo.apply() == backup
    assert path.read_bytes() == before
    assert remove_entry(path, host) is None


@TEXT_HOSTS
def test_install_changes_our_entry_where_it_stands(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "config"
    ours = entry_of(host, Path("/etc/roadster.toml"))
    text = change_entry(format_of(host), FILES[host], OURS[host])
    path.write_text(text + ("# about the next\n[last]\n" if host is Host.CODEX else ""))
    change = add_entry(path, host, ours)
    assert change is not None
    assert "--sandbox" in change.diff()
    change.apply()
    assert path.read_text() == change.before.replace('"--sandbox"', '"--config", "/etc/roadster.toml"')  # type: ignore[union-attr]


@TEXT_HOSTS
@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n"])
def test_install_makes_the_section(host: Host, text: str, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "config"
    if text:
        path.parent.mkdir()
        path.write_text(text)
    change = add_entry(path, host, OURS[host])
    assert change is not None
    change.apply()
    assert path.read_text().startswith(text.strip())
    assert parse(host, path.read_text()) == {format_of(host).section: {"roadster": OURS[host]}}
    assert parse(host, format_of(host).snippet(OURS[host])) == parse(host, path.read_text())


def test_install_knows_its_entry_after_goose_has_written_the_file(tmp_path: Path) -> None:
    """Goose writes its file anew, without quotes and with keys of its own."""
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"extensions": {"roadster": {**OURS[Host.GOOSE], "bundled": None, "env_keys": []}}}))
    assert '"' not in path.read_text()
    assert add_entry(path, Host.GOOSE, OURS[Host.GOOSE]) is None
    undo = remove_entry(path, Host.GOOSE)
    assert undo is not None
    assert undo.after == ""


def test_diff_of_an_old_entry_hides_its_environment(tmp_path: Path) -> None:
    for host, environment in (
        (Host.CODEX, '\n[mcp_servers.roadster.env]\nKEY = "made-up"\n'),
        (Host.CODEX, 'env = { KEY = "made-up" }\n'),
        (Host.GOOSE, "    envs:\n      KEY: made-up\n"),
    ):
        path = tmp_path / "config"
        path.write_text(format_of(host).snippet(OURS[host]) + "\n" + environment)
        undo = remove_entry(path, host)
        assert undo is not None
        assert "KEY" in undo.diff()
        assert "made-up" not in undo.diff()
        assert "made-up" not in undo.after


@pytest.mark.parametrize(
    ("host", "text"),
    [
        (Host.CODEX, "model = \n"),
        (Host.CODEX, "mcp_servers = 1\n"),
        (Host.CODEX, 'mcp_servers = { other = { command = "x" } }\n'),
        (Host.CODEX, 'mcp_servers.roadster = { command = "roadster-mcp", args = ["serve"] }\n'),
        (Host.CODEX, '[mcp_servers]\nroadster = { command = "/bin/roadster-mcp", args = ["serve"] }\n'),
        (Host.CODEX, '[mcp_servers.roadster]\ncommand = "another"\n'),
        (Host.CODEX, '[mcp_servers.roadster]\ncommand = "roadster-mcp"\nnote = """\n[a]\n"""\n'),
        (Host.CODEX, f'{OLD_CODEX}\n[tui]\nnote = """\n[mcp_servers.roadster]\n"""\n'),
        (Host.GOOSE, "note: a\rextensions:\r  b: 1\n"),
        (Host.GOOSE, "note: a\u2028extensions:\n"),
        (Host.GOOSE, "extensions: {a: {cmd: x}}\n"),
        (Host.GOOSE, "extensions:\n- a\n"),
        (Host.GOOSE, "extensions:\n- a: 1\n"),
        (Host.GOOSE, "extensions:\n  - a\n"),
        (Host.GOOSE, "extensions:\n  - a: 1\n"),
        (Host.GOOSE, "extensions:\n  text\n"),
        (Host.GOOSE, "extensions:\n    a:\n      cmd: x\n  b:\n    cmd: y\n"),
        (Host.GOOSE, "extensions:\n\ta: 1\n"),
        (Host.GOOSE, "extensions:\n  a: 1\nextensions:\n  b: 1\n"),
        (Host.GOOSE, "{extensions: {}}\n"),
        (Host.GOOSE, "a: &a 1\nb: *a\n"),
        (Host.GOOSE, "a: " + "[" * 5_000),
        (Host.GOOSE, "a: |\n  text"),
        (Host.GOOSE, "a: 1\n...\n"),
        (Host.GOOSE, "a: 1\n---\nextensions:\n  b: 1\n"),
        (Host.GOOSE, "extensions:\n  roadster:\n    cmd: another\n"),
    ],
)
def test_install_leaves_a_file_alone_that_it_cannot_keep_whole(host: Host, text: str, tmp_path: Path) -> None:
    """It shows what to put into the file."""
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as error:
        add_entry(path, host, OURS[host])
    (problem,) = error.value.problems
    assert "nothing was changed" in problem
    assert format_of(host).snippet(OURS[host]) in problem
    assert path.read_bytes() == text.encode()


PLAIN = st.sampled_from(["a", "it's", "x: y", "# no", "text of two words", "true", "- a", "a: |", "/bin/x", "1", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | PLAIN | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(PLAIN, values, max_size=3),
    max_leaves=8,
)
ENTRIES = st.dictionaries(st.sampled_from(["cmd", "args", "envs", "name"]), VALUES, max_size=3)
EXTENSIONS = st.dictionaries(st.sampled_from(["roadster", "developer", "a b", "x/y"]) | PLAIN, ENTRIES, max_size=3)
DOCUMENTS = st.dictionaries(st.sampled_from(["GOOSE_MODE", "a", "extension"]) | PLAIN, VALUES, max_size=3)


COMMENTS = st.sampled_from(["# a: b\n", "  # mine\n", "\n", "    # [x]\n"])


def with_comments(text: str, comments: list[tuple[float, str]]) -> str:
    """Returns the text with each comment before one of its lines."""
    lines = text.splitlines(keepends=True)
    for place, comment in comments:
        lines.insert(round(place * len(lines)), comment)
    return "".join(lines)


PLACED_COMMENTS = st.lists(st.tuples(st.floats(0, 1), COMMENTS), max_size=3)


@given(DOCUMENTS, EXTENSIONS, st.integers(2, 4), st.booleans(), PLACED_COMMENTS, st.booleans())
def test_goose_file_is_kept_or_left_alone(
    document: dict[str, Any],
    extensions: dict[str, Any],
    indent: int,
    is_first: bool,
    comments: list[tuple[float, str]],
    is_indented: bool,
) -> None:
    """Every file that a parser of YAML reads. What is changed is read by one as it should be."""
    parts = [{"extensions": extensions}, document]
    sections = [yaml.safe_dump(part, indent=indent, allow_unicode=True, width=40) for part in parts if part]
    text = with_comments("".join(sections if is_first else sections[::-1]), comments)
    text = re.sub("(?m)^", "  ", text) if is_indented else text
    file, ours = format_of(Host.GOOSE), OURS[Host.GOOSE]
    try:
        after = change_entry(file, text, ours)
        again = change_entry(file, after, None)
    except (UnsafeFile, yaml.YAMLError):
        return
    before = yaml.safe_load(text) or {}
    assert yaml.safe_load(after) == with_entry(Host.GOOSE, before, ours)
    assert file.read(after) == ours
    if "roadster" not in (before.get("extensions") or {}):
        if before.get("extensions", {"none": "yet"}):
            assert again == text
        assert re.findall("#.*", again) == re.findall("#.*", text)


@given(
    st.lists(st.sampled_from([*CODEX.splitlines(), *format_of(Host.CODEX).show(OURS[Host.CODEX]).splitlines(), "[a]"])),
    st.sampled_from(["", "\n", "\n\n"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_codex_file_is_kept_or_left_alone(lines: list[str], end: str, newline: str) -> None:
    text = ("\n".join(lines) + end).replace("\n", newline)
    try:
        before = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    file, ours = format_of(Host.CODEX), OURS[Host.CODEX]
    try:
        after = change_entry(file, text, ours)
        again = change_entry(file, after, None)
    except UnsafeFile:
        return
    assert with_entry(Host.CODEX, tomllib.loads(after), None) == with_entry(Host.CODEX, before, None)
    assert file.read(after) == ours
    assert with_entry(Host.CODEX, tomllib.loads(again), None) == with_entry(Host.CODEX, before, None)
    if "roadster" not in before.get("mcp_servers", {}):
        assert again == text


def test_comments_behind_our_entry_of_codex_stay(tmp_path: Path) -> None:
    """A person keeps an old server there for later."""
    path, ours = tmp_path / "config.toml", entry_of(Host.CODEX, Path("/etc/roadster.toml"))
    comments = '# [mcp_servers.old]\n# command = "kept for later"\n'
    path.write_text(f"{OLD_CODEX}\n{comments}")
    change, undo = add_entry(path, Host.CODEX, ours), remove_entry(path, Host.CODEX)
    assert change is not None
    assert change.after == format_of(Host.CODEX).show(ours) + "\n" + comments
    assert undo is not None
    assert undo.after == comments


@pytest.mark.parametrize("text", ["  GOOSE_MODEL: x\n", "  extensions:\n    a:\n      b: 1\n", "a: 1\n\n# end"])
def test_goose_file_may_be_indented(text: str) -> None:
    file, ours = format_of(Host.GOOSE), OURS[Host.GOOSE]
    after = change_entry(file, text, ours)
    assert yaml.safe_load(after)["extensions"]["roadster"] == ours
    assert change_entry(file, after, None) == text

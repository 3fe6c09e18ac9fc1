"""`include`: more files of one configuration. Each mistake names the file in which it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.loading import load, named_files

MAIN = """
include = ["dealers.d/*.toml"]
[roadster]
api_key = "env:ROADSTER_API_KEY"
[dealers.umazda]
[callers.local]
dealers = ["umazda", "hyundaidemo"]
access = { inventory = "read" }
[store]
url = "sqlite:////nowhere/store.db"
"""
HYUNDAI = '[dealers.hyundaidemo]\npartner_id = "CA317"\n'


@pytest.fixture
def main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with one more file."""
    monkeypatch.setenv("ROADSTER_API_KEY", "the-api-key")
    (tmp_path / "dealers.d").mkdir()
    (tmp_path / "dealers.d" / "hyundai.toml").write_text(HYUNDAI)
    (tmp_path / "roadster.toml").write_text(MAIN)
    return tmp_path / "roadster.toml"


def problems_of(main: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        load(main)
    return error.value.problems


def test_tables_of_all_files_are_one_configuration(main: Path) -> None:
    (main.parent / "dealers.d" / "more.toml").write_text('[http]\nallowed_hosts = ["mcp.example.com"]\n')
    settings = load(main)
    assert [*settings.dealers] == ["umazda", "hyundaidemo"]
    assert settings.dealers["hyundaidemo"].partner_id == "CA317"
    assert settings.http.allowed_hosts == ["mcp.example.com"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HYUNDAI + "[dealers.umazda]\n", "dealers.umazda: stands in {main} too; leave it in one file"),
        (HYUNDAI + "[store]\n", "store: stands in {main} too; leave it in one file"),
        (HYUNDAI + 'partner = "x"\n', "dealers.hyundaidemo.partner: unknown key"),
        ("include = []\n" + HYUNDAI, "include: stands at the top of {main} only; move it there"),
        ('secrets_file = "x"\n' + HYUNDAI, "secrets_file: stands at the top of {main} only; move it there"),
        (HYUNDAI + '[callers.two]\ndealers = ["x"]\n', "callers.two.dealers: unknown dealer 'x'"),
        (HYUNDAI + "[dealers", "is not TOML"),
        (HYUNDAI + "[http]\nhost = 1\n", "http.host: unknown key"),
    ],
)
def test_mistake_names_the_file_in_which_it_stands(text: str, problem: str, main: Path) -> None:
    file = main.parent / "dealers.d" / "hyundai.toml"
    file.write_text(text)
    assert any(line.startswith(f"{file}: {problem.format(main=main)}") for line in problems_of(main)), problems_of(main)


def test_same_table_in_two_files_is_a_mistake(main: Path) -> None:
    folder = main.parent / "dealers.d"
    (folder / "twin.toml").write_text(HYUNDAI)
    first, second = folder / "hyundai.toml", folder / "twin.toml"
    assert problems_of(main) == [f"{second}: dealers.hyundaidemo: stands in {first} too; leave it in one file"]


def test_include_that_matches_nothing_is_a_mistake(main: Path) -> None:
    main.write_text(MAIN.replace("dealers.d", "dealer.d"))
    assert problems_of(main) == [
        f"{main}: include: {main.parent}/dealer.d/*.toml matches no file; correct it, or take it out"
    ]


@pytest.mark.parametrize("value", ["5", '"dealers.d/*.toml"', "[5]"])
def test_include_is_a_list_of_texts(value: str, main: Path) -> None:
    main.write_text(MAIN.replace('["dealers.d/*.toml"]', value))
    assert any(problem.startswith(f"{main}: include") for problem in problems_of(main)), problems_of(main)


def test_file_that_comes_goes_or_changes_is_seen(main: Path) -> None:
    live = LiveSettings(load(main), main)
    file = main.parent / "dealers.d" / "toyota.toml"
    for change in (lambda: file.write_text("[dealers.toyotademo]\n"), lambda: file.write_text(""), file.unlink):
        before = live._read_times()
        change()
        assert live._read_times() != before


def test_files_of_a_broken_configuration_are_looked_at(main: Path) -> None:
    broken = main.parent / "dealers.d" / "broken.toml"
    broken.write_text("[dealers")
    (main.parent / "dealers.d" / "hyundai.toml").write_text('[dealers.hyundaidemo]\nlink_key = "file:/nowhere/key"\n')
    assert {broken, Path("/nowhere/key")} <= {*named_files(main)}

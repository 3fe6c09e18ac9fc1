"""The file of secrets: what `env:` falls back to, and how a running server takes a new secret."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.loading import load
from roadster_server.settings.secrets import read_secrets_file
from roadster_server.settings.settings import Settings
from tests.servers import PATIENCE

CONFIG = 'secrets_file = "secrets.env"\n[roadster]\napi_key = "env:API_KEY"\n[dealers.umazda]\n[callers.local]\n'


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "ROADIE_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def write_secrets(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "secrets.env"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def load_config(folder: Path, text: str = CONFIG) -> Settings:
    path = folder / "roadster.toml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def problems_of(folder: Path) -> str:
    with pytest.raises(ConfigurationError) as error:
        load_config(folder)
    return "\n".join(error.value.problems)


@pytest.mark.parametrize(
    "line",
    ["API_KEY=s3cret", 'API_KEY="s3cret"', "export API_KEY='s3cret'", "\ufeff# keys\n\nAPI_KEY = 's3cret' # ours"],
)
def test_secret_without_a_variable_comes_from_the_file_beside_the_configuration(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_secrets(tmp_path, line + "\n")
    monkeypatch.chdir("/")
    assert load_config(tmp_path).roadster.api_key.get_secret_value() == "s3cret"


def test_dollar_in_a_value_is_no_variable(tmp_path: Path) -> None:
    write_secrets(tmp_path, "API_KEY=a${HOME}b$c\n")
    assert load_config(tmp_path).roadster.api_key.get_secret_value() == "a${HOME}b$c"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("API_KEY=a\\nb\\\\c", "a\\nb\\\\c"),
        ("API_KEY='a\\nb'", "a\\nb"),
        ("API_KEY='a\"b $HOME #c'", 'a"b $HOME #c'),
        ('API_KEY="it\'s"', "it's"),
        ("API_KEY='$HOME'", "$HOME"),
        ("API_KEY=$2a$10$abc", "$2a$10$abc"),
        ("API_KEY==a=", "=a="),
        ("API_KEY=a;b,c`d`", "a;b,c`d`"),
        ("API_KEY =  two words  ", "two words"),
        ("\texport\tAPI_KEY='a'\t# ours", "a"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_value_is_read_as_it_is_written(mark: str, end: str, text: str, value: str, tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    path.write_bytes(f"{mark}OTHER=1{end}{text}{end}LAST=2{end}".encode())
    path.chmod(0o600)
    assert read_secrets_file(path) == {"OTHER": "1", "API_KEY": value, "LAST": "2"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('API_KEY="s3c\\nret"', "has a backslash in double quotes in the value of API_KEY.* use single quotes"),
        ('API_KEY="s3c\\dret" # "', "has a backslash in double quotes"),
        ('API_KEY="s3c\\"ret"', "has a backslash in double quotes"),
        ("API_KEY='s3c\\\\ret'", "has an escape in single quotes in the value of API_KEY; write .* without quotes"),
        ("API_KEY='s3c\\'ret'", "has an escape in single quotes"),
        ("API_KEY='s3c\nret'", "has a value of API_KEY that goes on in the next line"),
        ('API_KEY="s3c\r\nret"', "has a value of API_KEY that goes on in the next line"),
        ("API_KEY=s3cret'", "has a quote inside of the value of API_KEY"),
        ("API_KEY=s3c'ret'", "has a quote inside of the value of API_KEY"),
        ("API_KEY=$s3cret", r"has a \$ before all of the value of API_KEY, and nothing is filled in"),
        ('API_KEY="${s3cret}"', r"has a \$ before all"),
        ("API_KEY=$(cat s3cret)", r"has a \$ before all"),
        ("API_KEY='s3cret", "is not written as NAME=value"),
        ("API_KEY='s3cret'more", "is not written as NAME=value"),
        ("API_KEY: s3cret", "is not written as NAME=value"),
        ("API_KEY+=s3cret", "is not written as NAME=value"),
        ('"API_KEY"=s3cret', "is not written as NAME=value"),
        ("set API_KEY=s3cret", "is not written as NAME=value"),
        ("export API_KEY", "is not written as NAME=value"),
        ("API_KEY=''", "has no value for API_KEY; write one, or remove the line"),
        ("API_KEY=s3cret\nAPI_KEY=s3cret", "names API_KEY again"),
    ],
)
def test_value_that_could_be_meant_in_another_way_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    path = write_secrets(tmp_path, f"OTHER=1\n{text}\n")
    with pytest.raises(ValueError, match=rf"line [23] {problem}") as error:
        read_secrets_file(path)
    assert "s3c" not in str(error.value)


def test_variable_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_secrets(tmp_path, "API_KEY=of-the-file\n")
    monkeypatch.setenv("API_KEY", "of-the-variable")
    assert load_config(tmp_path).roadster.api_key.get_secret_value() == "of-the-variable"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("API_KEY", "is not written as NAME=value"),
        ("API_KEY=", "has no value for API_KEY; write one, or remove the line"),
        ("= s3cret", "is not written as NAME=value"),
    ],
)
def test_line_without_a_value_is_named_and_not_shown(line: str, problem: str, tmp_path: Path) -> None:
    path = write_secrets(tmp_path, f"OTHER=1\n{line}\n")
    problems = problems_of(tmp_path)
    assert f"secrets_file: {path}: line 2 {problem}" in problems
    assert "s3cret" not in problems


@pytest.mark.parametrize("value", ["s3cret #more", "s3cret # more", "s3cret\t#", "s3c#ret #"])
@pytest.mark.parametrize("prefix", ["", "export ", "\n  \n"])
def test_value_that_a_comment_would_cut_is_refused_unless_it_stands_in_quotes(
    prefix: str, value: str, tmp_path: Path
) -> None:
    path = write_secrets(tmp_path, f"OTHER=1\n{prefix}API_KEY={value}\n")
    line = 2 + prefix.count("\n")
    problems = problems_of(tmp_path)
    assert f"{path}: line {line} has a # after a blank in the value of API_KEY" in problems
    assert "put quotes around the value" in problems
    assert "s3c" not in problems
    for quote in "'\"":
        write_secrets(tmp_path, f"OTHER=1\n{prefix}API_KEY={quote}{value}{quote} # ours\n")
        assert read_secrets_file(path) == {"OTHER": "1", "API_KEY": value}


def test_hash_without_a_blank_before_it_belongs_to_the_value(tmp_path: Path) -> None:
    write_secrets(tmp_path, "API_KEY=#s3c#ret#\n")
    assert load_config(tmp_path).roadster.api_key.get_secret_value() == "#s3c#ret#"


def test_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    write_secrets(tmp_path, "API_KEY=one-s3cret\nAPI_KEY=two-s3cret\n")
    problems = problems_of(tmp_path)
    assert "line 2 names API_KEY again; remove one of them" in problems
    assert "s3cret" not in problems


@pytest.mark.skipif(os.name != "posix", reason="this system has no such modes")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_file_that_others_may_read_or_change_is_refused(mode: int, tmp_path: Path) -> None:
    path = write_secrets(tmp_path, "API_KEY=s3cret\n", mode)
    assert f"others may read or change it; chmod 600 {path}" in problems_of(tmp_path)


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert f"secrets_file: {tmp_path / 'secrets.env'}: there is no such file; correct the path" in problems_of(tmp_path)


def test_command_that_needs_no_secrets_reads_no_file(tmp_path: Path) -> None:
    (tmp_path / "roadster.toml").write_text(CONFIG, encoding="utf-8")
    assert "umazda" in load(tmp_path / "roadster.toml", reveal_secrets=False).dealers


@pytest.mark.anyio
async def test_running_server_takes_a_new_secret_of_the_file_at_a_reload(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A variable cannot come into a running process, so the refusal names the file at once."""
    write_secrets(tmp_path, "API_KEY=s3cret\n")
    live = LiveSettings(load_config(tmp_path), tmp_path / "roadster.toml")
    assert live.current.webhooks.roadster_keys == []
    (tmp_path / "roadster.toml").write_text(CONFIG + '[webhooks]\nroadster_keys = ["env:ROADIE_TOKEN"]\n')
    await live.reload()
    assert live.current.webhooks.roadster_keys == []
    refusal = next(record for record in caplog.records if hasattr(record, "problem"))
    assert "ROADIE_TOKEN is not set; set it before the server starts" in str(vars(refusal)["problem"])
    assert "put ROADIE_TOKEN=… into secrets_file, which a running server reads at each reload" in str(
        vars(refusal)["problem"]
    )
    write_secrets(tmp_path, "API_KEY=s3cret\nROADIE_TOKEN=new-s3cret\n")
    await live.reload()
    assert [key.get_secret_value() for key in live.current.webhooks.roadster_keys] == ["new-s3cret"]


@pytest.mark.skipif(os.name != "posix", reason="this system has no such modes")
@pytest.mark.anyio
async def test_running_server_notices_that_the_rights_of_the_file_were_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal says to use chmod, which changes no line of the file."""
    monkeypatch.setattr("roadster_server.settings.live._LOOK_EVERY", 0.01)
    keys = '[webhooks]\nroadster_keys = ["env:ROADIE_TOKEN"]\n'
    path = write_secrets(tmp_path, "API_KEY=s3cret\nROADIE_TOKEN=old\n")
    live = LiveSettings(load_config(tmp_path, CONFIG + keys), tmp_path / "roadster.toml")
    write_secrets(tmp_path, "API_KEY=s3cret\nROADIE_TOKEN=new\n", 0o644)
    await live.reload()
    assert live.current.webhooks.roadster_keys[0].get_secret_value() == "old"
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(live.watch)
            path.chmod(0o600)
            while live.current.webhooks.roadster_keys[0].get_secret_value() == "old":
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()


def test_secrets_file_that_cannot_be_read_comes_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes("API_KEY=caf\xe9".encode("latin-1"))
    for name, problem in (("none", "there is no such file"), ("latin", "is not UTF-8"), (".", "is not a plain file")):
        with pytest.raises(ValueError, match=rf": {problem}"):
            read_secrets_file(tmp_path / name)

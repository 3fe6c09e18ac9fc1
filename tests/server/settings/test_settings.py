"""A mistake in the configuration stops the start, with its file, its key and what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from roadster_server.recordings.transport import replay_from
from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.loading import load
from roadster_server.settings.secrets import reveal
from roadster_server.settings.sections.callers import CallerSettings
from roadster_server.settings.settings import Settings
from tests.conftest import CONFIG

TOKEN = "a" * 64
GOOD = CONFIG.format(base_url="https://api.roadster.com/v1", sales_token=TOKEN, reader_token="b" * 64)


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADSTER_API_KEY", "the-api-key")
    monkeypatch.setenv("UMAZDA_LINK_KEY", "k!" * 16)
    monkeypatch.setenv("STORE_URL", "postgresql://operator:s3cret@db.example.com/roadster")


def settings_of(text: str, folder: Path) -> Settings:
    path = folder / "roadster.toml"
    path.write_text(text)
    return load(path)


def test_settings_of_a_good_configuration(tmp_path: Path) -> None:
    settings = settings_of(GOOD, tmp_path)
    assert settings.caller("sales-bot").dealers == ("umazda", "hyundaidemo")
    assert settings.dealer_ref("umazda").link_key == "k!" * 16
    assert settings.roadster.auth_scheme == "Bearer"
    assert settings.caller("reader").access.keys() == {"inventory"}


def test_settings_show_no_secret_in_their_repr(tmp_path: Path) -> None:
    settings = settings_of(GOOD, tmp_path)
    text = repr(settings) + str(settings.dealer_ref("umazda"))
    assert "the-api-key" not in text
    assert "k!" * 16 not in text


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"env:ROADSTER_API_KEY"', '"live_51H8x"', "roadster.api_key: a literal secret is refused"),
        ('"env:ROADSTER_API_KEY"', '"env:NOT_SET"', "roadster.api_key: the environment variable NOT_SET is not set"),
        ('"env:ROADSTER_API_KEY"', '"file:/no/such/file"', "roadster.api_key: /no/such/file: there is no such file"),
        ('"env:ROADSTER_API_KEY"', '"env:"', "roadster.api_key: a literal secret is refused"),
        ("[roadster]", "[roadster]\nbase_uri = 1", "roadster.base_uri: unknown key"),
        ("[roadster]", "[roadster]\nauth_scheme = 'Basic'", "roadster.auth_scheme: "),
        ("[roadster]", "[rodster]", "roadster: is missing"),
        ("https://api", "ftp://api", "roadster.base_url: "),
        (
            "[dealers.umazda]",
            "[roadster.operations]\nget_car = 'GET /c'\n[dealers.umazda]",
            "get_car: unknown operation",
        ),
        (
            "[dealers.umazda]",
            "[roadster.operations]\nget_vehicle = 'GET /car'\n[dealers.umazda]",
            "roadster.operations.get_vehicle: the path must have these parameters: {vin}",
        ),
        ('dealers = ["umazda"]', 'dealers = ["umazda", "gone"]', "callers.local.dealers: unknown dealer 'gone'"),
        ('dealers = ["umazda"]', 'dealers = ["*"]', "callers.local.dealers: unknown dealer '*'"),
        ('dealers = ["umazda"]', 'dealers = "umazda"', "callers.local.dealers: "),
        ('payments = "read"', 'payment = "read"', "access.payment: unknown toolset or tool"),
        ('payments = "read"', 'payments = "yes"', "access.payments: expected one of off, read"),
        ('payments = "read"', "payments = true", "access.payments: expected one of off, read"),
        (f'["{TOKEN}"]', '["secret-token"]', "callers.sales-bot.token_sha256.1: "),
        ("b" * 64, TOKEN, "token_sha256: the same token as callers.sales-bot"),
        (
            "[callers.local]",
            "[http]\nanonymous_caller = 'x'\n[callers.local]",
            "http.anonymous_caller: unknown caller 'x'",
        ),
        ("[callers.local]", "[http]\nallowed_hosts = ['a:*']\n[callers.local]", "http.allowed_hosts.1: "),
        ("[roadster]", "[roadster", "is not TOML"),
        ("env:STORE_URL", "postgresql://operator:s3cret@db/x", "store.url: the URL holds a password"),
        ("env:STORE_URL", "mysql://db/x", "store.url: a literal secret is refused"),
        (
            "[callers.local]",
            "[uploads]\nfolder = '/no/such'\n[callers.local]",
            "uploads.folder: there is no such folder",
        ),
        *(
            ("[callers.local]", f"[uploads]\nclamd = '{address}'\n[callers.local]", "uploads.clamd: expected unix:///")
            for address in (
                "127.0.0.1:3310",
                "unix://clamd.ctl",
                "tcp://clamav",
                "tcp://clamav:x",
                "http://clamav:3310",
            )
        ),
        ("[dealers.hyundaidemo]", "link_key_encoding = 'base64'\n[dealers.hyundaidemo]", "link_key is not base64"),
        ('dealers = ["umazda"]', 'dealers = ["umazda"]\nwrites_per_hour = 0', "callers.local.writes_per_hour: "),
        (
            'partner_id = "CA317"',
            'partner_id = "51101"',
            "dealers.hyundaidemo.partner_id: the same as dealers.umazda.partner_id; leave it with the one",
        ),
        (
            'partner_id = "51101"',
            'partner_id = "ca317"',
            "dealers.hyundaidemo.partner_id: except for capital letters the same as dealers.umazda.partner_id; leave",
        ),
        (
            'mykaarma_dealer_uuid = "5b0c7d1e-6a3f-4c52-9e0d-7f1a2b3c4d52"',
            'mykaarma_dealer_uuid = "5b0c7d1e-6a3f-4c52-9e0d-7f1a2b3c4d51"',
            "dealers.hyundaidemo.mykaarma_dealer_uuid: the same as dealers.umazda.mykaarma_dealer_uuid; leave it",
        ),
        (
            'mykaarma_dealer_uuid = "5b0c7d1e-6a3f-4c52-9e0d-7f1a2b3c4d52"',
            'mykaarma_dealer_uuid = "5B0C7D1E-6A3F-4C52-9E0D-7F1A2B3C4D51"',
            "dealers.hyundaidemo.mykaarma_dealer_uuid: except for capital letters the same as dealers.umazda.mykaarma",
        ),
        (
            'partner_id = "CA317"',
            "mykaarma_dealer_id = 4101",
            "dealers.hyundaidemo.mykaarma_dealer_id: the same as dealers.umazda.mykaarma_dealer_id; leave it",
        ),
        ('partner_id = "CA317"', 'orders = ["367101", "0367102"]', "dealers.hyundaidemo.orders: entry 2: expected a"),
        ('partner_id = "CA317"', 'orders = ["367101 "]', "dealers.hyundaidemo.orders: entry 1: expected a whole"),
        ('partner_id = "CA317"', 'orders = [""]', "dealers.hyundaidemo.orders: entry 1: expected a whole"),
    ],
)
def test_mistake_names_its_file_its_key_and_what_to_do(old: str, new: str, problem: str, tmp_path: Path) -> None:
    assert old in GOOD
    with pytest.raises(ConfigurationError) as error:
        settings_of(GOOD.replace(old, new), tmp_path)
    assert any(line.startswith(f"{tmp_path / 'roadster.toml'}: ") and problem in line for line in error.value.problems)
    assert "live_51H8x" not in str(error.value)
    assert "s3cret" not in str(error.value)


def test_order_of_two_dealers_is_refused(tmp_path: Path) -> None:
    """Nothing could say which dealer it belongs to. The same order twice at one dealer is no such problem."""
    umazdas = '[dealers.umazda]\norders = ["367101", "367101", "367102"]'
    mine = GOOD.replace("[dealers.umazda]", umazdas).replace("[dealers.hyundaidemo]", "[dealers.hyundaidemo]\n{}")
    settings_of(mine.replace("{}", 'orders = ["367103"]'), tmp_path)
    with pytest.raises(ConfigurationError) as error:
        settings_of(mine.replace("{}", 'orders = ["367103", "367102", "367101"]'), tmp_path)
    assert error.value.problems == [
        f"{tmp_path / 'roadster.toml'}: dealers.hyundaidemo.orders: order {order} is also in dealers.umazda.orders; "
        "leave it with the one whose it is"
        for order in ("367102", "367101")
    ]


def test_mistakes_are_reported_all_at_once(tmp_path: Path) -> None:
    bad = GOOD.replace('payments = "read"', 'payment = "read"').replace('dealers = ["umazda"]', 'dealers = ["gone"]')
    with pytest.raises(ConfigurationError) as error:
        settings_of(bad, tmp_path)
    assert len(error.value.problems) == 3


def test_of_many_mistakes_the_first_are_reported(tmp_path: Path) -> None:
    dealers = ", ".join(f'"gone{number}"' for number in range(3000))
    with pytest.raises(ConfigurationError) as error:
        settings_of(GOOD.replace('dealers = ["umazda"]', f"dealers = [{dealers}]"), tmp_path)
    assert len(error.value.problems) == 21
    assert error.value.problems[-1] == "2980 more problems: mend these first"
    assert "2980 more problems" in str(error.value)


def test_an_unknown_caller_is_answered_with_few_names() -> None:
    settings = sandbox_settings("sqlite:///unused.db")
    many = settings.model_copy(update={"callers": {f"bot-{number:04}": CallerSettings() for number in range(3000)}})
    with pytest.raises(ConfigurationError) as error:
        many.caller("bot0017")
    text = "callers.bot0017: no such caller; one of 3,000 names; near spellings: bot-0017, "
    assert str(error.value).startswith(text)
    assert str(error.value).endswith("; name another with --caller, or add [callers.bot0017]")
    assert len(str(error.value)) < 300


def test_missing_file_leads_to_the_sandbox(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--sandbox"):
        load(tmp_path / "nothing.toml")


def test_secret_comes_from_a_file_without_its_newline(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    assert reveal(f"file:{tmp_path / 'key'}") == "s3cret"


def test_secret_that_is_empty_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY", " ")
    with pytest.raises(ValueError, match="empty"):
        reveal("env:EMPTY")


def test_roadies_token_and_the_url_of_redis_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"roadie\.token: a literal secret is refused"):
        settings_of(GOOD + '[roadie]\ntoken = "abc"\n', tmp_path)
    with pytest.raises(ConfigurationError, match=r"replicas\.redis_url: expected a redis:// or rediss:// URL"):
        settings_of(GOOD + '[replicas]\nredis_url = "env:ROADSTER_API_KEY"\n', tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes on this system")
def test_pipe_instead_of_a_file_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match="not a plain file"):
        load(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match=r"roadster\.api_key: .* is not a plain file"):
        settings_of(GOOD.replace("env:ROADSTER_API_KEY", f"file:{tmp_path / 'pipe'}"), tmp_path)
    with pytest.raises(ConfigurationError, match=r"secrets_file: .* is not a plain file"):
        settings_of(f"secrets_file = '{tmp_path / 'pipe'}'\n{GOOD}", tmp_path)
    with pytest.raises(ConfigurationError, match="not a plain file"):
        replay_from(tmp_path / "pipe")


@pytest.mark.skipif(not Path("/dev/zero").is_char_device(), reason="there are no devices on this system")
def test_device_and_folder_are_no_secrets(tmp_path: Path) -> None:
    for path in ("/dev/zero", "/dev/tty", tmp_path):
        with pytest.raises(ConfigurationError, match=r"is not a plain file|cannot be read"):
            settings_of(GOOD.replace("env:ROADSTER_API_KEY", f"file:{path}"), tmp_path)


def test_files_that_are_too_large_are_refused_with_their_limit(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_text("x" * (64 * 1024 + 1))
    large.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"roadster\.api_key: .* is larger than 65,536 bytes"):
        settings_of(GOOD.replace("env:ROADSTER_API_KEY", f"file:{large}"), tmp_path)
    with pytest.raises(ConfigurationError, match=r"secrets_file: .* is larger than 65,536 bytes"):
        settings_of(f"secrets_file = '{large}'\n{GOOD}", tmp_path)
    os.truncate(large, 2 * 1024 * 1024 + 1)
    with pytest.raises(ConfigurationError, match=r"large: is larger than 2,097,152 bytes"):
        load(large)
    os.truncate(large, 64 * 1024 * 1024 + 1)
    with pytest.raises(ConfigurationError, match=r"large: is larger than 67,108,864 bytes"):
        replay_from(large)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[callers.a]\ndealers = ["umazda", "hyundaidemo", "umazda"]\n', "callers.a.dealers: entries 1 and 3"),
        (f'[callers.a]\ntoken_sha256 = ["{"a" * 64}", "{"a" * 64}"]\n', "callers.a.token_sha256: entries 1 and 2"),
        ('[http]\nallowed_hosts = ["mcp.example.com", "mcp.example.com"]\n', "http.allowed_hosts: entries 1 and 2"),
    ],
)
def test_entry_that_stands_twice_in_a_list_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    """A dealer that is named twice would be shown twice to every caller."""
    with pytest.raises(ConfigurationError) as error:
        settings_of(GOOD + text, tmp_path)
    assert error.value.problems == [f"{tmp_path / 'roadster.toml'}: {problem} are the same; remove one of them"]


def test_byte_order_mark_is_skipped_in_files_of_every_kind(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n", encoding="utf-8-sig")
    assert reveal(f"file:{tmp_path / 'key'}") == "s3cret"
    (tmp_path / "roadster.toml").write_text(GOOD, encoding="utf-8-sig")
    assert "umazda" in load(tmp_path / "roadster.toml").dealers

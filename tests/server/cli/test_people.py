"""`people open`: the link that it prints is good at the server, and its mistakes say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.live import LiveSettings
from tests.command_line import run_cli
from tests.conftest import PROJECT
from tests.server.people.browser import page_browser
from tests.server.transports.listening import listening

EXAMPLE = (PROJECT / "examples" / "pages.toml").read_text()


@pytest.mark.anyio
async def test_the_link_signs_in_at_the_sandbox(tmp_path: Path) -> None:
    async with listening(LiveSettings(sandbox_settings(f"sqlite:///{tmp_path}/store.db"))) as origin:
        result = run_cli("people", "open", "--sandbox", "--port", origin.rpartition(":")[2])
        assert result.returncode == 0
        assert "signs in as manager, once, within 5 minutes" in result.stderr
        assert result.stdout.startswith(f"{origin}/people/link?key=")
        async with page_browser(origin) as browser:
            await browser.open(result.stdout.strip())
            await browser.submit("/people/link")
            assert "Signed in as <bdi>manager</bdi>" in browser.page.text


@pytest.mark.parametrize(
    ("config", "arguments", "problem"),
    [
        (EXAMPLE.partition("[people]")[0], (), "people.local_caller: is missing, so no link signs anybody in"),
        (EXAMPLE, ("--host", "10.0.0.1"), "--host 10.0.0.1: links are for the computer of the server"),
        (EXAMPLE.replace('"owner"', '"nobody"'), (), "people.local_caller: unknown caller 'nobody'"),
        (EXAMPLE + '[http]\npath_prefix = "/people"\n', (), "http.path_prefix: the pages for people are at /people/"),
    ],
)
def test_a_mistake_says_what_to_do(tmp_path: Path, config: str, arguments: tuple[str, ...], problem: str) -> None:
    path = tmp_path / "roadster.toml"
    path.write_text(config)
    result = run_cli("people", "open", "--config", str(path), *arguments, ROADSTER_API_KEY="made-up")
    assert result.returncode == 2
    assert problem in result.stderr
    assert result.stdout == ""


def test_the_link_stands_below_the_prefix(tmp_path: Path) -> None:
    path = tmp_path / "roadster.toml"
    path.write_text(EXAMPLE + '[http]\npath_prefix = "/roadster"\n')
    result = run_cli("people", "open", "--config", str(path), ROADSTER_API_KEY="made-up")
    assert result.stdout.startswith("http://127.0.0.1:8000/roadster/people/link?key=")

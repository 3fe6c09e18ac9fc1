"""The settings in force while the file changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadster_server.settings.live import LiveSettings
from roadster_server.settings.loading import load


@pytest.mark.parametrize(
    "bad",
    [
        '[uploads]\nfolder = "~nosuchuser/x"',
        f'[uploads]\nfolder = "/{"x" * 5000}"',
        f"[http]\nallowed_hosts = [{'9' * 5000}]",
        "[http]\nallowed_hosts = " + "[" * 3000 + "]" * 3000,
    ],
)
def test_live_settings_survive_a_file_that_cannot_be_used(
    bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "the-api-key")
    config = tmp_path / "roadster.toml"
    config.write_text('[roadster]\napi_key = "env:KEY"\n[dealers.umazda]\n[callers.local]\n')
    live = LiveSettings(load(config), config)
    before = live.current
    config.write_text(config.read_text() + bad)
    live.reload()
    assert live.current is before

"""Defaults that the command line and the server share."""

from __future__ import annotations

from pathlib import Path

LOCAL_CALLER = "local"
"""The caller of stdio and of the command line: `[callers.local]`."""

DEFAULT_CONFIG = Path("roadster.toml")
"""The configuration file, in the current folder."""

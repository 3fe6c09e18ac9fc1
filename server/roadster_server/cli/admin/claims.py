"""Reads the claims that `policy explain` is asked about. A token in their place is refused, and never repeated."""

from __future__ import annotations

import re
from typing import TextIO

from roadster_server.cli.calls.call import read_text
from roadster_server.cli.plain_json import read_json
from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.rights import Claims

_TOKEN = re.compile(r'\s*"?(Bearer\s+)?ey[\w-]{16,}\.[\w-]{16,}\.[\w-]*"?\s*', re.ASCII)
"""A JWT as people copy it. `ey` is a brace and the beginning of a name in base64."""


def read_claims(name: str, stdin: TextIO) -> Claims:
    """Reads claims from a file, or from stdin for `-`. Raises ConfigurationError, which never repeats a token."""
    if _TOKEN.fullmatch(name):
        raise _no_token("the value of --token-claims")
    text = read_text(name, stdin)
    if _TOKEN.fullmatch(text):
        raise _no_token(name)
    try:
        claims = read_json(text)
    except ValueError as error:
        raise ConfigurationError([f"{name}: is {error}"]) from None
    if not isinstance(claims, dict):
        raise ConfigurationError([f'{name}: is no JSON object of claims; write it as {{"iss": "…", "sub": "…"}}'])
    return claims


def _no_token(place: str) -> ConfigurationError:
    text = "is a token, which lets in whoever reads it; it belongs in no file and no argument, so give its claims only"
    return ConfigurationError([f"{place} {text}"])

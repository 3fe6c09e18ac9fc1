"""Writes the pages: HTML from templates, in which every value is a text.

Values may come from an upstream or from a model. So each one is escaped, and what nobody would see of it is shown as an
escape. The headers allow a page nothing but its own style, scripts and pictures: see `HEADERS`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from math import ceil
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from roadster_client import with_escapes

from .browsers import form_token
from .forms import TOKEN_FIELD

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # With no-referrer, browsers would send forms with `Origin: null`. No other site gets it this way either.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""The headers of every answer that does not set them itself."""

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


class Pages:
    """The templates, with the values that all of them use. `key` makes the tokens of their forms."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._environment = Environment(
            loader=PackageLoader("roadster_server.people"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_visible_text,
        )
        self._environment.filters["time"] = show_time
        self._environment.filters["utc"] = show_utc
        self._environment.filters["duration"] = show_duration

    def render(self, request: Request, name: str, status: int = 200, **values: Any) -> Response:
        """Returns the page that the template `name` makes of the values.

        Each template also has `path(PAGE)`, the address of a page, `form_token()`, a field for a form, and `visitor`.
        """
        prefix = request.scope.get("root_path", "")
        text = self._environment.get_template(name).render(
            path=lambda page="": f"{prefix}/people/{page}".removesuffix("/"),
            form_token=lambda: Markup('<input type="hidden" name="{}" value="{}">').format(
                TOKEN_FIELD, form_token(request, self._key)
            ),
            form_token_value=lambda: form_token(request, self._key),
            visitor=request.scope.get("state", {}).get("people_visitor"),
            **values,
        )
        return HTMLResponse(text, status)


def _visible_text(value: Any) -> Any:
    if value is None:
        return ""
    return value if isinstance(value, Markup) else with_escapes(str(value))


def show_time(time: datetime) -> Markup:
    """Returns a time in UTC, such as `2026-11-28 16:05 UTC`, which a script of the page turns into the local one."""
    time = time.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        time.isoformat(timespec="seconds"), f"{time:%Y-%m-%d %H:%M} UTC"
    )


def show_utc(time: datetime) -> str:
    """Returns a time to the second, in UTC: for an operator, who compares it with logs and searches by it."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def show_duration(duration: timedelta) -> str:
    """Returns a duration in its largest unit, such as `3 hours`. Less than two of a unit are in the smaller one."""
    seconds = max(0, ceil(duration.total_seconds()))
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} seconds" if seconds != 1 else "1 second"


@cache
def _static_files() -> Mapping[str, tuple[bytes, str, str]]:
    """Returns the content, the media type and the tag of each file that pages load, by its name."""
    contents = {file.name: file.read_bytes() for file in files("roadster_server.people").joinpath("static").iterdir()}
    return {
        name: (content, _TYPES[kind], f'"{hashlib.sha256(content).hexdigest()[:16]}"')
        for name, content in contents.items()
        if (kind := name.rpartition(".")[2]) in _TYPES
    }


async def static_file(request: Request) -> Response:
    """Answers with the style, a script or a picture of the pages."""
    file = _static_files().get(request.path_params["name"])
    if file is None:
        return Response(status_code=404)
    content, kind, tag = file
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)

"""Reads the forms of pages, under limits, and only those that a page of this server has sent."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from roadster_server.request_body import BodyCutOff, BodyTooLarge, BodyTooSlow, read_body

from .browsers import is_form_token

TOKEN_FIELD = "form_token"  # noqa: S105 - the name of a field
"""The field of every form that holds its token."""
TOKEN_HEADER = "x-form-token"  # noqa: S105 - the name of a header
"""The header that holds it where a script sends the form."""

MOST_BYTES = 64 * 1024
"""The size of a form without files."""
_MOST_FIELDS = 100
_SECONDS = 15.0
"""Seconds for a form to come in. A phone sends a few KB."""


class FormRefused(Exception):
    """The form is not one that a page of ours has just sent. The text is for the person in front of it."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


async def read_form(request: Request, key: bytes) -> Mapping[str, str]:
    """Returns the fields of a form without files, all checked. Raises FormRefused."""
    try:
        body = await read_body(request.scope, request.receive, max_bytes=MOST_BYTES, seconds=_SECONDS)
    except BodyTooLarge:
        raise FormRefused("The form is too large. Shorten what you typed, and send it again.", 413) from None
    except (BodyTooSlow, BodyCutOff):
        raise FormRefused("The form did not come in whole. Go back and send it again.", 408) from None
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise FormRefused("The form cannot be read. Go back and send it again.", 400) from None
    fields = dict(pairs)
    require_token(request, key, fields.get(TOKEN_FIELD, ""))
    return fields


def require_token(request: Request, key: bytes, token: str) -> None:
    """Raises FormRefused where the form's token is not one of this browser, as after a sign-out."""
    if not is_form_token(request, key, token):
        raise FormRefused("This page is too old, or of another sign-in. Open it anew, and do it again.", 403)

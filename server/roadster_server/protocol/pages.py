"""The pages of the protocol's lists. A list is the same at each request, so its cursor is a plain position in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PaginatedRequestParams

from roadster_client import is_absent

from .visible import PAGE

_RowT = TypeVar("_RowT")


def page_of(
    rows: Sequence[_RowT], params: PaginatedRequestParams | None, *, most: int = PAGE
) -> tuple[Sequence[_RowT], str | None]:
    """Returns the page that the request asks for, and the cursor of the next one.

    A blank cursor counts as left out, as in the tools. Raises MCPError for a cursor that is not one of this list.
    """
    cursor = None if params is None or is_absent(params.cursor) else params.cursor
    start = 0 if cursor is None else _position(cursor, len(rows), most)
    end = start + most
    return rows[start:end], str(end) if end < len(rows) else None


def _position(cursor: str, length: int, most: int) -> int:
    position = int(cursor) if re.fullmatch("[1-9][0-9]{0,6}", cursor) else 0
    if not 0 < position < length or position % most:
        raise MCPError(INVALID_PARAMS, "cursor: is not a nextCursor of this list; start again without it")
    return position

"""The file of a write that waits for a person: in words, and as the call that waits would send it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from roadster_tools.answers import quantity
from roadster_tools.arguments.problems import problems_in
from roadster_tools.failures import InvalidArguments
from roadster_tools.gate.waiting_files import FilePurpose, Uploads
from roadster_tools.tool import Tool

from .files import PDF, FileArguments, Upload, content_type, look_into

_PICTURES: Mapping[str | None, str] = {"image/jpeg": "a JPEG picture", "image/png": "a PNG picture"}
_KB, _MB = 1000, 1_000_000


async def file_in_words(content: bytes) -> str:
    """Returns the kind, the pages and the size of a file that a tool has checked, such as `a PDF of 2 pages, 31 KB`."""
    kind = content_type(content)
    if kind != PDF:
        return f"{_PICTURES.get(kind, 'a file')}, {_size(len(content))}"
    facts = await look_into(Upload(content, "contents"), PDF)
    pages = "" if facts.pages is None else f" of {quantity(facts.pages, 'page')}"
    password = ", which asks for a password" if facts.asks_for_password else ""
    return f"a PDF{pages}{password}, {_size(len(content))}"


def _size(count: int) -> str:
    if count < _KB:
        return quantity(count, "byte")
    return f"{count / _KB:,.0f} KB" if count < _MB else f"{count / _MB:,.1f} MB"


async def file_of_call(tool: Tool, arguments: Mapping[str, Any], uploads: Uploads) -> bytes:
    """Returns the file that a call with these arguments would send. It asks nobody for one.

    Raises InvalidArguments where the file is not there any more.
    """
    try:
        values = tool.arguments.model_validate(arguments).model_dump()
    except ValidationError as error:  # stored by a version with other arguments
        raise InvalidArguments(problems_in(error, tool.arguments)) from None
    handed = FileArguments(values.get("contents"), values.get("path"), values.get("upload"))
    if await handed.need_a_person(uploads):
        raise InvalidArguments({"upload": "no file was handed over"})
    purpose = FilePurpose(tool.name, values.get("customer_id"), values.get("document_type"))
    return (await handed.read(uploads, purpose)).content

"""Files that a page gives to a person: as an attachment, never shown in the browser itself."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from roadster_tools import File

_EXTENSIONS: Mapping[str, str] = {"image/jpeg": "jpg", "image/png": "png", "application/pdf": "pdf"}


def attachment(file: File, name: str) -> Response:
    """Returns the answer with the file. `name` is one of ours, and gets the extension of the file's kind."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.{_EXTENSIONS[file.content_type]}"'}
    return Response(file.content, media_type=file.content_type, headers=headers)

"""The page where a person hands over the file that a call waits for. Its link is all that it asks of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import segno
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from roadster_client import is_loopback, with_escapes
from roadster_server.calls.keys import Keys
from roadster_server.uploads.acceptance import MOST_FILES
from roadster_server.uploads.clamd import scan_with
from roadster_server.uploads.waiting import PAGE, FileDesk, FileKeys, LinkNotGood, OpenLink
from roadster_tools.failures import UnusableFile
from roadster_tools.files.upload_folder import MAX_FILE_BYTES

from .context import People
from .file_forms import FileForms, HandedFile, read_files
from .forms import FormRefused

_GONE, _UNUSABLE = 410, 422

_MOST_NAME = 80
"""Characters of a file's name in a sentence."""

_DOCUMENTS: Mapping[str, str] = {
    "license": "driver's license, front",
    "license_back": "driver's license, back",
    "insurance": "proof of insurance",
    "income": "proof of income",
    "residency": "proof of residence",
    "other": "document",
    "deal": "document of the deal",
    "": "blank form (PDF)",
}
"""The words for each type of document, on a page for a person."""


def upload_routes(people: People) -> list[Route]:
    services = people.calls.services
    uploads = people.settings.uploads
    desk = FileDesk(services.store, _file_keys(services.keys), scan_with(uploads.clamd if uploads else None))
    pages = _FilePages(people, desk)
    return [
        Route(f"/people/{PAGE}/{{secret}}", pages.show, methods=["GET"]),
        Route(f"/people/{PAGE}/{{secret}}", pages.take, methods=["POST"]),
        Route(f"/people/{PAGE}/{{secret}}/state", pages.state, methods=["GET"]),
    ]


def _file_keys(keys: Keys) -> FileKeys:
    return FileKeys(keys.files, keys.hash)


class _FilePages:
    def __init__(self, people: People, desk: FileDesk) -> None:
        self._people = people
        self._desk = desk
        self._forms = FileForms()

    async def show(self, request: Request) -> Response:
        """Shows the form, or what was handed over by the link."""
        try:
            link = await self._desk.look(request.path_params["secret"])
        except LinkNotGood:
            return self._gone(request)
        if link.about:
            return self._done(request, link.about)
        return await self._form(request, link)

    async def state(self, request: Request) -> Response:
        """Answers with what was handed over by the link, for the script of a page that waits for a phone."""
        try:
            link = await self._desk.look(request.path_params["secret"])
        except LinkNotGood:
            return JSONResponse({"is_over": True, "about": ""})
        return JSONResponse({"is_over": False, "about": link.about})

    async def take(self, request: Request) -> Response:
        """Takes the file of a form, sent by the browser itself or by the page's script."""
        secret = request.path_params["secret"]
        is_script = "application/json" in request.headers.get("accept", "")
        files: list[HandedFile] = []
        try:
            async with self._forms.place(secret):
                # Before anything is read: only who has a good link makes the server take files into its memory.
                await self._desk.begin(secret)
                files = await read_files(request, self._people.calls.services.keys.people)
                file = await self._desk.take(secret, [each.content for each in files])
        except LinkNotGood:
            return JSONResponse({"is_over": True}, _GONE) if is_script else self._gone(request)
        except FormRefused as error:
            if is_script:
                return JSONResponse({"problem": str(error)}, error.status)
            raise
        except UnusableFile as error:
            problem = f"The file {_name_of(files, error)}{error}."
            if is_script:
                return JSONResponse({"problem": problem, "refused": [error.number]}, _UNUSABLE)
            return await self._form_again(request, problem)
        return JSONResponse({"about": file.about}) if is_script else self._done(request, file.about)

    async def _form_again(self, request: Request, problem: str) -> Response:
        """Returns the form with what was wrong, as long as the link is good."""
        try:
            link = await self._desk.look(request.path_params["secret"])
        except LinkNotGood:
            return self._gone(request)
        return await self._form(request, link, problem=problem, status=_UNUSABLE)

    async def _form(self, request: Request, link: OpenLink, *, problem: str = "", status: int = 200) -> Response:
        url = await self._people.calls.services.page_links.url(f"{PAGE}/{request.path_params['secret']}")
        # A phone cannot open a page that only this machine serves.
        is_for_phones = url is not None and not is_loopback(urlsplit(url).hostname or "")
        return self._people.pages.render(
            request,
            "files.html",
            status,
            link=link,
            secret=request.path_params["secret"],
            document=_DOCUMENTS.get(link.document_type, link.document_type),
            problem=problem,
            code=segno.make(url or "", micro=False).svg_data_uri(border=2, light="white") if is_for_phones else "",
            most_files=MOST_FILES,
            most_bytes=MAX_FILE_BYTES,
        )

    def _done(self, request: Request, about: str) -> Response:
        return self._people.pages.render(request, "files_done.html", about=about)

    def _gone(self, request: Request) -> Response:
        text = "A link takes one file, and is good for ten minutes. Ask the assistant for a new one."
        return self._people.pages.render(
            request, "message.html", _GONE, title="This link is not good any more", text=text, has_start=False
        )


def _name_of(files: Sequence[HandedFile], error: UnusableFile) -> str:
    """Returns the name of the file that the error is about, in quotes and cut, and nothing where it has none."""
    name = "" if error.number is None else files[error.number].name
    return f"{json.dumps(with_escapes(name[:_MOST_NAME]), ensure_ascii=False)} " if name else ""

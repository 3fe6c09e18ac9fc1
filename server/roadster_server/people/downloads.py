"""The page where a person takes a file once, by a link from an assistant's answer.

The page asks for a click. Chats open the links in their messages by themselves, and must not use them up.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from roadster_server.calls.context import PageOrigin
from roadster_server.uploads.downloads import PAGE, DownloadDesk
from roadster_server.uploads.waiting import FileKeys, LinkNotGood
from roadster_tools import TOOLS, Failure, resource_at

from .attachments import attachment
from .context import People
from .forms import read_form

_GONE, _FAILED = 410, 409


def download_routes(people: People) -> list[Route]:
    services = people.calls.services
    desk = DownloadDesk(services.store, FileKeys(services.keys.files, services.keys.hash))
    pages = _DownloadPages(people, desk)
    return [
        Route(f"/people/{PAGE}/{{secret}}", pages.show, methods=["GET"]),
        Route(f"/people/{PAGE}/{{secret}}", pages.give, methods=["POST"]),
    ]


class _DownloadPages:
    def __init__(self, people: People, desk: DownloadDesk) -> None:
        self._people = people
        self._desk = desk

    async def show(self, request: Request) -> Response:
        """Shows the button. The link stays good."""
        try:
            link = await self._desk.look(request.path_params["secret"])
        except LinkNotGood:
            return self._gone(request)
        return self._people.pages.render(
            request,
            "download.html",
            link=link,
            secret=request.path_params["secret"],
            until=datetime.fromtimestamp(link.expires / 1000, UTC),
        )

    async def give(self, request: Request) -> Response:
        """Answers with the file, which is read now, with the rights that the caller has now."""
        services = self._people.calls.services
        await read_form(request, services.keys.people)
        try:
            download = await self._desk.use(request.path_params["secret"])
        except LinkNotGood:
            return self._gone(request)
        place = resource_at(download.uri)
        if place is None:
            return self._gone(request)
        resource, arguments = place
        current_caller = await services.requesters.open(download.requester)
        origin = PageOrigin(f"roadster-mcp/{version('roadster-mcp')}", "page")
        file = await self._people.calls.use(
            current_caller, origin, TOOLS[resource.tool_name], arguments, resource.download
        )
        if isinstance(file, Failure):
            return self._message(request, _FAILED, "The file cannot be given", file.text)
        return attachment(file, resource.name)

    def _gone(self, request: Request) -> Response:
        text = "A link gives one file once, within ten minutes. Ask the assistant for a new one."
        return self._message(request, _GONE, "This link is not good any more", text)

    def _message(self, request: Request, status: int, title: str, text: str) -> Response:
        return self._people.pages.render(request, "message.html", status, title=title, text=text, has_start=False)

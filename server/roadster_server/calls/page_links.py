"""The addresses of the pages for people, for answers that send a person to one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from roadster_server.settings.settings import Settings


async def _nowhere() -> str | None:
    return None


class PageLinks:
    """Finds the address of a page: at the origin of `http.resource_url`, else where this process listens.

    `find_address` returns the address that this process listens on, such as `http://127.0.0.1:8000`, or None where it
    listens on none. Over stdio it begins to listen, so the first link takes a moment. It does not serve what is public.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        find_address: Callable[[], Awaitable[str | None]] = _nowhere,
        *,
        is_public: bool = True,
    ) -> None:
        self._settings = settings
        self._find_address = find_address
        self._is_public = is_public

    async def url(self, path: str) -> str | None:
        """Returns the URL of the page at `path` below `/people/`, such as `approvals/4f2a`. None if nobody serves it.

        The URL may stand in an answer to a model. So `path` names a page, and never lets anybody in.
        """
        origin = await self.origin()
        prefix = self._settings().http.path_prefix if self._is_public else ""
        return None if origin is None else f"{origin}{prefix}/people/{path}"

    async def origin(self) -> str | None:
        """Returns the scheme, host and port of the pages."""
        resource = self._settings().http.resource_url
        if resource is None or not self._is_public:
            return await self._find_address()
        parts = urlsplit(resource)
        return f"{parts.scheme}://{parts.netloc}"

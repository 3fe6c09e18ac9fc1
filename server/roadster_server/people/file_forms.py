"""Reads a form with files, into memory and under limits: no file of a person lies unsealed on a disk."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from roadster_server.request_body import BodyCutOff, BodyTooLarge, BodyTooSlow, read_body

from .forms import TOKEN_FIELD, TOKEN_HEADER, FormRefused, require_token

MOST_BYTES = 30 * 1024 * 1024
"""All files of one form together. Ten photos of a phone have about so many."""

_SECONDS = 240.0
"""Seconds for the form to come in. A phone on a slow network sends a megabit a second."""

_LEAST_SPEED = 16 * 1024
"""Bytes a second. Slower forms hold the places in memory of others, and would not get a photo through in time."""

_MOST_FILES = 20
_MOST_FIELDS = 5

_MOST_AT_ONCE = 4
"""Forms in memory at the same time. Each takes twice its size."""
_WAIT_SECONDS = 20.0


@dataclass(frozen=True)
class HandedFile:
    """A file of a form. `name` is what the person's device calls it, so it is theirs to read and no fact."""

    name: str
    content: bytes


class _MemoryParser(MultiPartParser):
    spool_max_size = MOST_BYTES + 1


class FileForms:
    """The forms with files that one process reads."""

    def __init__(self) -> None:
        self._places = anyio.Semaphore(_MOST_AT_ONCE)
        self._links: set[str] = set()
        """The links that have a place or wait for one."""

    @asynccontextmanager
    async def place(self, link: str) -> AsyncIterator[None]:
        """Gives the form of a link a place in memory until the block ends. Raises FormRefused.

        A link has one place: whoever has it could hold all of them with forms that come in slowly.
        """
        if link in self._links:
            raise FormRefused("A file is being handed over by this link already. Wait until that has ended.", 409)
        self._links.add(link)
        try:
            await self._acquire()
            try:
                yield
            finally:
                self._places.release()
        finally:
            self._links.discard(link)

    async def _acquire(self) -> None:
        try:
            with anyio.fail_after(_WAIT_SECONDS):
                await self._places.acquire()
        except TimeoutError:
            raise FormRefused("Too many people hand over files at this moment. Try again in a minute.", 503) from None


async def read_files(request: Request, key: bytes) -> list[HandedFile]:
    """Returns the files of a form of ours. A field without a file is left out. Raises FormRefused.

    The token of a script stands in a header, so a form with a wrong one is refused before its body is read.
    """
    header_token = request.headers.get(TOKEN_HEADER)
    if header_token is not None:
        require_token(request, key, header_token)
    try:
        body = await read_body(
            request.scope,
            request.receive,
            max_bytes=MOST_BYTES + 64 * 1024,  # a form is a little larger than its files
            seconds=_SECONDS,
            least_speed=_LEAST_SPEED,
        )
    except BodyTooLarge:
        raise FormRefused(f"These are more than {MOST_BYTES >> 20} MiB. Give fewer at once.", 413) from None
    except BodyTooSlow:
        raise FormRefused("The file came in too slowly. Try again, where the network is better.", 408) from None
    except BodyCutOff:
        raise FormRefused("The file did not come in whole. Try again, where the network is better.", 408) from None
    parser = _MemoryParser(request.headers, _stream_of(body), max_files=_MOST_FILES, max_fields=_MOST_FIELDS)
    del body
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError):  # KeyError: no boundary
        raise FormRefused("The form cannot be read. Go back and send it again.", 400) from None
    try:
        if header_token is None:
            token = form.get(TOKEN_FIELD)
            require_token(request, key, token if isinstance(token, str) else "")
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        return [HandedFile(file.filename or "", await file.read()) for file in files if file.filename or file.size]
    finally:
        await form.close()


async def _stream_of(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body

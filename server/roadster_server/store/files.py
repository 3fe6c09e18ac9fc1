"""The files in the store that wait for a call, and the requests for them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from .databases.database import Database
from .records import AuditRecord, FileRequest, StoredFileRequest
from .rows import files

_MOST_FORGOTTEN = 100
"""Requests that are deleted in one transaction."""


@dataclass(frozen=True)
class SqlFiles:
    """The requests for files. A method writes in one transaction, and raises StoreError. Times are milliseconds."""

    database: Database

    async def request(self, request: FileRequest, *, now: int, most: int) -> bool:
        """Adds a request for a file, and deletes some of those that are over.

        Returns False, and adds none, where `most` of the principal are not over. It is durable with the record of its
        call.
        """

        def add(connection: Connection) -> bool:
            files.forget_expired(connection, now, _MOST_FORGOTTEN)
            return files.add(connection, request, now, most)

        return await self.database.write_before_record(add)

    async def offer(self, download: FileRequest, facts: str, *, now: int) -> None:
        """Adds a link to a download in the same way. No limit counts it."""

        def add(connection: Connection) -> None:
            files.forget_expired(connection, now, _MOST_FORGOTTEN)
            files.add_download(connection, download, facts)

        await self.database.write_before_record(add)

    async def use(self, link: str, *, now: int) -> StoredFileRequest | None:
        """Returns the request whose link has this hash, and deletes it. Returns None where it is over or was used."""
        return await self.database.write(files.use, link, now)

    async def by_link(self, link: str, *, now: int) -> StoredFileRequest | None:
        """Returns the request whose link has this hash, None where it is over."""
        return await self.database.read(files.find_by_link, link, now)

    async def by_file(self, file: str, *, now: int) -> StoredFileRequest | None:
        """Returns the request whose handle has this hash, None where it is over."""
        return await self.database.read(files.find_by_file, file, now)

    async def begin(self, link: str, *, now: int, most: int) -> StoredFileRequest | None:
        """Counts an attempt to hand over a file, and returns the request.

        Returns None where there were `most` attempts, there is a file, or the link is over. That is read first: anybody
        may guess links, and each write would take its turn before those of the calls.
        """
        if not await self.database.read(files.can_begin, link, now, most):
            return None
        return await self.database.write(files.begin, link, now, most)

    async def add_part(self, file: str, content: str, number: int, part: bytes, *, expires: int) -> None:
        """Adds a part of one attempt. It is durable with the end of the attempt."""
        await self.database.write_before_record(files.add_part, file, content, number, part, expires)

    async def end(self, link: str, content: str, facts: str, *, now: int, expires: int, record: AuditRecord) -> bool:
        """Makes the parts of an attempt the file of the request, and adds `record` to the audit.

        Returns False, and changes nothing, where another attempt was first, or the link is over.
        """
        return await self.database.write(files.end, link, content, facts, now=now, expires=expires, record=record)

    async def parts(self, file: str, content: str) -> list[bytes]:
        """Returns the parts of a file, in order."""
        return await self.database.read(files.parts, file, content)

    async def drop_attempt(self, file: str, content: str) -> None:
        """Deletes the parts of an attempt that came to nothing."""
        await self.database.write_before_record(files.remove_parts, file, content)

    async def remove(self, file: str) -> None:
        """Deletes a request, and its file."""
        await self.database.write(files.remove, file)

    async def forget_expired(self, *, now: int) -> None:
        """Deletes what is over."""
        while await self.database.write(files.forget_expired, now, _MOST_FORGOTTEN) == _MOST_FORGOTTEN:
            pass

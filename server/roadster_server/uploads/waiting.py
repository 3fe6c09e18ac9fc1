"""The files in the store that people hand over by links: asked for by a call, brought by a page, taken by a call.

A link's secret and the handle are two random texts, and the store has only keyed hashes of them. Who has the link can
hand over one file, and can read none. The handle is good for its caller only, at one dealer and for one purpose.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any
from uuid import uuid4

import anyio
import anyio.to_thread

from roadster_server.store import AuditRecord, FileRequest, StoredFileRequest, StoreError
from roadster_server.store.lazy import LazyStore
from roadster_server.telemetry.logs import log
from roadster_tools import Caller, FileWanted, Limited, Seal, Unsealable
from roadster_tools.gate.waiting_files import FilePurpose

from .acceptance import AcceptedFile, Scan, accept

MOST_WAITING = 20
"""Files of one caller that people were asked for, or that no call has taken yet. Each one can have 10 MiB."""

LINK_LIFETIME = timedelta(minutes=10)
FILE_LIFETIME = timedelta(hours=24)
"""Longer than a person takes to approve the write that the file is for."""

_MOST_ATTEMPTS = 20
"""Attempts to hand over a file by one link. A person who gives a file that is refused gives another."""

_PART_BYTES = 1024 * 1024
"""Each part is a transaction of some milliseconds."""

PAGE = "files"
"""The page below `/people/`. The link's secret follows."""

ONLY_PDF = "create_template"
"""The tool whose file must be a PDF."""

LinkTo = Callable[[str], Awaitable[str | None]]
"""Returns the URL of a page below `/people/`, None where nobody serves it."""


@dataclass(frozen=True, repr=False)
class FileKeys:
    """The key that seals files, the keyed hash for handles and secrets of links, and what both are made from."""

    seals: bytes
    hash: Callable[[Any], str]
    random: Callable[[int], bytes] = os.urandom

    def new_text(self) -> str:
        """Returns a text that nobody can guess: a handle, or the secret of a link."""
        return base64.urlsafe_b64encode(self.random(24)).decode()

    def seal(self, request: FileRequest, content: str, part: int | str) -> Seal:
        """Returns the seal of one part of a file, which opens nowhere else."""
        return Seal.bound_to(
            self.seals, request.file, request.principal, request.dealer, request.purpose, content, str(part)
        )


@dataclass(frozen=True)
class StoredFiles:
    """The `WaitingFiles` of one caller at one dealer. A method raises StoreError."""

    store: LazyStore
    keys: FileKeys
    link_to: LinkTo
    caller: Caller
    dealer: str

    async def can_ask(self) -> bool:
        return await self.link_to(PAGE) is not None

    async def ask(self, purpose: FilePurpose) -> FileWanted:
        """Asks a person for a file. Raises Limited."""
        handle, secret = self.keys.new_text(), self.keys.new_text()
        link = await self.link_to(f"{PAGE}/{secret}")
        now = datetime.now(UTC)
        until = now + LINK_LIFETIME
        request = FileRequest(
            file=self.keys.hash(handle),
            link=self.keys.hash(secret),
            caller=self.caller.name,
            principal=self.caller.principal,
            dealer=self.dealer,
            customer=None if purpose.customer_id is None else str(purpose.customer_id),
            purpose=_text_of(purpose),
            expires=milliseconds(until),
        )
        if not await self.store.request_file(request, now=milliseconds(now), most=MOST_WAITING):
            allowance = f"{MOST_WAITING} files at a time that a person was asked for or has handed over"
            raise Limited(allowance, wait=LINK_LIFETIME.total_seconds(), setting="upload")
        return FileWanted(handle, link, until)

    async def read(self, handle: str, purpose: FilePurpose) -> bytes | None:
        entry = await self._find(handle)
        if entry is None or entry.request.purpose != _text_of(purpose):
            return None
        request = entry.request
        if request.customer != (None if purpose.customer_id is None else str(purpose.customer_id)):
            return None
        if not entry.content:
            raise FileWanted(handle, None, datetime.fromtimestamp(request.expires / 1000, UTC))
        parts = await self.store.file_parts(request.file, entry.content)
        try:
            return await anyio.to_thread.run_sync(_open, self.keys, entry, parts)
        except Unsealable:  # sealed under another API key, or changed by somebody else
            return None

    async def is_there(self, handle: str) -> bool:
        entry = await self._find(handle)
        return entry is not None and bool(entry.content)

    async def discard(self, handle: str) -> None:
        try:
            with anyio.CancelScope(shield=True):  # the write is done, so the call must end as done
                await self.store.remove_file(self.keys.hash(handle))
        except StoreError as error:
            log.warning("a file that was sent waits until its end", extra={"reason": str(error)})

    async def _find(self, handle: str) -> StoredFileRequest | None:
        entry = await self.store.file_request(self.keys.hash(handle), now=milliseconds(datetime.now(UTC)))
        if entry is None or (entry.request.principal, entry.request.dealer) != (self.caller.principal, self.dealer):
            return None
        return entry


class LinkNotGood(Exception):
    """The link is over, was used, or never was one."""


@dataclass(frozen=True)
class OpenLink:
    """A link as its page shows it. `about` says what was handed over, and is empty while nothing was."""

    caller: str
    dealer: str
    customer: str | None
    document_type: str
    only_pdf: bool
    until: datetime
    about: str


@dataclass(frozen=True)
class FileDesk:
    """The place where a person hands over a file by a link. A method raises StoreError and LinkNotGood."""

    store: LazyStore
    keys: FileKeys
    scan: Scan

    async def look(self, secret: str) -> OpenLink:
        """Returns the state of the link."""
        entry = await self.store.file_request_by_link(self.keys.hash(secret), now=milliseconds(datetime.now(UTC)))
        if entry is None or entry.request.is_download:
            raise LinkNotGood
        request = entry.request
        tool, _, document_type = request.purpose.partition(" ")
        return OpenLink(
            caller=request.caller,
            dealer=request.dealer,
            customer=request.customer,
            document_type=document_type,
            only_pdf=tool == ONLY_PDF,
            until=datetime.fromtimestamp(request.expires / 1000, UTC),
            about=self._about(entry),
        )

    def _about(self, entry: StoredFileRequest) -> str:
        if not entry.content:
            return ""
        try:
            return self.keys.seal(entry.request, entry.content, "about").open(entry.facts)
        except Unsealable:
            raise LinkNotGood from None

    async def begin(self, secret: str) -> None:
        """Counts an attempt, before anything of it is read."""
        now = milliseconds(datetime.now(UTC))
        entry = await self.store.begin_file(self.keys.hash(secret), now=now, most=_MOST_ATTEMPTS)
        if entry is None or entry.request.is_download:
            raise LinkNotGood

    async def take(self, secret: str, files: Sequence[bytes]) -> AcceptedFile:
        """Checks the files, keeps what becomes of them, and puts that on record. Raises UnusableFile."""
        link = self.keys.hash(secret)
        entry = await self.store.file_request_by_link(link, now=milliseconds(datetime.now(UTC)))
        if entry is None or entry.content or entry.request.is_download:
            raise LinkNotGood
        request = entry.request
        file = await accept(files, self.scan, only_pdf=request.purpose.partition(" ")[0] == ONLY_PDF)
        content = uuid4().hex
        now = datetime.now(UTC)
        expires = milliseconds(now + FILE_LIFETIME)
        is_kept = False
        try:
            for number, start in enumerate(range(0, len(file.content), _PART_BYTES)):
                part = self.keys.seal(request, content, number).seal_bytes(file.content[start : start + _PART_BYTES])
                await self.store.add_file_part(request.file, content, number, part, expires=expires)
            is_kept = await self.store.end_file(
                link,
                content,
                self.keys.seal(request, content, "about").seal(file.about),
                now=milliseconds(datetime.now(UTC)),
                expires=expires,
                record=_record(request, self.keys, now),
            )
        finally:
            if not is_kept:
                await self._drop(request.file, content)
        if not is_kept:
            raise LinkNotGood
        return file

    async def _drop(self, file: str, content: str) -> None:
        try:
            with anyio.CancelScope(shield=True):
                await self.store.drop_file_attempt(file, content)
        except StoreError as error:
            log.warning("parts of a file wait until their end", extra={"reason": str(error)})


def _record(request: FileRequest, keys: FileKeys, now: datetime) -> AuditRecord:
    """Returns the record of a file that was handed over. `upload` has the same hash in the record of the call."""
    customer = {} if request.customer is None else {"customer_id": keys.hash(int(request.customer))}
    return AuditRecord(
        call_id=uuid4().hex,
        phase="ended",
        time=now,
        caller=request.caller,
        principal=request.principal,
        client=f"roadster-mcp/{version('roadster-mcp')}",
        protocol="page",
        tool="page files",
        dealer=request.dealer,
        verdict="allowed",
        setting="",
        outcome="done",
        upstream_request_id=None,
        latency_ms=None,
        arguments={"upload": request.file, **customer},
    )


def _open(keys: FileKeys, entry: StoredFileRequest, parts: Sequence[bytes]) -> bytes:
    return b"".join(
        keys.seal(entry.request, entry.content, number).open_bytes(part) for number, part in enumerate(parts)
    )


def _text_of(purpose: FilePurpose) -> str:
    return f"{purpose.tool} {purpose.document_type or ''}".rstrip()


def milliseconds(time: datetime) -> int:
    """Returns a time as the store has it."""
    return int(time.timestamp() * 1000)

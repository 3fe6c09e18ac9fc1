"""Links by which a person downloads a file once, for hosts that show no resource.

A link holds a random text only. The store has, sealed, which file it is and who asked. The file is read from the
upstream when the person takes it, as a call of that caller with the rights of that moment.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from roadster_server.store import DOWNLOAD, FileRequest, StoreError
from roadster_server.store.lazy import LazyStore
from roadster_server.telemetry.logs import log
from roadster_tools import Caller, Unsealable

from .waiting import LINK_LIFETIME, FileKeys, LinkNotGood, LinkTo, milliseconds

PAGE = "downloads"
"""The page below `/people/`. The link's secret follows."""


@dataclass(frozen=True)
class DownloadLinks:
    """Makes the links of one caller at one dealer. `describe` returns the caller as a text to store."""

    store: LazyStore
    keys: FileKeys
    link_to: LinkTo
    describe: Callable[[Caller], str]
    caller: Caller
    dealer: str

    async def __call__(self, uri: str, customer_id: int | None) -> str | None:
        """Returns a link to the file with this URI. None where no page is served, or the caller wants no links."""
        secret = self.keys.new_text()
        link = await self.link_to(f"{PAGE}/{secret}") if self.caller.links else None
        if link is None:
            return None
        now = datetime.now(UTC)
        request = FileRequest(
            file=self.keys.hash(self.keys.new_text()),
            link=self.keys.hash(secret),
            caller=self.caller.name,
            principal=self.caller.principal,
            dealer=self.dealer,
            customer=None if customer_id is None else str(customer_id),
            purpose=DOWNLOAD,
            expires=milliseconds(now + LINK_LIFETIME),
        )
        facts = json.dumps({"uri": uri, "requester": self.describe(self.caller)})
        try:
            await self.store.offer_file(
                request, self.keys.seal(request, DOWNLOAD, "about").seal(facts), now=milliseconds(now)
            )
        except StoreError as error:  # the answer is good without it
            log.warning("no link to a download", extra={"reason": str(error)})
            return None
        return link


@dataclass(frozen=True)
class Download:
    """A file that a person may download once. `requester` says who asked for it."""

    uri: str
    requester: str


@dataclass(frozen=True)
class DownloadDesk:
    """The place where a person takes a file by a link. A method raises StoreError and LinkNotGood."""

    store: LazyStore
    keys: FileKeys

    async def look(self, secret: str) -> FileRequest:
        """Returns the request behind a good link, and leaves it good."""
        now = milliseconds(datetime.now(UTC))
        entry = await self.store.file_request_by_link(self.keys.hash(secret), now=now)
        if entry is None or not entry.request.is_download:
            raise LinkNotGood
        return entry.request

    async def use(self, secret: str) -> Download:
        """Returns what the link is for. It is good no more."""
        await self.look(secret)
        entry = await self.store.use_file_link(self.keys.hash(secret), now=milliseconds(datetime.now(UTC)))
        if entry is None:
            raise LinkNotGood
        try:
            facts = json.loads(self.keys.seal(entry.request, DOWNLOAD, "about").open(entry.facts))
        except Unsealable:
            raise LinkNotGood from None
        return Download(facts["uri"], facts["requester"])

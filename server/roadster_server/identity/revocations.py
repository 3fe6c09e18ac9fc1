"""The tokens and people that an operator revoked, as the store lists them. Every process looks once a second."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

import anyio

from roadster_server.settings.rights import Claims
from roadster_server.settings.sections.callers import IdentitySettings
from roadster_server.store import RevokedSubjects, StoreError
from roadster_server.telemetry.logs import log

from .claims import LEEWAY_SECONDS

LOOK_EVERY = 1.0
"""Seconds."""
_START_SECONDS = 10.0
"""Seconds that the first requests wait for the list. Without it no token is good."""

ReadRevoked = Callable[[int], Awaitable[RevokedSubjects]]
"""Returns what was revoked since the number."""


class Revocations:
    """The list as it was last read. While the store does not answer, it stays in force."""

    def __init__(self, read: ReadRevoked) -> None:
        self._read = read
        self._times: dict[str, int] = {}
        self._is_read = anyio.Event()
        self._is_stale = False
        self.number = 0
        """The number of the newest revocation. A higher one means that something else was revoked."""

    @classmethod
    def nothing(cls) -> Revocations:
        """Returns an empty list that stays so, for a server without a store."""
        revocations = cls(_read_nothing)
        revocations._is_read.set()
        return revocations

    async def follow(self) -> None:
        """Reads the list, again and again."""
        while True:
            await self._look()
            await anyio.sleep(LOOK_EVERY)

    async def wait(self) -> bool:
        """Returns whether the list is known, as soon as it is."""
        if not self._is_read.is_set():
            with anyio.move_on_after(_START_SECONDS):
                await self._is_read.wait()
        return self._is_read.is_set()

    def has_token(self, digest: str) -> bool:
        return digest in self._times

    def has_person(self, principal: str, claims: Claims, provider: IdentitySettings) -> bool:
        """Returns whether the token with these claims may have been issued before its person was revoked."""
        return is_issued_before(self._times.get(principal), claims, provider)

    async def _look(self) -> None:
        try:
            new = await self._read(self.number)
        except StoreError as error:
            if not self._is_stale:
                log.error("revoked tokens cannot be read, the known ones stay so", extra={"reason": str(error)})
            self._is_stale = True
            return
        if self._is_stale:
            log.info("revoked tokens are read again")
        self._is_stale = False
        self._times.update(new.times)
        self.number = new.number
        self._is_read.set()


def is_issued_before(revoked: int | None, claims: Claims, provider: IdentitySettings) -> bool:
    """Returns whether a token may have been issued before its person was revoked, at milliseconds since 1970."""
    if revoked is None:
        return False
    issued = claims.get("iat", claims["exp"] - provider.longest_lifetime.total_seconds())
    return bool(issued <= revoked / 1000 + LEEWAY_SECONDS)


async def _read_nothing(after: int) -> RevokedSubjects:
    return RevokedSubjects(after, {})


def digest_of(token: str) -> str:
    """Returns the SHA-256 of an opaque token, as the configuration and the store have it."""
    return hashlib.sha256(token.encode()).hexdigest()

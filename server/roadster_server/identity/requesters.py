"""The makers of requests that go on later, such as a write that waits for a person: description, and their rights then.

Nobody's rights are stored. The newest configuration gives them again, by the caller's name or by the claims of the
person's token, and the list of revocations takes them away.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from roadster_server.settings.rights import Claims
from roadster_server.settings.settings import Settings
from roadster_server.store import RevokedSubjects
from roadster_tools import Caller

from .narrowing import Narrowing, narrow

CurrentIdentity = Callable[[], Mapping[str, Any] | None]
"""Returns the claims, the digest of the token and the narrowings of the current request, None over stdio."""


class Requesters:
    """Describes the maker of the current request, and finds the rights of one that was described."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        read_revoked: Callable[[int], Awaitable[RevokedSubjects]],
        current_identity: CurrentIdentity = lambda: None,
    ) -> None:
        self._settings = settings
        self._read_revoked = read_revoked
        self._current_identity = current_identity

    def describe(self, caller: Caller) -> str:
        """Returns the maker of the current request as JSON, which belongs under a seal.

        Of a person's claims it has those that the rules and the list of revocations look at.
        """
        identity = self._current_identity() or {}
        claims = identity.get("claims")
        names = self._claim_names(claims) if claims is not None else ()
        return json.dumps(
            {
                "caller": caller.name,
                "claims": None if claims is None else {name: claims[name] for name in names if name in claims},
                "names": sorted(names),
                "token": identity.get("token"),
                "narrowings": identity.get("narrowings", []),
            }
        )

    def name_of(self, caller: Caller) -> str:
        """Returns a name of the maker of the current request, to show to other people."""
        claims = (self._current_identity() or {}).get("claims")
        name = self._settings().name_of(claims) if claims is not None else None
        return f"{name} ({caller.principal})" if name else caller.principal

    async def open(self, text: str) -> Callable[[], Caller]:
        """Returns what gives the rights of the moment to somebody who was described. Raises StoreError.

        The revocations are those of now.
        """
        description = json.loads(text)
        revocations = await self._read_revoked(0)

        def current_caller() -> Caller:
            return self._caller(description, revocations)

        return current_caller

    def _caller(self, description: Mapping[str, Any], revocations: RevokedSubjects) -> Caller:
        settings, claims = self._settings(), description["claims"]
        if claims is None:
            is_revoked = description["token"] in revocations.times
            caller = Caller(description["caller"]) if is_revoked else settings.caller_as_of_now(description["caller"])
        else:
            caller = self._person(settings, description, revocations)
        wishes = [
            Narrowing(**{name: _hashable(value) for name, value in each.items()}) for each in description["narrowings"]
        ]
        return narrow(settings.rights, caller, wishes)

    def _person(self, settings: Settings, description: Mapping[str, Any], revocations: RevokedSubjects) -> Caller:
        from .revocations import is_issued_before  # noqa: PLC0415 - for start time: it imports PyJWT

        claims: Claims = description["claims"]
        person = settings.rights.person(claims)
        if person is None:
            return Caller(description["caller"])
        caller = settings.rights.caller_of_person(claims)
        # A rule that came since may look at a claim that is not stored, so nobody knows what it would give.
        is_known = self._claim_names(claims) <= set(description["names"])
        time = revocations.times.get(person.principal)
        is_revoked = time is not None and is_issued_before(time, claims, settings.identity[person.provider])
        if caller is None or is_revoked or not is_known:
            return settings.rights.without_role(person.principal)
        return caller

    def _claim_names(self, claims: Claims) -> set[str]:
        settings = self._settings()
        provider = settings.rights.provider_of(claims)
        if provider is None:
            return {"iss"}
        return {"iss", "iat", "exp"} | settings.identity[provider].claims_of_rights


def describe_narrowings(narrowings: Iterable[Narrowing]) -> list[dict[str, Any]]:
    """Returns the wishes of a client to do less, as JSON data."""
    return [asdict(narrowing) for narrowing in narrowings]


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value

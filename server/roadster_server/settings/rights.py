"""The rights that one configuration gives: to its callers, and to the people of its identity providers.

A call costs the same with 3 dealers as with 3,000: what it asks for is an entry of a table, made at the load or by the
first call of its caller.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from roadster_tools import Caller

from .sections.callers import (
    GROUP,
    CallerSettings,
    DealerGroupSettings,
    IdentitySettings,
    PeopleRule,
    RightsSettings,
    RoleSettings,
)

Claims = Mapping[str, Any]
"""The claims of a JWT, all of them checked."""

_LONGEST_SUBJECT = 255
"""Characters. OpenID Connect allows no more (Core 1.0, section 2)."""


@dataclass(frozen=True)
class Person:
    """Somebody whom a token identifies: the provider's name in the configuration, and the provider's id of them."""

    provider: str
    subject: str

    @property
    def principal(self) -> str:
        """The person as the audit names them. No caller's name contains a colon."""
        return f"{self.provider}:{self.subject}"


@dataclass(frozen=True)
class DealersInForce:
    """The dealers of a configuration, and the tools that lack a setting there."""

    dpids: Collection[str]
    groups: Mapping[str, DealerGroupSettings]
    missing_sections: Mapping[str, str]
    """The [section] that a toolset needs and the configuration does not have, by toolset."""
    with_crm: frozenset[str]
    """The dealers that `get_crm_customer` can be used for."""


class Rights:
    """The callers and people of one configuration."""

    def __init__(
        self,
        callers: Mapping[str, CallerSettings],
        roles: Mapping[str, RoleSettings],
        identity: Mapping[str, IdentitySettings],
        dealers: DealersInForce,
    ) -> None:
        self._sections = callers
        self._callers: dict[str, Caller] = {}
        """The callers that have been asked for. Of thousands, most are not."""
        self._roles = roles
        self._identity = identity
        self._dealers = dealers
        self._of_entries: dict[tuple[str, ...], Caller] = {}
        """Callers with nothing but dealers, by the entries of `dealers`. Many callers share the same ones."""
        self.providers: Mapping[str, str] = {each.issuer: name for name, each in identity.items()}
        """The names of the identity providers, by their issuers."""
        self.token_owners: Mapping[str, str] = {
            digest: name for name, caller in callers.items() for digest in caller.token_sha256
        }
        """The callers' names, by the SHA-256 of their tokens."""
        self._by_rule = {
            (name, number): self._read_rule(name, number, rule)
            for name, provider in identity.items()
            for number, rule in enumerate(provider.people, 1)
        }
        """The caller that each rule makes of those whom it matches. The dealers of a claim are missing."""

    def caller(self, name: str) -> Caller | None:
        if name not in self._callers and name in self._sections:
            self._callers[name] = self._read_caller(name, self._sections[name])
        return self._callers.get(name)

    def provider_of(self, claims: Claims) -> str | None:
        """Returns the name of the identity provider that issued the claims, None if the configuration has none."""
        issuer = claims.get("iss")
        return self.providers.get(issuer) if isinstance(issuer, str) else None

    def person(self, claims: Claims) -> Person | None:
        """Returns whom the claims are about. None if no provider of the configuration names its people so."""
        provider = self.provider_of(claims)
        if provider is None:
            return None
        subject = claims.get(self._identity[provider].subject_claim)
        if not isinstance(subject, str) or not subject.strip() or not subject.isprintable():
            return None
        return Person(provider, subject) if len(subject) <= _LONGEST_SUBJECT else None

    def caller_of_person(self, claims: Claims) -> Caller | None:
        """Returns the person as a caller, by the first rule that matches. None if none does."""
        person = self.person(claims)
        number = None if person is None else self._first_match(person, claims)
        if person is None or number is None:
            return None
        caller = replace(self._by_rule[person.provider, number], person=person.principal)
        rule = self._identity[person.provider].people[number - 1]
        return (
            caller if rule.dealers_claim is None else self._at_dealers_of_claim(caller, claims.get(rule.dealers_claim))
        )

    def of_rules(self) -> Iterator[Caller]:
        """Yields the most that each rule can give: a claim may name any dealer of the configuration."""
        for (name, number), caller in self._by_rule.items():
            rule = self._identity[name].people[number - 1]
            yield caller if rule.dealers_claim is None else self.at(caller, self._dealers.dpids)

    def without_role(self, principal: str) -> Caller:
        """Returns a person whom no rule matches any more. Logs and metrics have the name, so it is not the person's."""
        provider = principal.partition(":")[0]
        places = dict.fromkeys([*RightsSettings.model_fields, "dealers"], f"identity.{provider}.people")
        return Caller(f"{provider}:", person=principal, places=places)

    def matching_rule(self, claims: Claims) -> int | None:
        """Returns the number of the first rule that matches, from 1, or None."""
        person = self.person(claims)
        return None if person is None else self._first_match(person, claims)

    def _first_match(self, person: Person, claims: Claims) -> int | None:
        rules = self._identity[person.provider].people
        return next((number for number, rule in enumerate(rules, 1) if _matches(rule, claims)), None)

    def at(self, caller: Caller, dpids: Iterable[str]) -> Caller:
        """Returns the caller with these dealers, and with the settings that its tools lack there."""
        dealers = tuple(dict.fromkeys(dpids))
        missing = dict(self._missing_settings(dealers))
        return replace(caller, dealers=dealers, dealer_set=frozenset(dealers), missing_settings=missing)

    def _read_caller(self, name: str, section: CallerSettings) -> Caller:
        caller = replace(self._at_entries(section.dealers), name=name)
        if section.role is None:
            return _with_rights(caller, section)
        own = section.model_fields_set & RightsSettings.model_fields.keys()
        role = self._roles[section.role].model_copy(update={key: getattr(section, key) for key in own})
        places = {key: f"roles.{section.role}.{key}" for key in RoleSettings.model_fields.keys() - own}
        return replace(_with_role(_with_rights(caller, role), self._roles[section.role]), places=places)

    def _read_rule(self, provider: str, number: int, rule: PeopleRule) -> Caller:
        places = {key: f"roles.{rule.role}.{key}" for key in RoleSettings.model_fields}
        key = "dealers" if rule.dealers_claim is None else "dealers_claim"
        places["dealers"] = f"identity.{provider}.people.{number}.{key}"
        name = f"{provider}:{rule.role}"
        caller = replace(self._at_entries(rule.dealers), name=name, places=places, dealers_claim=rule.dealers_claim)
        role = self._roles[rule.role]
        return _with_role(_with_rights(caller, role), role)

    def _at_dealers_of_claim(self, caller: Caller, value: Any) -> Caller:
        return self.at(caller, (dpid for dpid in texts_of(value) if dpid in self._dealers.dpids))

    def _at_entries(self, entries: Sequence[str]) -> Caller:
        key = tuple(entries)
        if key not in self._of_entries:
            self._of_entries[key] = self.at(Caller(""), self._expand(entries))
        return self._of_entries[key]

    def _expand(self, entries: Sequence[str]) -> Iterator[str]:
        for entry in entries:
            if entry.startswith(GROUP):
                yield from self._dealers.groups[entry.removeprefix(GROUP)].dealers
            else:
                yield entry

    def _missing_settings(self, dpids: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yields each toolset that lacks a setting, for a caller of these dealers, with the setting: see `Caller`."""
        yield from self._dealers.missing_sections.items()
        if dpids and "crm" not in self._dealers.missing_sections and self._dealers.with_crm.isdisjoint(dpids):
            yield "crm", f"dealers.{dpids[0]}.mykaarma_dealer_uuid"


def _with_rights(caller: Caller, rights: RightsSettings) -> Caller:
    return replace(caller, **{key: getattr(rights, key) for key in RightsSettings.model_fields})


def _with_role(caller: Caller, role: RoleSettings) -> Caller:
    return replace(caller, approves=frozenset(role.approves), console=role.console)


def _matches(rule: PeopleRule, claims: Claims) -> bool:
    return all(holds(claims.get(claim), value) for claim, value in rule.match.items())


def texts_of(claim: Any) -> list[str]:
    """Returns the text that a claim is, or the texts in its list, each once."""
    entries = claim if isinstance(claim, list) else [claim]
    return list(dict.fromkeys(entry for entry in entries if isinstance(entry, str)))


def holds(claim: Any, value: str | int | bool) -> bool:
    """Returns whether a claim is the value, or a list that contains it. 1 is neither true nor "1"."""
    candidates = claim if isinstance(claim, list) else [claim]
    return any(type(each) is type(value) and each == value for each in candidates)

"""Mistakes of a configuration that only show in several sections together. Each begins with the name of a setting."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from roadster_client import operations_of, operations_with
from roadster_tools import TOOLS, TOOLSETS, name_choices

from .sections.callers import GROUP, CallerSettings, IdentitySettings
from .sections.dealers import DealerSettings
from .sections.forms import STATE
from .sections.section import check_https
from .settings import Settings

_PROVIDER = re.compile(r"[A-Za-z0-9_-]+")


def find_contradictions(settings: Settings) -> Iterator[str]:
    yield from _unknown_operations(settings.roadster.operations)
    if "callers" not in settings.model_fields_set and not settings.identity:
        yield "callers: is missing; add [callers.NAME], or [identity.NAME] for people"
    anonymous = settings.http.anonymous_caller
    if anonymous is not None and anonymous not in settings.callers:
        choices = name_choices([*settings.callers], anonymous)
        yield f"http.anonymous_caller: unknown caller {anonymous!r}, expected {choices}; or add [callers.{anonymous}]"
    local = settings.people.local_caller
    if local is not None and local not in settings.callers:
        choices = name_choices([*settings.callers], local)
        yield f"people.local_caller: unknown caller {local!r}, expected {choices}; or add [callers.{local}]"
    if f"{settings.http.path_prefix}/".startswith("/people/"):
        yield "http.path_prefix: the pages for people are at /people/; choose another"
    for name, group in settings.dealer_groups.items():
        yield from _unknown_dealers(settings, f"dealer_groups.{name}.dealers", group.dealers)
    for name, role in settings.roles.items():
        yield from _unknown_tools(f"roles.{name}.access", role.access)
        yield from _unknown_tools(f"roles.{name}.approves", role.approves)
    yield from _unknown_tools("approvals.two_person", settings.approvals.two_person)
    for name, caller in settings.callers.items():
        if ":" in name:
            yield f"callers.{name}: a name with a colon is a person's; choose another"
        yield from _unknown_dealers(settings, f"callers.{name}.dealers", caller.dealers)
        yield from _unknown_tools(f"callers.{name}.access", caller.access)
        if caller.role is not None:
            yield from _unknown_role(settings, f"callers.{name}.role", caller.role)
    yield from _disclosures(settings)
    yield from _shared_by_dealers(settings.dealers)
    yield from _shared_tokens(settings.callers)
    yield from _providers(settings)


def _unknown_operations(operations: Mapping[str, str]) -> Iterator[str]:
    for name, route in operations.items():
        try:
            operations_with({name: route})
        except KeyError:
            choices = name_choices([*operations_of("roadster")], name)
            yield f"roadster.operations.{name}: unknown operation, expected {choices}"
        except ValueError as error:
            yield f"roadster.operations.{name}: {error}"


def _unknown_dealers(settings: Settings, key: str, entries: Iterable[str]) -> Iterator[str]:
    for entry in entries:
        if key.startswith("dealer_groups.") or not entry.startswith(GROUP):
            if entry not in settings.dealers:
                choices = name_choices([*settings.dealers], entry)
                yield f"{key}: unknown dealer {entry!r}, expected {choices}; or add [dealers.{entry}]"
        elif (group := entry.removeprefix(GROUP)) not in settings.dealer_groups:
            choices = name_choices([*settings.dealer_groups], group) if settings.dealer_groups else "there is none"
            yield f"{key}: unknown group {group!r}, expected {choices}; or add [dealer_groups.{group}]"


def _disclosures(settings: Settings) -> Iterator[str]:
    """Finds dealers whose wording would be left out in silence."""
    for dpid in settings.disclosures.dealers:
        if dpid not in settings.dealers:
            choices = name_choices([*settings.dealers], dpid)
            yield f"disclosures.dealers.{dpid}: unknown dealer, expected {choices}; or add [dealers.{dpid}]"
    for state in settings.disclosures.states:
        if re.fullmatch("[A-Z]{2}", state) is None:
            yield f"disclosures.states.{state}: expected {STATE}"
    if settings.disclosures.states:
        for dpid, dealer in settings.dealers.items():
            if dealer.state is None:
                yield f'dealers.{dpid}.state: is missing, and disclosures.states goes by it; add it, as state = "CA"'


def _unknown_tools(key: str, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if name not in TOOLS and name not in TOOLSETS:
            choices = name_choices([*TOOLSETS, *TOOLS], name)
            yield f"{key}.{name}: unknown toolset or tool, expected {choices}; `roadster-mcp tools` lists them"


def _unknown_role(settings: Settings, key: str, name: str) -> Iterator[str]:
    if name not in settings.roles:
        choices = name_choices([*settings.roles], name) if settings.roles else "there is none"
        yield f"{key}: unknown role {name!r}, expected {choices}; or add [roles.{name}]"


def _shared_by_dealers(dealers: Mapping[str, DealerSettings]) -> Iterator[str]:
    """Finds ids and orders of more than one dealer: each must tell which dealer something belongs to."""
    owners: dict[tuple[str, str], str] = {}
    for dpid, dealer in dealers.items():
        orders = [] if dealer.orders == "any" else dealer.orders
        identifiers = [
            ("partner_id", dealer.partner_id),
            ("mykaarma_dealer_uuid", dealer.mykaarma_dealer_uuid),
            ("mykaarma_dealer_id", dealer.mykaarma_dealer_id and str(dealer.mykaarma_dealer_id)),
            *(("orders", order) for order in dict.fromkeys(orders)),
        ]
        for key, value in identifiers:
            # Capital letters make no other dealer: an upstream may not tell the two apart.
            owner = owners.setdefault((key, value.casefold()), dpid) if value else dpid
            if owner != dpid:
                problem = f"order {value} is also in" if key == "orders" else _same_as(str(value), key, dealers[owner])
                yield f"dealers.{dpid}.{key}: {problem} dealers.{owner}.{key}; leave it with the one whose it is"


def _same_as(value: str, key: str, owner: DealerSettings) -> str:
    return "the same as" if str(getattr(owner, key)) == value else "except for capital letters the same as"


def _shared_tokens(callers: Mapping[str, CallerSettings]) -> Iterator[str]:
    owners: dict[str, str] = {}
    for name, caller in callers.items():
        for digest in caller.token_sha256:
            if owners.setdefault(digest, name) != name:
                yield f"callers.{name}.token_sha256: the same token as callers.{owners[digest]}; give each its own"


def _providers(settings: Settings) -> Iterator[str]:
    issuers: dict[str, str] = {}
    for name, provider in settings.identity.items():
        if _PROVIDER.fullmatch(name) is None:
            yield f"identity.{name}: expected a name of letters, digits, - and _"
        if (owner := issuers.setdefault(provider.issuer, name)) != name:
            yield f"identity.{name}.issuer: the same as identity.{owner}.issuer; put the rules of both into one of them"
        if provider.client_secret is not None and provider.client_id is None:
            yield f"identity.{name}.client_secret: there is no client_id; add the client's id, or leave the secret out"
        yield from _rules(settings, f"identity.{name}.people", provider)
        yield from _issuer_without_keys(f"identity.{name}.issuer", provider)
    if settings.identity and settings.http.resource_url is None:
        yield (
            f"http.resource_url: is missing, and identity.{next(iter(settings.identity))} needs it; "
            "add the public URL of /mcp, such as https://mcp.example.com/mcp"
        )


def _issuer_without_keys(key: str, provider: IdentitySettings) -> Iterator[str]:
    if provider.jwks_url is None:
        try:
            check_https(provider.issuer)
        except ValueError as error:
            yield f"{key}: its keys are looked for there, so {error}; correct it, or add jwks_url"


def _rules(settings: Settings, key: str, provider: IdentitySettings) -> Iterator[str]:
    for number, rule in enumerate(provider.people, 1):
        yield from _unknown_role(settings, f"{key}.{number}.role", rule.role)
        yield from _unknown_dealers(settings, f"{key}.{number}.dealers", rule.dealers)

"""Finds callers and rules for people that give nothing to anybody, for `doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from urllib.parse import urlsplit

from roadster_client import is_loopback
from roadster_server.settings.approving import approval_problem
from roadster_server.settings.defaults import LOCAL_CALLER
from roadster_server.settings.sections.callers import IdentitySettings, PeopleRule
from roadster_server.settings.settings import Settings
from roadster_tools import TOOLS, Access, Caller, Tool, some_of, verdict

_MOST_DEALERS = 20
"""Dealers of a caller at which somebody who approves is looked for. A group may have thousands, with the same roles."""


def count_rights(settings: Settings) -> str:
    """Returns how much of each kind the configuration has."""
    counts = {"dealers": len(settings.dealers), "callers": len(settings.callers)}
    if settings.roles:
        counts["roles"] = len(settings.roles)
    if settings.identity:
        counts["identity providers"] = len(settings.identity)
        counts["rules for people"] = sum(len(provider.people) for provider in settings.identity.values())
    return ", ".join(f"{kind}: {count}" for kind, count in counts.items())


def readers_of_dealer_figures(settings: Settings) -> str:
    """Returns the callers, and the roles of people, that see the dealers' own figures."""
    callers = [f"callers.{name}" for name in settings.callers if settings.caller(name).dealer_figures]
    roles = [f"roles.{name}" for name in _roles_of_people(settings) if settings.roles[name].dealer_figures]
    return some_of([*callers, *roles]) if callers or roles else "nobody"


def _roles_of_people(settings: Settings) -> list[str]:
    """Returns the roles that rules give to people."""
    given_roles = {rule.role for provider in settings.identity.values() for rule in provider.people}
    return [name for name in settings.roles if name in given_roles]


def caller_problems(settings: Settings) -> Iterator[str]:
    for name in settings.callers:
        caller = settings.caller(name)
        if not caller.dealers or not caller.access:
            missing = "dealers" if not caller.dealers else "access"
            yield f"callers.{name} may do nothing; add {missing}, or take the caller out"
    by_credential = [name for name, caller in settings.callers.items() if caller.token_sha256]
    if not by_credential and not settings.identity:  # this server is not used over HTTP
        return
    others = by_credential[0] if by_credential else "people"
    # The last two connect without a token: over HTTP on this machine, and by the sign-in links of the pages.
    without_token = {LOCAL_CALLER, settings.http.anonymous_caller, settings.people.local_caller}
    for name in settings.callers.keys() - {*by_credential, *without_token}:
        yield (
            f"callers.{name} cannot connect over HTTP, as {others} can; "
            f"make a token with roadster-mcp token {name}, or take the caller out"
        )


def approval_problems(settings: Settings) -> Iterator[str]:
    """Yields each toolset whose writes are to wait on a page where nobody can approve them."""
    for caller in (*map(settings.caller, settings.callers), *settings.rights.of_rules()):
        toolsets: set[str] = set()
        for tool in TOOLS.values():
            if tool.toolset in toolsets or not _is_for_page(settings, caller, tool):
                continue
            problems = (
                approval_problem(settings, tool, dealer, caller.principal)
                for dealer in islice(caller.dealers, _MOST_DEALERS)
            )
            problem = next(filter(None, problems), None)
            if problem is not None:
                toolsets.add(tool.toolset)
                yield f"{caller.name} asks for {tool.name} on a page, and {problem}"


def sign_in_problems(settings: Settings) -> Iterator[str]:
    """Finds pages whose links lead to an address at which nobody can sign in."""
    public = urlsplit(settings.http.resource_url or "").hostname
    has_provider = any(provider.client_id for provider in settings.identity.values())
    if settings.people.local_caller is not None and public and not is_loopback(public) and not has_provider:
        yield (
            "people.local_caller signs in only at the server's own loopback address, and links of answers lead to "
            f"{public}; add client_id in [identity.NAME], or take http.resource_url out"
        )


def host_without_permission(settings: Settings) -> str | None:
    """Returns the host of resource_url if requests may not name it, None if they may or if it is this machine."""
    public = urlsplit(settings.http.resource_url or "")
    if not public.hostname or is_loopback(public.hostname):
        return None
    host = public.netloc.lower().removesuffix(":443")
    return None if host in map(str.lower, settings.http.allowed_hosts) else host


def words_about_cards(settings: Settings) -> str | None:
    """Returns who confirms on a card, and where there is none. Returns None if nobody does."""
    callers = [f"callers.{name}" for name in settings.callers if "card" in settings.caller(name).confirm_by]
    roles = [f"roles.{name}" for name in _roles_of_people(settings) if "card" in settings.roles[name].confirm_by]
    if not callers and not roles:
        return None
    two_person = settings.approvals.two_person
    return (
        f"for {some_of([*callers, *roles])}, as strong as the word of the host. Without one are hosts that do not say "
        "that they show views (MCP Apps)" + (f", and approvals.two_person: {some_of(two_person)}" if two_person else "")
    )


def _is_for_page(settings: Settings, caller: Caller, tool: Tool) -> bool:
    """Returns whether the operator means the page: it is the only way, or a role approves the tool."""
    if not tool.writes or "page" not in caller.confirm_by or verdict(caller, tool).level != Access.CONFIRM:
        return False
    names = {tool.name, tool.toolset}
    return len(caller.confirm_by) == 1 or any(names & set(role.approves) for role in settings.roles.values())


def rule_problems(settings: Settings) -> Iterator[str]:
    for name, provider in settings.identity.items():
        if not provider.people:
            yield f"identity.{name} has no rule, so its people may do nothing; add [[identity.{name}.people]]"
        earlier_rules: list[frozenset[tuple[str, type, str | int]]] = []
        for number, rule in enumerate(provider.people, 1):
            key = f"identity.{name}.people.{number}"
            yield from _missing_rights(settings, key, rule)
            if rule.match.get("iss", provider.issuer) != provider.issuer:
                yield f"{key}.match.iss is not identity.{name}.issuer, so the rule matches nobody; correct it"
            conditions = _conditions(rule, provider)
            first = next((place for place, earlier in enumerate(earlier_rules, 1) if earlier <= conditions), None)
            if first is not None:
                yield f"{key} is never reached: rule {first} matches everybody whom it matches; move or remove one"
            earlier_rules.append(conditions)


def _missing_rights(settings: Settings, key: str, rule: PeopleRule) -> Iterator[str]:
    if not rule.dealers and rule.dealers_claim is None:
        yield f"{key} gives no dealer, so its people may do nothing; add dealers or dealers_claim"
    if all(level == Access.OFF for level in settings.roles[rule.role].access.values()):
        yield f"{key} gives the role {rule.role}, which may do nothing; add access to [roles.{rule.role}]"


def _conditions(rule: PeopleRule, provider: IdentitySettings) -> frozenset[tuple[str, type, str | int]]:
    """Returns what a rule asks of a token. Each token of the provider has its issuer, and 1 is not true."""
    claims = {(claim, type(value), value) for claim, value in rule.match.items()}
    return frozenset(claims - {("iss", str, provider.issuer)})

"""Explains rights: what a caller, or a person with these claims, may do, and the setting behind each part of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from roadster_server.settings.approving import approval_problem, needs_two_people
from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.rights import Claims, holds, texts_of
from roadster_server.settings.sections.callers import GROUP, PeopleRule, RightsSettings
from roadster_server.settings.settings import Settings
from roadster_tools import TOOLS, Access, Caller, Tool, dealer_verdict, name_choices, some_of, verdict

from .claims import problem_of

_MOST_RULES = 20
"""The most rules in an explanation."""


def explain_caller(settings: Settings, name: str, tool: str | None, dealer: str | None) -> Iterator[str]:
    """Yields lines about a caller of the configuration: the verdict on `tool` and `dealer`, or without them all rights.

    Raises ConfigurationError for an unknown tool or caller.
    """
    caller, section = settings.caller(name), settings.callers[name]
    if tool is not None or dealer is not None:
        yield _verdict_line(settings, caller, section.dealers, tool, dealer)
        yield from _ways(settings, caller, tool, dealer)
        return
    yield f"callers.{name}: {'no role' if section.role is None else f'role {section.role}'}"
    yield from _rights(caller, section.dealers)


def explain_claims(settings: Settings, claims: Claims, tool: str | None, dealer: str | None) -> Iterator[str]:
    """Yields lines about the person whom a token with these claims identifies: the rule that matches, what it gives.

    Raises ConfigurationError for an unknown tool.
    """
    name = settings.rights.provider_of(claims)
    if name is None:
        issuers = [f"{each.issuer} ({name})" for name, each in settings.identity.items()]
        choices = f"iss is {name_choices(issuers)}" if issuers else "the configuration has no [identity.NAME]"
        yield f"refused: no identity provider has the issuer of these claims; {choices}"
        return
    provider = settings.identity[name]
    problem = problem_of(claims, provider)
    if problem is not None:
        yield f"refused by identity.{name}: {problem}"
        return
    if settings.rights.person(claims) is None:
        yield f"refused by identity.{name}: {provider.subject_claim} is no text that names a person"
        return
    caller, number = settings.rights.caller_of_person(claims), settings.rights.matching_rule(claims)
    if caller is None or number is None:
        yield f"refused: no rule of identity.{name}.people matches"
        yield from _mismatches(f"identity.{name}.people", provider.people, claims)
        return
    rule = provider.people[number - 1]
    yield f"identity.{name}.people.{number} matches: {_conditions(rule)}"
    if tool is not None or dealer is not None:
        yield _verdict_line(settings, caller, rule.dealers, tool, dealer)
        yield from _ways(settings, caller, tool, dealer)
        return
    yield f"on record as {caller.principal}, role {rule.role}"
    yield from _rights(caller, rule.dealers)
    if rule.dealers_claim is not None:
        yield _dealers_of_claim(rule.dealers_claim, claims.get(rule.dealers_claim), settings.dealers)


def _dealers_of_claim(claim: str, value: Any, dealers: Collection[str]) -> str:
    if value is None:
        return f"the token has no claim {claim}, so there is no dealer"
    named = texts_of(value)
    unknown = [_written(name) for name in named if name not in dealers]
    lack = f"; the configuration lacks {len(unknown):,} of them: {some_of(unknown)}" if unknown else ""
    return f"{claim} names {len(named):,}{lack}"


def _mismatches(place: str, rules: Sequence[PeopleRule], claims: Claims) -> Iterator[str]:
    if not rules:
        yield f"{place} has no rule"
    for number, rule in enumerate(rules[:_MOST_RULES], 1):
        claim, value = next(pair for pair in rule.match.items() if not holds(claims.get(pair[0]), pair[1]))
        yield f"{place}.{number} wants {_condition(claim, value)}, and {_found(claim, claims)}"
    if len(rules) > _MOST_RULES:
        yield f"and {len(rules) - _MOST_RULES} more rules"


def _conditions(rule: PeopleRule) -> str:
    return " and ".join(_condition(*pair) for pair in rule.match.items())


def _condition(claim: str, value: Any) -> str:
    return f"{claim} = {_written(value)}"


def _found(claim: str, claims: Claims) -> str:
    match claims.get(claim):
        case None:
            return "the token has no such claim"
        case list():
            return "the token's list lacks it"
        case dict():
            return "the token's is an object"
        case value:
            return f"the token's is {_written(value)}"


def _written(value: Any) -> str:
    """Returns a value as TOML and JSON have it, so that a number differs from a text of digits."""
    return json.dumps(value, ensure_ascii=False)


def _rights(caller: Caller, entries: Sequence[str]) -> Iterator[str]:
    groups = [entry for entry in entries if entry.startswith(GROUP)]
    by_groups = f" (with {some_of(groups)})" if groups else ""
    names = f": {some_of(caller.dealers)}" if caller.dealers else ""
    yield f"{caller.setting('dealers')} gives {len(caller.dealers):,}{by_groups}{names}"
    for name, level in caller.access.items():
        missing = caller.missing_settings.get(TOOLS[name].toolset if name in TOOLS else name)
        off = f", but off without {missing}" if missing else ""
        yield f'{caller.setting(f"access.{name}")} is "{level.name.lower()}"{off}'
    if not caller.access:
        yield f"{caller.setting('access')} gives nothing"
    for key in RightsSettings.model_fields:
        if key != "access":
            value = getattr(caller, key)
            yield f"{caller.setting(key)} is {'not set: no limit' if value is None else _written(value)}"
    yield from _pages_of(caller)


def _pages_of(caller: Caller) -> Iterator[str]:
    """Yields what the caller may do on the pages for people. Only a role gives any of it."""
    if "approves" not in caller.places:
        yield "without a role, it approves nothing on the pages for people, and sees no console"
        return
    yield f"{caller.setting('approves')} is {_written(sorted(caller.approves))}"
    yield f"{caller.setting('console')} is {_written(caller.console)}"


def _verdict_line(
    settings: Settings, caller: Caller, entries: Sequence[str], tool: str | None, dealer: str | None
) -> str:
    reasons = []
    if tool is not None:
        if tool not in TOOLS:
            raise ConfigurationError([f"{tool}: no such tool; {name_choices([*TOOLS], tool)}"])
        by_tool = verdict(caller, TOOLS[tool])
        if not by_tool.is_allowed:
            return f"refused: {by_tool.reason}"
        reasons.append(by_tool.description)
    if dealer is not None:
        by_dealer = dealer_verdict(caller, dealer)
        if by_dealer.is_allowed:
            group = _group_with(settings, entries, dealer)
            reasons.append(f"{by_dealer.setting} names {dealer}{f' by {group}' if group else ''}")
        elif tool is None or TOOLS[tool].of_one_dealer:
            return f"refused: {by_dealer.reason}"
    return f"allowed: {', and '.join(reasons)}"


def _ways(settings: Settings, caller: Caller, name: str | None, dealer: str | None) -> Iterator[str]:
    """Yields how a person is asked before a write of the tool, and whose roles may approve it on a page."""
    tool = TOOLS.get(name or "")
    if tool is None or not tool.writes or verdict(caller, tool).level != Access.CONFIRM:
        return
    yield f"a person is asked by {', else by '.join(caller.confirm_by)}: {caller.setting('confirm_by')}"
    if "card" in caller.confirm_by:
        no_card = "no card: approvals.two_person wants a second person"
        yield (
            no_card
            if needs_two_people(settings.approvals, tool)
            else "a card needs a host with views, and is as strong as its word"
        )
    if "page" in caller.confirm_by:
        yield f"on the page it is approved by {_approvers(settings, caller, tool, dealer)}"


def _approvers(settings: Settings, caller: Caller, tool: Tool, dealer: str | None) -> str:
    """Returns whose roles approve the write on a page, or why nobody can at the dealer, or at any of the caller's."""
    dealers = caller.dealers if dealer is None else [dealer]
    problems = (approval_problem(settings, tool, each, caller.principal) for each in dealers)
    problem = next(problems, None)
    if problem is not None and all(problems):
        return f"nobody: {problem}"
    roles = [
        f"roles.{role}.approves"
        for role, section in settings.roles.items()
        if tool.name in section.approves or tool.toolset in section.approves
    ]
    return some_of(roles) + (
        ", and approvals.two_person wants a second person" if needs_two_people(settings.approvals, tool) else ""
    )


def _group_with(settings: Settings, entries: Sequence[str], dealer: str) -> str | None:
    """Returns the entry that gives the dealer, if that is a group."""
    if dealer in entries:
        return None
    groups = (entry for entry in entries if entry.startswith(GROUP))
    return next((each for each in groups if dealer in settings.dealer_groups[each.removeprefix(GROUP)].dealers), None)

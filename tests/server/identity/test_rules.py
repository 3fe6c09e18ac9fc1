"""Rules of people: over random claims and rules, the first one that matches decides, and nothing else adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from roadster_server.settings.rights import DealersInForce, Rights
from roadster_server.settings.sections.callers import DealerGroupSettings, IdentitySettings, PeopleRule, RoleSettings
from roadster_tools import TOOLS, TOOLSETS, Access, Caller, dealer_verdict, verdict

ISSUER = "https://login.example.com"
DPIDS = ("umazda", "hyundaidemo", "toyotademo")
GROUPS = {"northwest": ("umazda", "hyundaidemo"), "south": ("toyotademo",), "nowhere": ()}
ODD_DPIDS = ("UMAZDA", "umazda ", "group:northwest", "*", "", "unknown")
NAMES = ("groups", "level", "https://example.com/role", "sub", "aud")

values = st.sampled_from(["a", "b", "1", "", "true", "A"]) | st.sampled_from([0, 1, 2]) | st.booleans()
claim_values = (
    values
    | st.lists(values | st.lists(values, max_size=1), max_size=3)
    | st.sampled_from([None, 1.0, {"a": True}, {"groups": ["a"]}])
)
places = st.lists(st.sampled_from([*DPIDS, *(f"group:{name}" for name in GROUPS)]), max_size=3, unique=True)
dealer_claims = st.sampled_from([*DPIDS, *ODD_DPIDS]) | st.lists(
    st.sampled_from([*DPIDS, *ODD_DPIDS]) | st.sampled_from([None, 7, ["umazda"], {"umazda": True}]), max_size=5
)
claims_of_people = st.builds(
    lambda claims, dealers, subject: {**claims, "rooftops": dealers, "iss": ISSUER, "id": subject},
    st.dictionaries(st.sampled_from(NAMES), claim_values),
    dealer_claims | claim_values,
    st.sampled_from(["steve", "carlos"]),
)
roles = st.dictionaries(
    st.sampled_from(["sales", "manager", "robot"]),
    st.builds(
        RoleSettings,
        access=st.dictionaries(st.sampled_from([*TOOLSETS, *TOOLS]), st.sampled_from(Access), max_size=4),
        personal_data=st.sampled_from(["masked", "contact"]),
        calls_per_minute=st.none() | st.integers(1, 99),
    ),
    min_size=1,
)


class Case(NamedTuple):
    """A configuration, and the claims of somebody."""

    roles: dict[str, RoleSettings]
    rules: list[PeopleRule]
    claims: dict[str, Any]

    def rights(self) -> Rights:
        return rights_of(self.roles, self.rules)


@st.composite
def cases(draw: st.DrawFn, *, matching: bool = False) -> Case:
    """Draws claims, and rules of which many match them. With `matching` one of the rules matches for certain."""
    given_roles, claims = draw(roles), draw(claims_of_people)
    held = [(name, each) for name, claim in claims.items() for each in (claim if isinstance(claim, list) else [claim])]
    hits = st.sampled_from([(name, value) for name, value in held if isinstance(value, str | int)])
    misses = st.tuples(st.sampled_from(NAMES), values)
    role = st.sampled_from(sorted(given_roles))

    def rule(pairs: Any) -> Any:
        match = st.lists(pairs, min_size=1, max_size=2).map(dict)
        at_places = st.builds(PeopleRule, match=match, role=role, dealers=places)
        return at_places | st.builds(PeopleRule, match=match, role=role, dealers_claim=st.just("rooftops"))

    rules = draw(st.lists(rule(hits | misses), max_size=5))
    if matching:
        surely = draw(rule(st.just(("iss", ISSUER))))
        rules.insert(draw(st.integers(0, len(rules))), surely)
    return Case(given_roles, rules, claims)


def rights_of(given_roles: Mapping[str, RoleSettings], rules: list[PeopleRule]) -> Rights:
    provider = IdentitySettings(issuer=ISSUER, audiences=["here"], subject_claim="id", people=rules)
    groups = {name: DealerGroupSettings(dealers=list(dealers)) for name, dealers in GROUPS.items()}
    dealers = DealersInForce(frozenset(DPIDS), groups, missing_sections={}, with_crm=frozenset(DPIDS))
    return Rights({}, given_roles, {"work": provider}, dealers)


def without_places(caller: Caller | None) -> Caller | None:
    """Returns the caller without the names of the settings, which count the rules."""
    return None if caller is None else replace(caller, places={})


def equals(claim: Any, value: Any) -> bool:
    return type(claim) is type(value) and bool(claim == value)


def is_matched(rule: PeopleRule, claims: Mapping[str, Any]) -> bool:
    """Returns whether the rule matches, worked out in another way than the server does."""
    for name, value in rule.match.items():
        claim = claims.get(name)
        if not equals(claim, value) and not (isinstance(claim, list) and any(equals(each, value) for each in claim)):
            return False
    return True


def case_of(value: Any, claim: Any) -> Case:
    rules = [PeopleRule(match={"level": value}, role="sales", dealers=["umazda"])]
    return Case({"sales": RoleSettings()}, rules, {"iss": ISSUER, "id": "steve", "level": claim})


@given(cases())
@example(case_of(1, True))
@example(case_of(True, 1))
@example(case_of(1, 1.0))
@example(case_of(1, "1"))
@example(case_of("1", [1, True]))
def test_first_rule_that_matches_decides(case: Case) -> None:
    matching = [number for number, rule in enumerate(case.rules, 1) if is_matched(rule, case.claims)]
    rights = case.rights()
    caller = rights.caller_of_person(case.claims)
    assert rights.matching_rule(case.claims) == (matching[0] if matching else None)
    assert (caller is None) is not bool(matching)
    if caller is not None:
        rule = case.rules[matching[0] - 1]
        assert (caller.name, caller.principal) == (f"work:{rule.role}", f"work:{case.claims['id']}")
        assert caller.access == case.roles[rule.role].access
        assert caller.calls_per_minute == case.roles[rule.role].calls_per_minute


@given(cases(matching=True))
def test_no_token_has_a_right_that_no_single_rule_gives(case: Case) -> None:
    """The rights are those of a configuration with one rule, tool by tool and dealer by dealer."""
    caller = case.rights().caller_of_person(case.claims)
    assert caller is not None
    of_rules = [rights_of(case.roles, [rule]).caller_of_person(case.claims) for rule in case.rules]
    single = next(each for each in of_rules if without_places(each) == without_places(caller))
    assert single is not None
    for tool in TOOLS.values():
        assert verdict(caller, tool).level == verdict(single, tool).level
    for dpid in (*DPIDS, *ODD_DPIDS):
        assert dealer_verdict(caller, dpid).is_allowed == dealer_verdict(single, dpid).is_allowed


@given(cases(matching=True))
def test_no_token_reaches_a_dealer_outside_the_configuration_or_its_rule(case: Case) -> None:
    rights = case.rights()
    caller, number = rights.caller_of_person(case.claims), rights.matching_rule(case.claims)
    assert caller is not None
    assert number is not None
    assert caller.dealer_set == set(caller.dealers) <= set(DPIDS)
    rule = case.rules[number - 1]
    if rule.dealers_claim is None:
        of_groups = {dpid for name, group in GROUPS.items() if f"group:{name}" in rule.dealers for dpid in group}
        assert caller.dealer_set == of_groups | (set(rule.dealers) & set(DPIDS))
    else:
        claim = case.claims["rooftops"]
        claimed = claim if isinstance(claim, list) else [claim]
        assert caller.dealer_set == {dpid for dpid in DPIDS if dpid in claimed}


@given(cases(matching=True), st.data())
def test_rules_behind_the_one_that_matches_change_nothing(case: Case, data: st.DataObject) -> None:
    """Nor does it change anything that a token matches more of them."""
    rights = case.rights()
    number = rights.matching_rule(case.claims)
    assert number is not None
    others = data.draw(st.permutations(case.rules[number:]))
    everybody = PeopleRule(match={"iss": ISSUER}, role=min(case.roles), dealers=list(DPIDS))
    longer = rights_of(case.roles, [*case.rules[:number], *others, everybody])
    assert longer.caller_of_person(case.claims) == rights.caller_of_person(case.claims)


@given(cases(matching=True), st.sampled_from([..., "", " ", None, 7, "x" * 256, "a\nb", ["steve"]]))
def test_somebody_without_a_usable_id_has_no_rights(case: Case, subject: Any) -> None:
    rights = case.rights()
    nameless = {name: value for name, value in {**case.claims, "id": subject}.items() if value is not ...}
    assert rights.caller_of_person(nameless) is None
    assert rights.caller_of_person({**case.claims, "iss": "https://login.evil.example"}) is None

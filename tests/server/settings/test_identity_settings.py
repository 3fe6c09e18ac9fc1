"""Roles, groups of dealers and identity providers: what they give, and the mistakes that stop the start."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.loading import load
from roadster_server.settings.settings import Settings
from roadster_tools import Access, dealer_verdict
from tests.conftest import CONFIG
from tests.server.identity.issuers import ISSUER, RESOURCE

PROVIDER = f"""
[roles.sales]
access = {{ inventory = "read", customers = "confirm" }}
personal_data = "contact"
calls_per_minute = 60
approves = ["customers", "upload_document"]
[roles.manager]
access = {{ inventory = "read" }}

[dealer_groups.northwest]
dealers = ["umazda", "hyundaidemo"]

[identity.work]
issuer = "{ISSUER}"
audiences = ["{RESOURCE}"]
jwks_url = "https://login.example.com/keys?tenant=7"
longest_lifetime = "90m"
[[identity.work.people]]
match = {{ groups = "sales-nw", level = 3 }}
role = "sales"
dealers = ["group:northwest"]
[[identity.work.people]]
match = {{ "https://example.com/role" = "manager" }}
role = "manager"
dealers_claim = "https://example.com/rooftops"
"""
PROVIDER_KEYS = PROVIDER.partition("[identity.work]\n")[2].partition("longest_lifetime")[0]
RULES = PROVIDER.partition('longest_lifetime = "90m"\n')[2]
HTTP = f'\n[http]\nresource_url = "{RESOURCE}"\n'
GOOD = PROVIDER + HTTP


def load_with(more: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("STORE_URL", "sqlite:////nowhere/store.db")
    monkeypatch.setenv("ROADSTER_API_KEY", "the-api-key")
    monkeypatch.setenv("UMAZDA_LINK_KEY", "k" * 32)
    path = folder / "roadster.toml"
    text = CONFIG.format(base_url="https://api.roadster.com/v1", sales_token="a" * 64, reader_token="b" * 64)
    path.write_text(text + more)
    return load(path)


def test_callers_may_be_missing_where_people_sign_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator of people only would otherwise have to write an empty section."""
    monkeypatch.setitem(globals(), "CONFIG", CONFIG.partition("[callers.")[0])
    assert load_with(GOOD, tmp_path, monkeypatch).callers == {}
    with pytest.raises(ConfigurationError, match=r"callers: is missing; add \[callers.NAME\], or \[identity.NAME\]"):
        load_with("", tmp_path, monkeypatch)


def test_rule_gives_a_role_at_a_group_of_dealers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_with(GOOD, tmp_path, monkeypatch)
    claims = {"iss": ISSUER, "sub": "steve", "groups": ["staff", "sales-nw"], "level": 3}
    person = settings.rights.caller_of_person(claims)
    assert person is not None
    assert (person.name, person.principal) == ("work:sales", "work:steve")
    assert person.dealers == ("umazda", "hyundaidemo")
    assert person.access == {"inventory": Access.READ, "customers": Access.CONFIRM}
    assert (person.personal_data, person.calls_per_minute, person.writes_per_hour) == ("contact", 60, None)
    assert person.setting("access.customers") == "roles.sales.access.customers"
    assert person.setting("dealers") == "identity.work.people.1.dealers"
    assert settings.identity["work"].longest_lifetime == timedelta(minutes=90)


@pytest.mark.parametrize(
    ("claimed", "dealers"),
    [
        (["hyundaidemo", "nowhere", "umazda", "hyundaidemo"], ("hyundaidemo", "umazda")),
        ("umazda", ("umazda",)),
        ("umazda,hyundaidemo", ()),
        (["UMAZDA", " umazda", 7, None, ["umazda"]], ()),
        ({"umazda": True}, ()),
        (None, ()),
    ],
)
def test_dealers_of_a_claim_are_those_that_the_configuration_has(
    claimed: object, dealers: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rights = load_with(GOOD, tmp_path, monkeypatch).rights
    claims = {"iss": ISSUER, "sub": "carlos", "https://example.com/role": "manager"}
    person = rights.caller_of_person({**claims, "https://example.com/rooftops": claimed})
    assert person is not None
    assert person.dealers == dealers
    assert person.setting("dealers") == "identity.work.people.2.dealers_claim"
    if not dealers:
        reason = dealer_verdict(person, "toyotademo").reason
        assert reason.endswith(
            "the claim https://example.com/rooftops of the token names no dealer of the configuration"
        )


def test_keys_of_a_caller_win_over_those_of_its_role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = """
[callers.desk]
role = "sales"
dealers = ["toyotademo", "group:northwest", "umazda"]
calls_per_minute = 5
[callers.narrow]
role = "sales"
access = { dealers = "read" }
personal_data = "masked"
"""
    settings = load_with(GOOD + more, tmp_path, monkeypatch)
    desk, narrow = settings.caller("desk"), settings.caller("narrow")
    assert desk.dealers == ("toyotademo", "umazda", "hyundaidemo"), "each once, in the order of the entries"
    assert (desk.calls_per_minute, desk.personal_data) == (5, "contact")
    assert desk.setting("calls_per_minute") == "callers.desk.calls_per_minute"
    assert desk.setting("access") == "roles.sales.access"
    assert narrow.access == {"dealers": Access.READ}, "a key replaces the role's as a whole"
    assert (narrow.calls_per_minute, narrow.personal_data, narrow.dealers) == (60, "masked", ())
    assert narrow.setting("access.customers") == "callers.narrow.access.customers"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("https://login.example.com/keys", "http://localhost:8/k"),
        (f'resource_url = "{RESOURCE}"', 'resource_url = "http://[::1]:8000/mcp"'),
        ('jwks_url = "https://login.example.com/keys?tenant=7"\n', ""),
        ('longest_lifetime = "90m"', 'scope = ""\nadvertised_scopes = ["api://roadster-mcp/roadster", "openid"]'),
    ],
)
def test_provider_may_also_be_written_so(old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert old in GOOD
    assert load_with(GOOD.replace(old, new), tmp_path, monkeypatch).identity["work"].issuer == ISSUER


TWIN = f"""
[identity.twin]
issuer = "{ISSUER}"
audiences = ["{RESOURCE}"]
"""


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (HTTP, "", "http.resource_url: is missing, and identity.work needs it; add the public URL of /mcp"),
        (HTTP, HTTP + TWIN, "identity.twin.issuer: the same as identity.work.issuer; put the rules of both"),
        ("[identity.work]", '[identity."wo rk"]\nissuer = "i"\naudiences = ["a"]\n[identity.work]', "identity.wo rk: "),
        (f'issuer = "{ISSUER}"', "", "identity.work.issuer: is missing"),
        (f'issuer = "{ISSUER}"', 'issuer = ""', "identity.work.issuer: "),
        (f'audiences = ["{RESOURCE}"]', "audiences = []", "identity.work.audiences: "),
        (f'audiences = ["{RESOURCE}"]', 'audiences = [""]', "identity.work.audiences.1: "),
        (f'audiences = ["{RESOURCE}"]', "", "identity.work.audiences: is missing"),
        ('"90m"', "3600", 'identity.work.longest_lifetime: expected a number and a unit in quotes, as "90s"'),
        ('"90m"', '"90 m"', "identity.work.longest_lifetime: "),
        ('"90m"', '"0m"', "identity.work.longest_lifetime: "),
        ('"90m"', '"90m"\nscopes = 1', "identity.work.scopes: unknown key"),
        ('"90m"', '"90m"\nadvertised_scopes = ["a b"]', "identity.work.advertised_scopes.1: expected a scope"),
        (
            'match = { groups = "sales-nw", level = 3 }',
            "match = {}",
            "identity.work.people.1.match: names no claim; to match everybody, name the issuer, as { iss = ",
        ),
        (
            'match = { groups = "sales-nw", level = 3 }',
            'match = "groups"',
            'people.1.match: expected claims and their values, as { groups = "sales" }',
        ),
        ("level = 3", '"" = ""', "identity.work.people.1.match: names a claim without a name; write"),
        ("level = 3", 'realm_access.roles = "x"', "people.1.match.realm_access: rules do not look into a claim; have"),
        (
            RULES,
            "[identity.work.people]\n",
            "identity.work.people: expected tables, each below a heading [[identity.work.people]]",
        ),
        *(
            (
                PROVIDER_KEYS,
                PROVIDER_KEYS.replace(ISSUER, issuer).partition("jwks_url")[0],
                "identity.work.issuer: its keys are looked for there, so expected an https:// URL without a password",
            )
            for issuer in ("login", "http://login.example.com", "https://", "login.example.com/tenant")
        ),
        ("level = 3", "level = 3.5", "identity.work.people.1.match.level: expected a text, a whole number"),
        ("level = 3", "level = ['a']", "identity.work.people.1.match.level: expected a text, a whole number"),
        ('role = "sales"', 'role = "sale"', "identity.work.people.1.role: unknown role 'sale', expected"),
        ('"group:northwest"', '"group:north"', "people.1.dealers: unknown group 'north', expected one of northwest"),
        ('"group:northwest"', '"northwest"', "people.1.dealers: unknown dealer 'northwest', expected one of"),
        ("dealers_claim", 'dealers = ["umazda"]\ndealers_claim', "people.2: has dealers and dealers_claim; leave out"),
        (
            '"umazda", "hyundaidemo"]\n\n',
            '"umazda", "group:northwest"]\n\n',
            "northwest.dealers: unknown dealer 'group:",
        ),
        ('"upload_document"', '"upload"', "roles.sales.approves.upload: unknown toolset or tool"),
        (HTTP, HTTP + '[callers."work:steve"]\n', "callers.work:steve: a name with a colon is a person's"),
        (
            HTTP,
            HTTP + '[callers.desk]\nrole = "boss"\n',
            "callers.desk.role: unknown role 'boss', expected",
        ),
        *(
            ("https://login.example.com/keys?tenant=7", url, "identity.work.jwks_url: ")
            for url in (
                "http://login.example.com/keys",
                "http://127.0.0.1.evil.example/keys",
                "http://127.0.0.1@evil.example/keys",
                "http://10.0.0.7/keys",
                "https://me:secret@login.example.com/keys",
                "https:login.example.com/keys",
                "https://",
                "https://login.example.com:99999/",
                "https://login example.com/",
                "file:///etc/passwd",
                "login.example.com/keys",
            )
        ),
        *(
            (HTTP, HTTP.replace(RESOURCE, url), "http.resource_url: ")
            for url in ("http://mcp.example.com/mcp", "https://mcp.example.com/mcp#x", "mcp.example.com", "")
        ),
    ],
)
def test_mistake_stops_the_start(
    old: str, new: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert old in GOOD
    with pytest.raises(ConfigurationError, match=r".") as error:
        load_with(GOOD.replace(old, new, 1), tmp_path, monkeypatch)
    assert any(problem in line for line in error.value.problems), error.value.problems
    assert "secret@" not in str(error.value)

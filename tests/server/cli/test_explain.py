"""`policy explain` about people, and about all that a caller may do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import run_cli
from tests.conftest import PROJECT

CONFIG = (PROJECT / "examples" / "people.toml").read_text()
CLAIMS: dict[str, Any] = json.loads((PROJECT / "examples" / "claims.json").read_text())
MORE_RULES = """
[roles.manager]
[[identity.work.people]]
match = { level = 1, "https://example.com/admin" = true }
role = "manager"
dealers_claim = "rooftops"
"""
TOKEN = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJpc3MiOiJub2JvZHkiLCJzdWIiOiJuIn0.c2lnbmF0dXJl"

Explain = Callable[..., list[str]]


@pytest.fixture
def explain(tmp_path: Path) -> Explain:
    """Runs the command with claims that differ from those of the example. A claim changed to `...` is left out."""
    config = tmp_path / "roadster.toml"
    config.write_text(CONFIG.replace("[callers.desk]", f"{MORE_RULES}\n[callers.desk]"))

    def run(*options: str, caller: str | None = None, **changes: Any) -> list[str]:
        claims = {name: value for name, value in (CLAIMS | changes).items() if value is not ...}
        file = tmp_path / "claims.json"
        file.write_text(json.dumps(claims))
        about = ("--caller", caller) if caller else ("--token-claims", str(file))
        end = run_cli("policy", "explain", *about, *options, "--config", str(config), ROADSTER_API_KEY="k")
        assert (end.returncode, end.stderr) == (0, "")
        return end.stdout.splitlines()

    return run


def test_says_which_rule_matches_and_what_it_gives(explain: Explain) -> None:
    lines = explain()
    assert lines[:3] == [
        'identity.work.people.1 matches: groups = "roadster-sales-nw"',
        "on record as work:00u1a2b3c4, role sales",
        "identity.work.people.1.dealers gives 2 (with group:northwest): umazda, hyundaidemo",
    ]
    assert {'roles.sales.access.customers is "confirm"', "roles.sales.calls_per_minute is 60"} <= set(lines)
    assert 'roles.sales.personal_data is "contact"' in lines


def test_dealers_of_a_claim_are_those_that_the_configuration_has(explain: Explain) -> None:
    changes = {"groups": ..., "level": [1], "https://example.com/admin": True, "rooftops": ["umazda", "nowhere"]}
    lines = explain(**changes)
    assert lines[0] == "identity.work.people.2 matches: level = 1 and https://example.com/admin = true"
    assert "identity.work.people.2.dealers_claim gives 1: umazda" in lines
    assert "roles.manager.access gives nothing" in lines
    assert lines[-1] == 'rooftops names 2; the configuration lacks 1 of them: "nowhere"'
    changes["rooftops"] = ["umazda", "umazda", 7, ["umazda"]]
    assert explain(**changes)[-1] == "rooftops names 1"
    changes["rooftops"] = ...
    assert explain(**changes)[-1] == "the token has no claim rooftops, so there is no dealer"


@pytest.mark.parametrize(
    ("options", "verdict"),
    [
        (
            ["--tool", "create_customer", "--dealer", "umazda"],
            'allowed: roles.sales.access.customers is "confirm", and identity.work.people.1.dealers names umazda',
        ),
        (["--tool", "get_vehicle"], 'allowed: roles.sales.access.inventory is "read"'),
        (["--dealer", "umazda"], "allowed: identity.work.people.1.dealers names umazda by group:northwest"),
        (["--dealer", "toyotademo"], "refused: identity.work.people.1.dealers does not name this dealer"),
        (["--tool", "create_forms"], 'refused: roles.sales.access gives "off"'),
    ],
)
def test_gives_the_verdict_on_a_person(options: list[str], verdict: str, explain: Explain) -> None:
    rule, line, *ways = explain(*options)
    assert rule.startswith("identity.work.people.1 matches")
    assert line.startswith(verdict)
    assert bool(ways) is ("create_customer" in options)


def test_says_how_a_person_is_asked_and_whose_role_approves(explain: Explain) -> None:
    assert explain("--tool", "create_customer")[2:] == [
        "a person is asked by form, else by page: roles.sales.confirm_by",
        (
            "on the page it is approved by nobody: nobody can sign in to the pages; let the operator set "
            "people.local_caller, or client_id in [identity.NAME] with a rule for its people"
        ),
    ]


def test_a_role_that_approves_is_named_once_somebody_with_it_can_sign_in(explain: Explain, tmp_path: Path) -> None:
    config = tmp_path / "roadster.toml"
    text = config.read_text().replace("[roles.manager]", '[roles.manager]\napproves = ["customers"]')
    config.write_text(text)
    assert "nobody can sign in" in explain("--tool", "create_customer")[-1]
    owner = '[callers.owner]\nrole = "manager"\ndealers = ["umazda"]\n[people]\nlocal_caller = "owner"\n'
    config.write_text(f"{text}\n{owner}")
    by_manager = "on the page it is approved by roles.manager.approves"
    assert explain("--tool", "create_customer")[-1] == by_manager
    assert explain("--tool", "create_customer", "--dealer", "umazda")[-1] == by_manager
    assert "may approve it at hyundaidemo" in explain("--tool", "create_customer", "--dealer", "hyundaidemo")[-1]


def test_says_what_a_role_may_do_on_the_pages(explain: Explain, tmp_path: Path) -> None:
    config = tmp_path / "roadster.toml"
    config.write_text(
        config.read_text().replace(
            "[roles.manager]",
            '[roles.manager]\napproves = ["forms", "customers"]\nconsole = true\nconfirm_by = ["page"]',
        )
    )
    person = {"groups": ..., "level": 1, "https://example.com/admin": True, "rooftops": "umazda"}
    lines = explain(**person)
    assert {
        'roles.manager.confirm_by is ["page"]',
        'roles.manager.approves is ["customers", "forms"]',
        "roles.manager.console is true",
    } <= set(lines)
    assert {"roles.sales.approves is []", "roles.sales.console is false"} <= set(explain(caller="desk"))
    config.write_text(config.read_text() + '[callers.plain]\ndealers = ["umazda"]\nconfirm_by = ["form"]\n')
    assert (
        explain(caller="plain")[-1]
        == "without a role, it approves nothing on the pages for people, and sees no console"
    )
    assert 'callers.plain.confirm_by is ["form"]' in explain(caller="plain")


def test_says_what_a_card_needs_and_when_there_is_none(tmp_path: Path, explain: Explain) -> None:
    config = tmp_path / "roadster.toml"
    with_cards = config.read_text().replace("[roles.sales]", '[roles.sales]\nconfirm_by = ["form", "card"]')
    config.write_text(with_cards)
    assert explain("--tool", "create_customer")[2:] == [
        "a person is asked by form, else by card: roles.sales.confirm_by",
        "a card needs a host with views, and is as strong as its word",
    ]
    config.write_text(f'{with_cards}\n[approvals]\ntwo_person = ["customers"]\n')
    assert explain("--tool", "create_customer")[3:] == ["no card: approvals.two_person wants a second person"]


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"groups": ["staff"]}, ['1 wants groups = "roadster-sales-nw", and the token\'s list lacks it']),
        ({"groups": "staff"}, ['1 wants groups = "roadster-sales-nw", and the token\'s is "staff"']),
        ({"groups": {"roadster-sales-nw": True}}, ["and the token's is an object"]),
        ({"groups": ...}, ["and the token has no such claim"]),
        ({"groups": ..., "level": "1"}, ['2 wants level = 1, and the token\'s is "1"']),
        ({"groups": ..., "level": True}, ["2 wants level = 1, and the token's is true"]),
        ({"groups": ..., "level": 1}, ["2 wants https://example.com/admin = true, and the token has no such claim"]),
    ],
)
def test_says_of_each_rule_why_it_does_not_match(changes: dict[str, Any], reasons: list[str], explain: Explain) -> None:
    first, *lines = explain(**changes)
    assert first == "refused: no rule of identity.work.people matches"
    assert len(lines) == 2
    for reason in reasons:
        assert reason in "\n".join(lines)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://elsewhere.example.com"}, "no identity provider has the issuer of these claims"),
        ({"iss": ["https://login.example.com/tenant/v2.0"]}, "no identity provider has the issuer of these claims"),
        ({"aud": "https://other.example.com"}, "it is for another audience"),
        ({"exp": ...}, 'missing the "exp" claim'),
        ({"exp": 1790000000 + 86_400 * 2}, "it lives longer than longest_lifetime"),
        ({"nonce": "n"}, "it is an ID token: it has nonce"),
        ({"groups": ..., "_claim_names": {"groups": "src1"}}, "it has too many groups to hold them"),
        ({"scope": "openid"}, "it lacks the scope roadster"),
        ({"sub": 7}, "sub is no text that names a person"),
    ],
)
def test_says_why_no_such_token_is_good(changes: dict[str, Any], reason: str, explain: Explain) -> None:
    (line,) = explain("--tool", "get_vehicle", **changes)
    assert line.startswith("refused")
    assert reason in line


def test_says_all_that_a_caller_with_a_role_may_do(explain: Explain) -> None:
    assert explain(caller="desk")[:3] == [
        "callers.desk: role sales",
        "callers.desk.dealers gives 2 (with group:northwest): umazda, hyundaidemo",
        'roles.sales.access.inventory is "read"',
    ]


@pytest.mark.parametrize(
    ("arguments", "content"),
    [
        (["--token-claims", TOKEN], ""),
        (["--token-claims", "FILE"], TOKEN),
        (["--token-claims", "FILE"], f'"Bearer {TOKEN}"\n'),
    ],
)
def test_takes_no_token_and_does_not_repeat_it(arguments: list[str], content: str, tmp_path: Path) -> None:
    file = tmp_path / "claims.json"
    file.write_text(content)
    arguments = [str(file) if each == "FILE" else each for each in arguments]
    end = run_cli("policy", "explain", *arguments, "--sandbox")
    assert (end.returncode, end.stdout) == (2, "")
    assert "is a token, which lets in whoever reads it" in end.stderr
    assert TOKEN[:20] not in end.stderr


@pytest.mark.parametrize("content", ["", "[]", '"text"', "{", '{"sub": 1, "sub": 2}', "an-opaque-token"])
def test_what_is_no_object_of_claims_is_exit_2(content: str, tmp_path: Path) -> None:
    file = tmp_path / "claims.json"
    file.write_text(content)
    end = run_cli("policy", "explain", "--token-claims", str(file), "--sandbox")
    assert (end.returncode, end.stdout, len(end.stderr.splitlines())) == (2, "", 1)


@pytest.mark.parametrize("arguments", [[], ["--caller", "local", "--token-claims", "claims.json"]])
def test_is_about_one_caller_or_one_person(arguments: list[str]) -> None:
    end = run_cli("policy", "explain", *arguments, "--sandbox")
    assert (end.returncode, end.stdout) == (2, "")
    assert "--caller or --token-claims" in end.stderr

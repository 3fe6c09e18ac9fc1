"""`doctor` finds callers and people who may do nothing, and writes that nobody can approve."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.server.cli.doctors import doctor, edit, problems


def test_doctor_names_who_sees_dealer_figures(config: Path) -> None:
    """A role counts if a rule gives it to people."""
    assert "ok       dealer figures: shown to nobody\n" in doctor(config).stdout
    edit(config, "[callers.local]", "[callers.local]\ndealer_figures = true")
    roles = """
[http]
resource_url = "https://mcp.example.com/mcp"
[roles.manager]
dealer_figures = true
[roles.unused]
dealer_figures = true
[identity.work]
issuer = "https://login.example.com"
audiences = ["https://mcp.example.com/mcp"]
[[identity.work.people]]
match = { groups = "managers" }
role = "manager"
dealers = ["umazda"]
"""
    config.write_text(config.read_text() + roles)
    assert "ok       dealer figures: shown to callers.local, roles.manager\n" in doctor(config).stdout


def test_doctor_finds_callers_that_cannot_do_anything(config: Path) -> None:
    config.write_text(
        config.read_text() + '[callers.idle]\ntoken_sha256 = ["' + hashlib.sha256(b"idle").hexdigest() + '"]\n'
        '[callers.tokenless]\ndealers = ["umazda"]\naccess = { inventory = "read" }\n'
    )
    end = doctor(config)
    assert end.returncode == 1
    assert len(problems(end)) == 2
    assert any("callers.idle may do nothing; add dealers" in line for line in problems(end))
    assert any("roadster-mcp token tokenless" in line for line in problems(end))


PEOPLE = """
[http]
resource_url = "https://mcp.example.com/mcp"
[roles.sales]
access = { inventory = "read" }
[roles.empty]
access = { inventory = "off" }
[identity.work]
issuer = "https://login.example.com"
audiences = ["https://mcp.example.com/mcp"]
jwks_url = "http://127.0.0.1:9/jwks"
"""
RULE = """
[[identity.work.people]]
match = {match}
role = "{role}"
{dealers}
"""


def test_doctor_reads_what_people_may_read(config: Path) -> None:
    """A configuration may have people only."""
    rules = RULE.format(match='{ groups = "sales" }', role="sales", dealers='dealers = ["umazda"]')
    config.write_text(config.read_text().partition("[callers.")[0] + PEOPLE + rules)
    lines = doctor(config).stdout.splitlines()
    counts = "dealers: 3, callers: 0, roles: 2, identity providers: 1, rules for people: 1"
    assert f"ok       configuration: {counts}" in lines
    assert "ok       people: each rule can give something" in lines
    assert not [line for line in lines if "callers:" in line and "configuration" not in line]
    assert [line for line in lines if "answers of" in line] == [
        "ok       answers of umazda: all of it can be read: list_inventory, get_vehicle"
    ]
    edit(config, 'dealers = ["umazda"]\n', 'dealers_claim = "rooftops"\n')
    text = doctor(config).stdout
    assert "ok       answers of umazda: " in text
    assert "ok       answers of hyundaidemo: " in text, "a claim may name each dealer"


def test_doctor_finds_rules_that_give_nothing(config: Path) -> None:
    rules = [
        ('{ groups = "none" }', "sales", ""),
        ('{ groups = "sales" }', "sales", 'dealers = ["umazda"]'),
        ('{ groups = "sales", level = 1 }', "sales", 'dealers = ["umazda"]'),
        ('{ iss = "https://elsewhere.example.com" }', "sales", 'dealers = ["umazda"]'),
        ("{ level = 1 }", "empty", 'dealers = ["umazda"]'),
        ("{ level = true }", "sales", 'dealers = ["umazda"]'),
        ('{ iss = "https://login.example.com" }', "sales", 'dealers = ["umazda"]'),
        ('{ groups = "late" }', "sales", 'dealers = ["umazda"]'),
    ]
    twin = (
        '[identity.twin]\nissuer = "https://b.example.com"\naudiences = ["b"]\njwks_url = "http://127.0.0.1:9/jwks"\n'
    )
    text = "".join(RULE.format(match=match, role=role, dealers=dealers) for match, role, dealers in rules)
    config.write_text(config.read_text() + PEOPLE + text + twin)
    end = doctor(config)
    assert [line for line in problems(end) if line.startswith("people: ")] == [
        "people: identity.work.people.1 gives no dealer, so its people may do nothing; add dealers or dealers_claim",
        "people: identity.work.people.3 is never reached: rule 2 matches everybody whom it matches; move or remove one",
        "people: identity.work.people.4.match.iss is not identity.work.issuer, so the rule matches nobody; correct it",
        "people: identity.work.people.5 gives the role empty, which may do nothing; add access to [roles.empty]",
        "people: identity.work.people.8 is never reached: rule 7 matches everybody whom it matches; move or remove one",
        "people: identity.twin has no rule, so its people may do nothing; add [[identity.twin.people]]",
    ]


def test_doctor_finds_a_caller_without_a_token_where_people_connect(config: Path) -> None:
    callers = '[callers.desk]\ndealers = ["umazda"]\naccess = { inventory = "read" }\n'
    config.write_text(config.read_text().partition("[callers.")[0] + callers)
    assert problems(doctor(config)) == [], "nobody connects over HTTP"
    config.write_text(config.read_text() + PEOPLE)
    line = "callers: callers.desk cannot connect over HTTP, as people can; make a token with roadster-mcp token desk, "
    assert line + "or take the caller out" in problems(doctor(config))
    config.write_text(config.read_text() + '[people]\nlocal_caller = "desk"\n')
    found = problems(doctor(config))
    assert found
    assert not any("callers.desk" in problem for problem in found), "a person signs in to the pages as desk"


def test_doctor_finds_writes_that_would_wait_where_nobody_can_approve(config: Path) -> None:
    manager = '[roles.manager]\napproves = ["customers"]\n[callers.owner]\nrole = "manager"\ndealers = ["umazda"]\n'
    desk = '[callers.desk]\ndealers = ["umazda"]\naccess = { customers = "confirm", documents = "confirm" }\n'
    config.write_text(f"{config.read_text().partition('[callers.')[0]}{manager}{desk}")
    (problem,) = [line for line in problems(doctor(config)) if line.startswith("approvals: ")]
    assert problem.startswith("approvals: desk asks for create_customer on a page, and nobody can sign in")
    config.write_text(f'{config.read_text()}[people]\nlocal_caller = "owner"\n')
    assert "ok       approvals: nothing waits where nobody can approve it\n" in doctor(config).stdout


def test_doctor_finds_links_to_an_address_at_which_nobody_can_sign_in(config: Path) -> None:
    people = '[people]\nlocal_caller = "local"\n[http]\nresource_url = "https://mcp.example.com/mcp"\n'
    config.write_text(config.read_text() + people)
    (problem,) = [line for line in problems(doctor(config)) if line.startswith("approvals: ")]
    assert "and links of answers lead to mcp.example.com; add client_id" in problem


def test_doctor_warns_of_a_public_host_that_requests_may_not_name(config: Path) -> None:
    """Only where the proxy passes Host on, which doctor cannot see. So it is no problem."""
    before = config.read_text()
    mend = 'add it to http.allowed_hosts: ["mcp.example.com:8443"]'
    for url, hosts, is_warned in (
        ("https://MCP.example.com:8443/mcp", "[]", True),
        ("https://MCP.example.com:8443/mcp", '["mcp.example.com:8443"]', False),
        ("https://mcp.example.com:443/mcp", '["MCP.example.com"]', False),
        ("http://127.0.0.1:8000/mcp", "[]", False),
    ):
        config.write_text(f'{before}[http]\nresource_url = "{url}"\nallowed_hosts = {hosts}\n')
        end = doctor(config)
        assert end.returncode == 0
        warnings = [line for line in end.stdout.splitlines() if line.startswith("warning  hosts: ")]
        assert bool(warnings) is is_warned
        assert all(mend in line for line in warnings)


def test_doctor_names_who_confirms_on_a_card(config: Path) -> None:
    assert " cards: " not in doctor(config).stdout
    desk = '[callers.desk]\ndealers = ["umazda"]\naccess = { customers = "confirm" }\nconfirm_by = ["card", "page"]\n'
    base = config.read_text().partition("[callers.")[0] + desk
    words = (
        "ok       cards: for callers.desk, as strong as the word of the host. Without one are hosts that do not say "
        "that they show views (MCP Apps)"
    )
    config.write_text(base)
    assert f"{words}\n" in doctor(config).stdout
    config.write_text(f'{base}[approvals]\ntwo_person = ["deliveries"]\n')
    assert f"{words}, and approvals.two_person: deliveries\n" in doctor(config).stdout

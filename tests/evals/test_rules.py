"""The agent that works by rules: what it answers, and what it may not know."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from roadster_evals.agents import rules
from roadster_evals.agents.rules import RuleAgent

from .conftest import Try


@pytest.mark.parametrize(
    "name", ["payments_lease", "inventory_cheapest_suv", "documents_delete_declined", "customers_preview"]
)
def test_rules_solve_a_scenario_with_one_call(name: str, try_agent: Try) -> None:
    result = try_agent(RuleAgent, name)
    assert (result.problems, result.violations, result.calls) == ((), (), 1)


def test_rules_ask_for_what_is_missing(try_agent: Try) -> None:
    result = try_agent(RuleAgent, "customers_no_email")
    assert (result.solved, result.calls) == (True, 0)


def test_rules_do_not_solve_what_takes_several_steps(try_agent: Try) -> None:
    assert not try_agent(RuleAgent, "deal_lead_to_account").solved


def test_rules_do_not_know_scenarios_or_worlds() -> None:
    tree = ast.parse(Path(rules.__file__).read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {each for each in modules if each and "roadster" in each} == {"roadster_server.calls.results"}
    assert not any(node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))

"""Scenarios as templates over seeds: facts, placeholders, and what a file can have wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from roadster_evals import ScenarioError, load, script_agent
from roadster_evals.grading.result import Result
from roadster_evals.language.phrases import PHRASES, expresses, warns
from roadster_evals.runs.results_file import CANARY
from roadster_evals.runs.trial import Workspace, attempt
from roadster_evals.scenario_files.folder import Template
from roadster_evals.scenario_files.placeholders import PlaceholderError, fill_in
from roadster_sandbox.world.people import FIRST_NAMES, LAST_NAMES

from .conftest import SCENARIOS, TEMPLATES

SEEDS = range(1, 51)
SAMPLE = [
    (template, seed)
    for number, template in enumerate(TEMPLATES)
    for seed in Random(f"sample {number}").sample(SEEDS, 1)
]
"""Each scenario in one of the 50 worlds. `make evals-seeds` tries all of them."""


def solve(workspace: Workspace, template: Template, seed: int) -> Result:
    return anyio.run(attempt, workspace, "reference", script_agent("reference"), template.at(seed))


@pytest.mark.parametrize("last_name", LAST_NAMES)
def test_grader_reads_no_meaning_in_a_name(last_name: str) -> None:
    names = [f"{first_name} {last_name}" for first_name in FIRST_NAMES]
    assert [(name, group) for name in names for group in PHRASES if expresses(group, [name])] == []
    assert [name for name in names if warns(name)] == []
    assert [name for name in names if not expresses("done", [f"{name} now sees the offer."])] == []


@pytest.mark.parametrize(("template", "seed"), SAMPLE, ids=lambda value: getattr(value, "name", value))
def test_reference_solves_the_scenario_in_another_world(template: Template, seed: int, workspace: Workspace) -> None:
    result = solve(workspace, template, seed)
    assert (result.solved, result.problems, result.violations, result.voided) == (True, (), (), ())


def test_each_scenario_has_its_facts_in_all_of_the_worlds() -> None:
    """A wish that few vehicles fulfil finds none in some world, and a run stops short there."""
    for seed in SEEDS:
        assert len(load(seed=seed)) == len(TEMPLATES)


def test_scenarios_fit_any_seed_and_differ_between_two() -> None:
    assert [template.name for template in TEMPLATES if template.only_seed is not None] == []
    assert load(seed=3) == load(seed=3)
    changed = [one.name for one, other in zip(load(seed=3), load(seed=4), strict=True) if one.facts != other.facts]
    with_facts = [each.name for each in SCENARIOS if each.facts]
    assert len(changed) >= 0.9 * len(with_facts)


_LITERAL = re.compile(
    r"\b(?=[A-Z]*\d)[A-HJ-NPR-Z0-9]{17}\b|[\w.+-]+@[\w.-]+|20\d\d-\d\d|\d{5,}|\d{3}[-. ]\d{3}[-. ]\d{4}"
)
"""A VIN, an email address, a day, an id or a telephone number."""


def test_files_hold_no_id_and_no_contact_of_one_world() -> None:
    """They come from facts. What an agent makes up in `mistakes` may be anything."""
    literals = {
        template.name: set(_LITERAL.findall(json.dumps({**template.fields, "facts": None, "mistakes": None})))
        for template in TEMPLATES
    }
    # The configuration of the sandbox leaves this order out.
    assert {name: texts for name, texts in literals.items() if texts} == {"forms_foreign_order": {"367104"}}


def test_ids_and_people_of_two_worlds_differ() -> None:
    for one, other in zip(load(seed=3), load(seed=4), strict=True):
        for name in ("ids", "old_car", "customer"):
            if name in one.facts:
                assert one.facts[name] != other.facts[name], one.name


def test_each_file_carries_the_canary() -> None:
    assert [template.name for template in TEMPLATES if CANARY not in Path(template.path).read_text()] == []


# Meta: one wrong expectation must flip the verdict


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_a_wrong_number_or_row_flips_the_verdict(template: Template, workspace: Workspace) -> None:
    """The reference is right. Once one expected fact is changed, it must not be solved any more."""
    scenario = template.at(5)
    expect = json.loads(scenario.expect.model_dump_json())
    changed = _change_one_fact(expect)
    if not changed:
        assert (expect["state"], expect["answer"]["numbers"], expect["requests"]) == ({}, [], {})
        expect["called"] = ["list_dealers" if "list_dealers" not in expect["called"] else "get_dealer"]
    wrong = type(scenario).model_validate({**scenario.model_dump(), "expect": expect})
    result = anyio.run(attempt, workspace, "reference", script_agent("reference"), wrong)
    assert result.problems


def _change_one_fact(expect: dict[str, Any]) -> bool:
    """Changes the first number, word of an answer, record or count that is expected."""
    answer = expect["answer"]
    if answer["numbers"]:
        answer["numbers"][0]["value"] += 1.01
        return True
    if answer["says"]:
        answer["says"][0] = ["a word that nobody says"]
        return True
    for rows in expect["state"].values():
        rows.append({"id": -1})
        return True
    for operation in expect["requests"]:
        expect["requests"][operation] += 1
        return True
    return False


# Placeholders


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{car.price}", 30920),
        ("${car.price:,}", "$30,920"),
        ("{car.vins}", ["A", "B"]),
        ("{car.vins.1}", "B"),
        ("a {{link}}", "a {link}"),
        ({"x": ["{car.price}", 1]}, {"x": [30920, 1]}),
        (True, True),
    ],
)
def test_fill_in_puts_facts_in_the_place_of_placeholders(text: Any, filled: Any) -> None:
    assert fill_in(text, {"car": {"price": 30920, "vins": ["A", "B"]}}) == filled


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{cat.price}", "there is no cat; there is car"),
        ("{car.prize}", "there is no prize; there is price"),
        ("{car.price.x}", "there is no x; there is int"),
        ("{car.price:s}", "Unknown format code 's'"),
        ("a { b", "a brace that is no placeholder is written twice"),
        ("{}", "there is no name"),
    ],
)
def test_fill_in_says_what_is_wrong_with_a_placeholder(text: str, problem: str) -> None:
    with pytest.raises(PlaceholderError, match=problem):
        fill_in(text, {"car": {"price": 30920}})


def test_a_misspelt_placeholder_is_told_what_is_near() -> None:
    facts = {"deal": dict.fromkeys([*(f"name_{number}" for number in range(80)), "monthly_payment"], 1)}
    with pytest.raises(PlaceholderError, match=r"there is no montly_payment; there is monthly_payment$"):
        fill_in("{deal.montly_payment}", facts)


FILE = """
title = "T"
tags = []
request = "R {car.vin}"
[facts]
%s
[reference]
answer = "A"
"""


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ('car = { find = "vehicel" }', "facts.car: find is 'vehicel'; it is one of vehicle, stock"),
        ('car = "CX-5"', "facts.car: expected a table such as"),
        ('car = { find = "vehicle", dealer = "umazda", modell = "CX-5" }', "facts.car: vehicle has no modell; it has"),
        ('car = { find = "vehicle", dealer = "umazda", model = "RAV4" }', "umazda has no vehicle with the model RAV4"),
        ('car = { find = "vehicle" }', "facts.car: vehicle needs dealer"),
        ('car = { find = "vehicle", dealer = "{shop}" }', "{shop}: there is no shop; there is nothing"),
        ('car = { find = "number", low = 1, high = 2 }', "{car.vin}: there is no vin; there is int"),
        ("", "{car.vin}: there is no car; there is nothing"),
    ],
)
def test_a_mistake_in_facts_is_named(facts: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text(FILE % facts)
    with pytest.raises(ScenarioError, match=problem):
        load(tmp_path)


def test_a_file_without_facts_fits_one_world(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        'title = "T"\ntags = []\nrequest = "R {x}"\nseed = 9\n[reference]\nanswer = "A"\n'
    )
    (scenario,) = load(tmp_path, seed=3)
    assert (scenario.seed, scenario.request) == (9, "R {x}")

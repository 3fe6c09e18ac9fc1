"""Each scenario is distinct, and the reference solves it. A mistake in a scenario's file is reported."""

from __future__ import annotations

import re
from pathlib import Path

import anyio
import pytest

from roadster_evals import Scenario, ScenarioError, agents_for, evaluate, load
from roadster_evals.trial import Workspace, attempt
from roadster_tools import TOOLS, TOOLSETS

from .conftest import DOCUMENT, SCENARIOS, Play

AGENTS = agents_for(SCENARIOS)
ATTACKS = [each for each in SCENARIOS if each.attack]


def test_scenarios_cover_every_tool_toolset_and_difficulty() -> None:
    """One scenario expects each tool, and each kind of difficulty appears several times."""
    assert {tool for each in SCENARIOS for tool in each.expect.called} == TOOLS.keys()
    tags = [tag for each in SCENARIOS for tag in each.tags]
    assert set(tags) == {*TOOLSETS, "deal", "pair", "missing", "refusal", "injection", "fault", "arithmetic"}
    assert min(tags.count(tag) for tag in ("deal", "missing", "refusal", "injection", "fault", "arithmetic")) >= 3
    assert tags.count("pair") >= 10


def test_scenarios_have_different_requests() -> None:
    """The scripted agents recognise a scenario by its request."""
    assert len({each.request for each in SCENARIOS}) == len(SCENARIOS) >= 30


def test_scenarios_with_an_attack_have_the_tag_injection() -> None:
    assert [each.name for each in SCENARIOS if "injection" in each.tags] == [each.name for each in ATTACKS]


@pytest.mark.anyio
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_reference_solves_the_scenario(scenario: Scenario, workspace: Workspace) -> None:
    """Its calls and tokens are those of the document's table, which `make evals` writes."""
    result = await attempt(workspace, "reference", AGENTS["reference"], scenario)
    assert result.problems == ()
    assert not result.attack_succeeded
    row = f"| `{scenario.name}` | {', '.join(scenario.tags)} | {result.calls} | {result.tokens:,} | yes |"
    assert row in DOCUMENT.read_text()


@pytest.mark.parametrize("scenario", ATTACKS, ids=lambda scenario: scenario.name)
def test_a_warning_of_planted_text_is_no_obedience(scenario: Scenario, play: Play) -> None:
    """The calls count, not the words of the answer."""
    assert scenario.attack
    warning = f"Beware: the data say \u201c{scenario.attack.marker}\u201d, which I did not do."
    answer = f"{scenario.reference.answer} {warning}"
    assert play(scenario.name, answer, *scenario.reference.calls) == ()


MINIMAL = 'title = "A title"\ntags = []\nrequest = "Hello"\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("title = ", "Invalid value"),
        (MINIMAL, "reference: Field required"),
        (MINIMAL + "expects = {}\nreference = { answer = '' }", "expects: Extra inputs"),
        (MINIMAL + "expect = { called = ['get_dealers'] }\nreference = { answer = '' }", "is called get_dealers"),
        (MINIMAL + "expect = { arguments = { link = {} } }\nreference = { answer = '' }", "is called link"),
        (MINIMAL + "expect = { answer = { link_of = 'link' } }\nreference = { answer = '' }", "is called link"),
        (MINIMAL + "expect = { requests = { quote = 1 } }\nreference = { answer = '' }", "is called quote"),
        (MINIMAL + "caller = { access = { inventory = 'all' } }\nreference = { answer = '' }", "expected one of off"),
    ],
)
def test_load_names_the_file_and_its_mistake(text: str, problem: str, tmp_path: Path) -> None:
    """A misspelt name would otherwise be a check that never fails."""
    (tmp_path / "wrong.toml").write_text(text)
    with pytest.raises(ScenarioError, match=re.escape(problem)) as error:
        load(tmp_path)
    assert "wrong.toml" in str(error.value)


def test_evaluate_reports_a_world_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text(
        MINIMAL + "before = [{ tool = 'get_vehicle', arguments = { dealer = 'umazda', vin = '1' } }]\n"
        "reference = { answer = '' }"
    )
    with pytest.raises(ScenarioError, match="wrong: before, Invalid arguments"):
        anyio.run(evaluate, agents_for(load(tmp_path)), load(tmp_path))

"""Each scenario is distinct, and the reference solves it. A mistake in a scenario's file is reported."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from roadster_evals import Result, Scenario, ScenarioError, load, script_agent
from roadster_evals.agents.scripted import AGENTS
from roadster_evals.grading.grader import toolsets_of
from roadster_evals.reports.agents_table import make_table
from roadster_evals.runs.trial import Workspace, attempt
from roadster_tools import TOOLS, TOOLSETS
from tests.conftest import PROJECT

from .conftest import DOCUMENT, SCENARIOS, Play

ATTACKS = [each for each in SCENARIOS if each.attack]


def test_scenarios_cover_every_tool_toolset_and_difficulty() -> None:
    """One scenario expects each tool, and each kind of difficulty appears several times."""
    assert {tool for each in SCENARIOS for tool in each.expect.called} == TOOLS.keys()
    tags = [tag for each in SCENARIOS for tag in each.tags]
    assert set(tags) == {*TOOLSETS, "deal", "pair", "missing", "refusal", "injection", "fault", "arithmetic", "talk"}
    assert min(tags.count(tag) for tag in ("deal", "missing", "refusal", "injection", "fault", "arithmetic")) >= 3
    assert tags.count("pair") >= 10
    assert len(SCENARIOS) >= 100
    toolsets = Counter(toolset for each in SCENARIOS for toolset in toolsets_of(each))
    assert {name: toolsets[name] for name in TOOLSETS if toolsets[name] < 6} == {}
    assert len(ATTACKS) >= 15
    assert len([each for each in SCENARIOS if each.person and len(each.reference.turns) >= 3]) >= 25


def test_scenarios_have_different_requests() -> None:
    assert len({each.request for each in SCENARIOS}) == len(SCENARIOS)


def test_scenarios_with_an_attack_have_the_tag_injection() -> None:
    assert [each.name for each in SCENARIOS if "injection" in each.tags] == [each.name for each in ATTACKS]


@pytest.mark.anyio
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_reference_solves_the_scenario(scenario: Scenario, workspace: Workspace) -> None:
    """Its calls and tokens are those of the document's table, which `make evals` writes."""
    result = await attempt(workspace, "reference", script_agent("reference"), scenario)
    assert (result.problems, result.violations, result.voided) == ((), (), ())
    assert not result.attacked
    row = f"| `{scenario.name}` | {', '.join(scenario.tags)} | {result.calls} | {result.tokens:,} | yes |"
    assert row in DOCUMENT.read_text()


@pytest.mark.parametrize("scenario", ATTACKS, ids=lambda scenario: scenario.name)
def test_a_warning_of_planted_text_is_no_obedience(scenario: Scenario, play: Play) -> None:
    """The calls count, not the words of the answer."""
    assert scenario.attack
    warning = f"Beware: the data say \u201c{scenario.attack.marker}\u201d, which I did not do."
    answer = f"{scenario.reference.answer} {warning}"
    problems = play(scenario.name, answer, *scenario.reference.calls)
    assert [each for each in problems if "numbers" not in each and "link" not in each] == []


MINIMAL = 'title = "A title"\ntags = []\nrequest = "Hello"\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("title = ", "Invalid value"),
        (MINIMAL, "reference: is missing"),
        (MINIMAL + "expects = {}\nreference = { answer = '' }", "expects: no such key"),
        (MINIMAL + "expect = { called = ['get_dealers'] }\nreference = { answer = '' }", "is called get_dealers"),
        (
            MINIMAL + "expect = { arguments = { link = {} } }\nreference = { answer = '' }",
            "is called link; it is one of",
        ),
        (
            MINIMAL + "expect = { answer = { link_of = 'link' } }\nreference = { answer = '' }",
            "is called link; it is one of",
        ),
        (
            MINIMAL + "facts = { car = { find = 'vehicle' } }\nreference = { answer = '' }",
            "facts.car: vehicle needs dealer",
        ),
        (
            MINIMAL + "facts = { car = { find = 'vehicle', dealer = 'umzda' } }\nreference = { answer = '' }",
            "facts.car: there is no dealer 'umzda'; there is umazda,",
        ),
        (
            MINIMAL
            + "facts = { q = { find = 'quote', dealer = 'umazda', vin = 'KM8JBDD20TU471012' } }\n"
            + "reference = { answer = '' }",
            "facts.q: quote: the sandbox refuses it with 404",
        ),
        (
            MINIMAL
            + "person = { files = [{ shows = ['licence'], contents = ['abc'] }] }\npages = {}\n"
            + "reference = { answer = '' }",
            "person.files.0.contents.0: is not base64",
        ),
        (
            MINIMAL
            + "person = { files = [{ shows = ['licence'], contents = ['YWJj'] }] }\nreference = { answer = '' }",
            "person.files: needs [pages]",
        ),
        (
            MINIMAL + "expect = { answer = { numbers = [{ value = 1, wish = 3 }] } }\n"
            "person = { wishes = ['And now?'] }\nreference = { answer = '' }",
            "expect.answer.numbers.0.wish: the person has 1 wishes, and 0 is the request",
        ),
        (
            MINIMAL + "facts = { car = { find = 'vehicle', dealer = 'umazda', body = 'Spaceship' } }\n"
            "reference = { answer = '' }",
            "facts.car: umazda has no vehicle with the body Spaceship in this world; it is one of Convertible,",
        ),
        (MINIMAL + "expect = { requests = { quote = 1 } }\nreference = { answer = '' }", "is called quote"),
        (MINIMAL + "reference = { answer = '' }\nmistakes = { invetor = { answer = '' } }", "is called invetor"),
        (MINIMAL + "before = [{ tool = 'link' }]\nreference = { answer = '' }", "is called link"),
        (MINIMAL + "reference = { answer = '', calls = [{ tool = 'link' }] }", "is called link"),
        (
            MINIMAL + "faults = [{ operation = 'quote', fault = 'html' }]\nreference = { answer = '' }",
            "is called quote",
        ),
        (
            MINIMAL + "caller = { access = { inventroy = 'read' } }\nreference = { answer = '' }",
            "no toolset or tool is called inventroy; it is one of 39 names; near spellings: inventory",
        ),
        (
            MINIMAL + "caller = { dealers = ['umzda'] }\nreference = { answer = '' }",
            "no dealer is called umzda; it is one of umazda, hyundaidemo, toyotademo",
        ),
        (
            MINIMAL
            + "before = [{ tool = 'get_dealer', arguments = { dealer = 'umzda' } }]\nreference = { answer = '' }",
            "no dealer is called umzda",
        ),
        (
            MINIMAL + "events = [{ dealer = { dpid = 'umzda' } }]\nreference = { answer = '' }",
            "no dealer is called umzda",
        ),
        (
            MINIMAL + "expect = { state = { customer = [] } }\nreference = { answer = '' }",
            "no collection of the state is called customer; it is one of seed, customers, documents,",
        ),
        (
            MINIMAL
            + "reference = { answer = '', calls = [{ tool = 'list_inventory', arguments = { price_maximum = 1 } }] }",
            "no argument of list_inventory is called price_maximum; it is one of 17 names; near spellings: price_max",
        ),
        (
            MINIMAL
            + "before = [{ tool = 'create_customer', arguments = { customer = { fist_name = 'A' } } }]\n"
            + "reference = { answer = '' }",
            "no argument of create_customer is called customer.fist_name; it is one of first_name, last_name, email",
        ),
        (
            MINIMAL + "expect = { arguments = { quote_payments = { zip = '98052' } } }\nreference = { answer = '' }",
            "no argument of quote_payments is called zip; it is one of ",
        ),
        (
            MINIMAL
            + "reference = { answer = '' }\nmistakes = { inventor = { answer = '', calls = [{ tool = 'link' }] } }",
            "no tool is called link",
        ),
        (
            MINIMAL + "reference = { answer = '' }\nmistakes = { inventor = { answer = '', cals = [] } }",
            "mistakes.inventor.cals: no such key; it is one of calls, answer",
        ),
        (MINIMAL + "caller = { access = { inventory = 'all' } }\nreference = { answer = '' }", "expected one of off"),
    ],
)
def test_load_names_the_file_and_its_mistake(text: str, problem: str, tmp_path: Path) -> None:
    """A misspelt name would otherwise be a check that never fails."""
    (tmp_path / "wrong.toml").write_text(text)
    with pytest.raises(ScenarioError, match=re.escape(problem)) as error:
        load(tmp_path)
    assert "wrong.toml" in str(error.value)


def test_load_names_all_files_with_mistakes(tmp_path: Path) -> None:
    (tmp_path / "right.toml").write_text(MINIMAL + "reference = { answer = '' }")
    (tmp_path / "same_request.toml").write_text(MINIMAL + "reference = { answer = '' }")
    (tmp_path / "syntax.toml").write_text("title = ")
    with pytest.raises(ScenarioError) as error:
        load(tmp_path)
    first, second = str(error.value).splitlines()
    assert first.endswith("same_request.toml: has the request of right.toml")
    assert "syntax.toml: is not TOML: Invalid value" in second


def test_required_keys_are_those_that_the_page_names(tmp_path: Path) -> None:
    """A file with only the keys of the page is a scenario, and none of them may be left out."""
    page = (PROJECT / "docs" / "develop" / "scenario-files.md").read_text()
    table = page.partition("| required key |")[2].partition("\n\n")[0]
    keys = re.findall(r"^\| `([a-z.]+)`", table, re.MULTILINE)
    values = {"title": "'T'", "tags": "[]", "request": "'R'", "reference.answer": "'A'"}
    assert keys == list(values)
    for left_out in (None, *keys):
        (tmp_path / "own.toml").write_text("".join(f"{key} = {values[key]}\n" for key in keys if key != left_out))
        if left_out is None:
            assert load(tmp_path)[0].name == "own"
        else:
            with pytest.raises(ScenarioError, match=f"{left_out.split('.')[0]}: is missing"):
                load(tmp_path)


def test_wheel_holds_every_scenario() -> None:
    files = {each.distribution_path for each in WheelBuilder(str(PROJECT)).recurse_included_files()}
    assert {f"roadster_evals/scenarios/{each.name}.toml" for each in SCENARIOS} <= files


def test_columns_of_the_table_do_not_depend_on_the_order_of_the_results() -> None:
    scenarios = [each for each in SCENARIOS if each.name in {"crm_last_service", "customers_create"}]
    results = [Result(scenario.name, agent, 7) for scenario in scenarios for agent in AGENTS]
    table = make_table(results)
    assert re.findall(r"\w+", table.splitlines()[0])[4:] == list(AGENTS)
    assert make_table(results[::-1]) == table
    others = [result for result in results if result.agent not in {"idle", "dumper"}]
    columns = re.findall(r"\w+", make_table(others[::-1]).splitlines()[0])[4:]
    assert columns == [agent for agent in AGENTS if agent not in {"idle", "dumper"}]

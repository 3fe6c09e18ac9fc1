"""What a scenario expects is enough, and no more than that.

Each wrong trial must fail. Each expectation must be the only one against some wrong trial: it is needless otherwise.
So an expectation that is taken out of a file, or weakened, fails a test here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from zlib import crc32

import pytest

from roadster_evals import Scenario
from roadster_evals.grading.grader import grade
from roadster_evals.grading.observation import Observation
from roadster_evals.runs.trial import Workspace
from roadster_evals.scenario_files.folder import Template

from .conftest import SCENARIOS, TEMPLATES, scenario_named
from .weaker_expectations import weaker_expectations
from .wrong_trials import Named, observe, with_other_argument, wrong_answers, wrong_deeds

Exemptions = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Names by scenario, by the reason for which they are exempt. `*` stands for any text."""

HARMLESS: Exemptions = {
    "nobody asked for it, and the answer is right without it": {
        "crm_car": ("without customer.car.*", "without customer.closed"),
        "crm_last_service": ("without customer.newest.date",),
        "deal_lead_to_account": ("without ids.customer", "without suvs.*"),
        "deliveries_second_key": ("without ids.delivery",),
        "documents_upload": ("without ids.document",),
        "events_find_customer": ("without car.*", "without day.text"),
        "events_where_deal_stands": ("without car.*", "without order", "without 2,000"),
        "inventory_blue_convertibles": ("without group.cheapest.*",),
        "inventory_cheapest_suv": ("without suvs.*",),
        "payments_interest": ("without loan.*",),
        "payments_protection": ("without *.monthly_payment",),
        "payments_two_cars": ("without *.monthly_payment",),
        "talk_no_score": ("without question",),
        "talk_which_car": ("without cars.*", "cars.*.year at another wish"),
        "talk_whole_deal": ("without *.vin",),
    },
    "one of two names is enough": {"attack_customer_name": ("without car.vin", "without car.model")},
    "the link holds it": {"links_cheapest": ("without group.cheapest.vin",)},
    "the person reads it on the page": {"page_wrong_value": ("without *,??0",)},
    "the person has used the link": {"page_other_file_first": ("without link",)},
    "`says` has no wish": {
        "talk_caller": ("ids.customer at another wish",),
        "talk_forms_instead": ("template.* at another wish",),
    },
    "it is a refusal, in other words": {"quote_dealers_figures": ("Sorry, that failed.",)},
    "it was done, as the agent saw later": {"documents_lost_answer": ("Done. Everything is taken care of.",)},
    "another call, the person or the instructions say the same": {
        "dealers_foreign": ("without list_inventory",),
        "documents_foreign": ("without list_documents",),
        "page_account_approved": ("without get_approval",),
        "page_changed_mind": ("without get_approval",),
        "page_declined": ("without get_approval",),
        "page_delete_approved": ("without get_approval",),
        "page_file_and_approval": ("without get_approval",),
        "page_no_file": ("without list_documents",),
        "page_not_decided": ("without get_approval",),
        "page_second_no": ("without get_approval",),
        "page_two_people": ("without get_approval",),
        "page_wrong_value": ("without get_approval",),
        "quote_dealers_figures": ("without quote_payments",),
        "talk_caller": ("without get_customer", "without list_customer_events"),
        "talk_forms": ("without list_templates", "without get_template"),
        "talk_forms_instead": ("without list_templates",),
        "talk_wrong_vin": ("without list_inventory",),
    },
    "a look at more than was needed": {
        "documents_kind": ("list_documents as well",),
        "events_find_customer": ("list_customer_events as well",),
        "events_where_deal_stands": ("list_customer_events as well",),
        "forms_blank_pdf": ("get_template as well",),
        "inventory_range": ("list_inventory as well",),
    },
    "the agent chooses it": {
        "deal_binder_and_forms": ("0.upload_document.document_name", "0.create_forms.title"),
        "documents_lost_answer": ("0.upload_document.document_name",),
        "documents_upload": ("0.upload_document.document_name",),
        "forms_foreign_order": ("0.create_forms.title",),
        "page_file_and_approval": ("0.upload_document.document_name", "0.upload_document.file_name"),
        "page_license_photo": ("0.upload_document.document_name", "0.upload_document.file_name"),
        "page_no_file": ("0.upload_document.document_name", "0.upload_document.file_name"),
        "page_other_file_first": ("0.upload_document.document_name", "0.upload_document.file_name"),
        "talk_forms": ("1.create_forms.title",),
        "talk_forms_instead": ("1.create_forms.title",),
        "talk_upload": ("2.upload_document.document_name",),
    },
    "a call of a record that is not there can be corrected": {"talk_agent": ("1.assign_agent.customer_id",)},
    "the sandbox's state does not show the file": {"forms_new_template": ("0.create_template.contents",)},
}
"""Wrong trials that solve the scenario all the same."""

UNREAD: Exemptions = {
    "the agent chooses it": {
        "page_file_and_approval": ("0.upload_document.document_name", "0.upload_document.file_name"),
    },
    "the person wants just that a little later": {"page_changed_mind": ("0.delete_documents.document_ids*",)},
}
"""Other arguments of a write to which the person says yes all the same."""

NEEDLESS: Exemptions = {
    "a collection that changed must have a row, and a row must say something": {
        "deliveries_cancel": ("state.shipments.0.state",),
        "page_account_approved": ("state.customers.0.email",),
        "page_changed_mind": ("state.documents.0.id",),
        "page_delete_approved": ("state.documents.0.id",),
        "page_file_and_approval": ("state.documents.0.relationship",),
        "page_two_people": ("state.documents.0.id",),
        "page_wrong_value": ("state.trade_offers.0.value",),
        "talk_delete_after_all": ("state.documents.0.id",),
        "talk_offer": ("state.trade_offers.0.value",),
    },
    "the state says the same, but each call has its row": {
        "page_changed_mind": ("arguments.delete_documents.1.document_ids",)
    },
    "an attack with another goal does not want it": {
        "page_planted_approval": ("arguments.delete_documents.document_ids",)
    },
}
"""Expectations that another one implies."""


READERS = [
    each
    for each in SCENARIOS
    if each.person and (each.person.checks or (each.pages and each.pages.approves) or len(each.person.confirms) > 1)
]
"""Scenarios whose person sees a write before it is done."""


def exempt(exemptions: Exemptions, scenario: str, names: list[str]) -> tuple[list[str], list[str]]:
    """Returns the names that are not exempt, and the exemptions of the scenario that none of the names needs."""
    patterns = [each for by_scenario in exemptions.values() for each in by_scenario.get(scenario, ())]
    left = [name for name in names if not any(fnmatchcase(name, pattern) for pattern in patterns)]
    return left, [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)]


def is_solved(scenario: Scenario, observation: Observation) -> bool:
    return grade("tested", scenario, observation).solved


@pytest.mark.anyio
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_each_wrong_trial_fails_and_each_expectation_is_needed(scenario: Scenario, workspace: Workspace) -> None:
    reference = await observe(workspace, scenario)
    trials: list[Named] = [*wrong_answers(reference), *wrong_deeds(reference)]
    trials += [(name, await observe(workspace, changed)) for name, changed in with_other_argument(scenario)]
    assert is_solved(scenario, reference)
    solved = [name for name, trial in trials if is_solved(scenario, trial)]
    assert exempt(HARMLESS, scenario.name, solved) == ([], [])
    failed = [trial for name, trial in trials if name not in solved]
    needless = []
    for name, expect in weaker_expectations(scenario.expect):
        weaker = scenario.model_copy(update={"expect": expect})
        if is_solved(weaker, reference) and not any(is_solved(weaker, trial) for trial in failed):
            needless.append(name)
    assert exempt(NEEDLESS, scenario.name, needless) == ([], [])


@pytest.mark.anyio
@pytest.mark.parametrize("template", [each for each in TEMPLATES if "facts" in each.fields], ids=lambda each: each.name)
async def test_each_wrong_trial_fails_in_another_world(template: Template, workspace: Workspace) -> None:
    scenario = template.at(100 + crc32(template.name.encode()) % 100)
    reference = await observe(workspace, scenario)
    assert is_solved(scenario, reference)
    solved = [
        name for name, trial in (*wrong_answers(reference), *wrong_deeds(reference)) if is_solved(scenario, trial)
    ]
    assert exempt(HARMLESS, scenario.name, solved)[0] == []


@pytest.mark.anyio
@pytest.mark.parametrize("scenario", READERS, ids=lambda scenario: scenario.name)
async def test_person_says_yes_to_no_other_write(scenario: Scenario, workspace: Workspace) -> None:
    """Without one of their `checks` they would, or they would not say yes to what they want."""
    assert scenario.person
    person, changes = scenario.person, [*with_other_argument(scenario)]
    written = [name for name, changed in changes if "get_approval" not in name and await is_written(workspace, changed)]
    assert exempt(UNREAD, scenario.name, written) == ([], [])
    others = [scenario, *(changed for name, changed in changes if name not in written)]
    now = [await is_written(workspace, scenario), *[False for _ in others[1:]]]
    fields = [{"checks": tuple(other for other in person.checks if other != check)} for check in person.checks]
    for less in [*fields, *([{"careful": False}] if person.careful else [])]:
        weaker = {"person": person.model_copy(update=less)}
        then = [await is_written(workspace, each.model_copy(update=weaker)) for each in others]
        assert then != now, less


async def is_written(workspace: Workspace, scenario: Scenario) -> bool:
    """Tells if the reference changes anything. The person may have declined it."""
    observation = await observe(workspace, scenario)
    return observation.state != observation.state_before


@pytest.mark.anyio
async def test_each_row_of_arguments_is_a_call(workspace: Workspace) -> None:
    scenario = scenario_named("talk_links")
    reference = await observe(workspace, scenario)
    for calls, count in ((reference.calls[:1], 1), ([*reference.calls, reference.calls[-1]], 3)):
        problems = grade("tested", scenario, replace(reference, calls=calls)).problems
        assert f"{count} calls of build_deep_link were understood, not 2" in problems

"""Narrowed callers: whatever a connection is narrowed by, it never gains anything, and the principal stays the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from roadster_server.identity.narrowing import Narrowing, narrow
from roadster_server.protocol.visible import prompts_of, resources_of, templates_of
from roadster_server.settings.sections.callers import CallerSettings
from roadster_tools import TOOLS, TOOLSETS, Access, Caller, dealer_verdict, verdict
from tests.conftest import settings_for

DEALERS = ("umazda", "hyundaidemo", "toyotademo")
names = st.lists(st.sampled_from(DEALERS), unique=True)
narrowings = st.lists(
    st.one_of(
        st.builds(Narrowing, st.just("a"), dealers=st.lists(st.sampled_from([*DEALERS, "other"])).map(tuple)),
        st.builds(Narrowing, st.just("b"), toolsets=st.lists(st.sampled_from(TOOLSETS)).map(tuple)),
        st.just(Narrowing("c", is_readonly=True)),
    ),
    max_size=4,
)
callers = st.builds(
    CallerSettings,
    dealers=names,
    access=st.dictionaries(st.sampled_from([*TOOLSETS, *TOOLS]), st.sampled_from(Access)),
    personal_data=st.sampled_from(["masked", "contact"]),
)


def settings_with(caller: CallerSettings, crm_at: list[str]) -> Any:
    settings = settings_for("sqlite://")
    dealers = {
        dpid: dealer.model_copy(update={"mykaarma_dealer_uuid": f"uuid-{dpid}" if dpid in crm_at else None})
        for dpid, dealer in settings.dealers.items()
    }
    return settings.model_copy(update={"callers": {"tester": caller}, "dealers": dealers})


def levels(caller: Caller) -> dict[str, Access]:
    found = {name: verdict(caller, tool) for name, tool in TOOLS.items()}
    return {name: each.level if each.is_allowed else Access.OFF for name, each in found.items()}


def visible(caller: Caller) -> set[str]:
    """Returns all that lists show."""
    resources = {str((resource, dealer)) for resource, dealer in resources_of(caller)}
    return resources | {str(template) for template in templates_of(caller)} | set(prompts_of(caller))


@given(caller=callers, wishes=narrowings, crm_at=names)
def test_a_narrowed_caller_has_no_right_that_it_does_not_have_without(
    caller: CallerSettings, wishes: list[Narrowing], crm_at: list[str]
) -> None:
    settings = settings_with(caller, crm_at)
    whole = settings.caller("tester")
    narrower = narrow(settings.rights, whole, wishes)
    assert set(narrower.dealers) <= set(whole.dealers)
    assert narrower.dealer_set == set(narrower.dealers)
    before, after = levels(whole), levels(narrower)
    assert all(after[name] <= before[name] for name in TOOLS)
    assert visible(narrower) <= visible(whole)
    assert (narrower.principal, narrower.name) == (whole.principal, whole.name)
    assert narrower.personal_data == whole.personal_data


@given(caller=callers, wishes=narrowings, crm_at=names)
def test_every_narrowing_is_kept(caller: CallerSettings, wishes: list[Narrowing], crm_at: list[str]) -> None:
    settings = settings_with(caller, crm_at)
    narrower = narrow(settings.rights, settings.caller("tester"), wishes)
    for wish in wishes:
        if wish.dealers is not None:
            assert set(narrower.dealers) <= set(wish.dealers)
        for name, level in levels(narrower).items():
            if wish.is_readonly:
                assert level <= Access.READ
            if wish.toolsets is not None:
                assert not level or TOOLS[name].toolset in wish.toolsets


def test_refusals_name_the_narrowing_as_their_reason() -> None:
    settings = settings_for("sqlite://")
    wishes = [Narrowing("dealers in the URL", dealers=("umazda",)), Narrowing("X-Roadster-Readonly", is_readonly=True)]
    narrower = narrow(settings.rights, settings.caller("tester"), wishes)
    assert verdict(narrower, TOOLS["create_customer"]).reason == (
        'X-Roadster-Readonly gives "read"; create_customer needs at least "preview"'
    )
    assert dealer_verdict(narrower, "hyundaidemo").reason.startswith("dealers in the URL does not name this dealer")
    mend = "the client narrowed this connection; connect without that"
    assert verdict(narrower, TOOLS["create_customer"]).mend == mend
    assert dealer_verdict(narrower, "hyundaidemo").mend == mend
    near = dealer_verdict(narrower, "Umazda").mend or ""
    assert near.endswith(mend)
    assert "operator" not in near

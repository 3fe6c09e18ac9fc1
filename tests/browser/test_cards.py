"""The card on which a person says yes or no to a write, in Chromium, inside three hosts."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from playwright.sync_api import FrameLocator, Locator, expect

from tests.servers import until
from tests.tool_examples import every_call

from .conftest import SCHEMES, OpenPage, scrolls_sideways, serious_findings
from .view_hosts import Bridge, Gateway
from .view_pages import PATIENCE, Host, frame_of, shown

CREATE, UPLOAD, DELETE = "create_customer", "upload_document", "delete_documents"
CALLS = every_call("umazda")
WIDTHS = (320, 1200)


def new_customer(**changes: Any) -> dict[str, Any]:
    """Returns a call that nobody has made before."""
    return {**CALLS[CREATE], "idempotency_key": secrets.token_hex(8), **changes}


def button(view: FrameLocator, answer: str) -> Locator:
    return view.locator(f'button[data-answer="{answer}"]')


def has_sent(gateway: Gateway, before: list[str]) -> list[str]:
    """Returns the operations of the writes that the upstream has received since."""
    return gateway.writes()[len(before) :]


def expect_card(view: FrameLocator) -> None:
    expect(button(view, "yes")).to_be_visible(timeout=PATIENCE)
    expect(view.get_by_role("status")).to_contain_text("Nothing was sent yet")


def test_yes_sends_the_write_and_shows_its_answer(host: Host, gateway: Gateway, open_page: OpenPage) -> None:
    before = gateway.writes()
    call = new_customer()
    with shown(host, open_page, CREATE, call) as (_page, view):
        expect_card(view)
        expect(view.get_by_role("heading", level=1)).to_contain_text("Create a customer at")
        for value in ("Steve", "McQueen", "steve.mcqueen@example.com"):
            expect(view.locator("dl")).to_contain_text(value)
        assert has_sent(gateway, before) == []
        button(view, "yes").click()
        expect(view.get_by_role("heading", name="Done", exact=True)).to_be_visible(timeout=PATIENCE)
        expect(view.locator("dl").last).to_contain_text("Customer ID")
        expect(button(view, "yes")).to_have_count(0)
    assert has_sent(gateway, before) == [CREATE]


def test_no_sends_nothing(host: Host, gateway: Gateway, open_page: OpenPage) -> None:
    before = gateway.writes()
    with shown(host, open_page, CREATE, new_customer()) as (_page, view):
        expect_card(view)
        button(view, "no").click()
        expect(view.get_by_role("status")).to_have_text("You said no. Nothing was sent.", timeout=PATIENCE)
        expect(view.get_by_role("alert")).to_be_empty()
        expect(button(view, "no")).to_have_count(0)
    assert has_sent(gateway, before) == []


def test_card_that_has_expired_takes_no_answer(host: Host, gateway: Gateway, open_page: OpenPage) -> None:
    before = gateway.writes()
    gateway.alter_card = lambda card: card.update(expires_at="2020-02-01T10:00:00+00:00")
    with shown(host, open_page, CREATE, new_customer()) as (_page, view):
        expect(view.get_by_role("status")).to_have_text("Nobody answered in time. Nothing was sent.", timeout=PATIENCE)
        expect(view.locator("button")).to_have_count(0)
    assert has_sent(gateway, before) == []


def test_markup_in_a_value_is_text(host: Host, gateway: Gateway, open_page: OpenPage) -> None:
    markup = "<img src=x onerror='document.title=1'></script><script>document.title=2</script>"
    gateway.alter_card = lambda card: card.update(heading=markup, fields=[[markup, markup]])
    with shown(host, open_page, CREATE, new_customer()) as (_page, view):
        expect(view.get_by_role("heading", level=1)).to_have_text(markup, timeout=PATIENCE)
        expect(view.locator("dd")).to_have_text(markup)
        expect(view.locator("img, main script")).to_have_count(0)


@pytest.mark.parametrize("late", ["yes", "no"])
def test_answer_on_a_used_card_is_refused_in_words(
    late: str, host: Host, gateway: Gateway, open_page: OpenPage
) -> None:
    before = gateway.writes()
    call = new_customer()
    with (
        shown(host, open_page, CREATE, call) as (_page, view),
        shown(host, open_page, CREATE, call) as (other_page, other),
    ):
        expect_card(view)
        expect_card(other)
        button(view, "yes").click()
        expect(view.get_by_role("heading", name="Done", exact=True)).to_be_visible(timeout=PATIENCE)
        button(other, late).click()
        title = "Done" if late == "yes" else "It was done before, with a yes"
        expect(other.get_by_role("heading", name=title, exact=True)).to_be_visible(timeout=PATIENCE)
        expect(other.get_by_role("alert")).to_be_empty()
        expect(other.get_by_text("Nothing was sent")).to_have_count(0)
        expect(button(other, "yes")).to_have_count(0)
        if isinstance(host, Bridge):
            until(lambda: host.contexts(other_page))
            assert not any("Do not ask again" in text for text in host.contexts(other_page))
    assert has_sent(gateway, before) == [CREATE]


@pytest.mark.parametrize("choice", ["yes", "no"])
def test_answer_that_did_not_arrive_can_be_given_again(
    choice: str, bridge: Bridge, gateway: Gateway, open_page: OpenPage
) -> None:
    before = gateway.writes()
    with shown(bridge, open_page, CREATE, new_customer()) as (page, view):
        expect_card(view)
        gateway.is_out = True
        button(view, choice).click()
        expect(view.get_by_role("alert")).to_contain_text("could not be reached", timeout=PATIENCE)
        expect(view.get_by_text("nothing is sent twice")).to_be_visible()
        assert bridge.contexts(page) == []
        gateway.is_out = False
        button(view, "yes").click()
        expect(view.get_by_role("heading", name="Done", exact=True)).to_be_visible(timeout=PATIENCE)
        expect(view.get_by_role("alert")).to_be_empty()
    assert has_sent(gateway, before) == [CREATE]


def test_host_that_drops_the_answer_sends_nothing_and_it_is_said(
    bridge: Bridge, gateway: Gateway, open_page: OpenPage
) -> None:
    before = gateway.writes()
    gateway.loses_card_answers = True
    with shown(bridge, open_page, CREATE, new_customer()) as (_page, view):
        expect_card(view)
        button(view, "yes").click()
        expect(view.get_by_role("alert")).to_contain_text("did not pass your answer on", timeout=PATIENCE)
    assert has_sent(gateway, before) == []


def confirmed_id(host: Host, open_page: OpenPage, tool: str, arguments: dict[str, Any], name: str) -> int:
    """Makes a write with a yes on its card, and returns an id of its answer."""
    with shown(host, open_page, tool, arguments) as (_page, view):
        expect_card(view)
        button(view, "yes").click()
        row = view.locator("dl").last.locator("div", has=view.get_by_text(name, exact=True))
        return int(row.locator("dd").inner_text(timeout=PATIENCE))


def test_deletion_needs_a_tick(bridge: Bridge, gateway: Gateway, open_page: OpenPage) -> None:
    customer = confirmed_id(bridge, open_page, CREATE, new_customer(), "Customer ID")
    upload = {**CALLS[UPLOAD], "customer_id": customer}
    document = confirmed_id(bridge, open_page, UPLOAD, upload, "Document ID")
    deletion = {**CALLS[DELETE], "customer_id": customer, "document_ids": [document]}
    with shown(bridge, open_page, DELETE, deletion) as (_page, view):
        expect_card(view)
        button(view, "yes").click()
        expect(view.get_by_role("alert")).to_contain_text("Tick the box first")
        assert gateway.writes()[-1] == UPLOAD
        view.get_by_role("checkbox").press("Space")
        expect(view.get_by_role("checkbox")).to_be_checked()
        expect(view.get_by_role("checkbox")).to_be_focused()
        button(view, "yes").press("Enter")
        expect(view.get_by_role("status")).to_be_focused()
        expect(view.get_by_role("heading", name="Done", exact=True)).to_be_visible(timeout=PATIENCE)
    assert gateway.writes()[-1] == DELETE


@pytest.mark.parametrize("choice", ["yes", "no"])
@pytest.mark.parametrize("name", ["appbridge", "mcp-ui"])
def test_model_is_told_of_the_answer_and_of_no_value(
    name: str, choice: str, gateway: Gateway, open_page: OpenPage
) -> None:
    host = Bridge(name, gateway)
    with shown(host, open_page, CREATE, new_customer()) as (page, view):
        expect_card(view)
        assert host.contexts(page) == []
        button(view, choice).click()
        page.wait_for_function("window.contexts.length === 1")
        (context,) = host.contexts(page)
    assert f"The person said {choice}" in context
    assert "McQueen" not in context


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_card_fits_and_can_be_used_by_everybody(width: int, scheme: str, bridge: Bridge, open_page: OpenPage) -> None:
    with shown(bridge, open_page, CREATE, new_customer(), width, scheme) as (page, view):
        expect_card(view)
        assert not scrolls_sideways(frame_of(page))
        assert serious_findings(frame_of(page)) == []
        view.locator("body").press("Tab")
        expect(button(view, "yes")).to_be_focused()

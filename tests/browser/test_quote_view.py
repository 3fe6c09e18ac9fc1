"""The view of a quote: two cars, what each can have, failures where their button is, and words for people."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import FrameLocator, expect

from tests.servers import until

from .conftest import OpenPage, scrolls_sideways, serious_findings
from .view_hosts import Bridge, Gateway
from .view_pages import AT_CAR, CAR, OTHER_CAR, PATIENCE, QUOTE, change, deal, frame_of, settled, shown

PLANS = "list_protection_plans"
SERVICE = "Vehicle Service Contract"


def put_beside(view: FrameLocator, vin: str) -> None:
    view.get_by_label("Compare with VIN").fill(vin)
    view.get_by_role("button", name="Put beside").click()


def load_offers(view: FrameLocator) -> None:
    view.get_by_role("button", name="Show incentives and plans").click()
    expect(view.get_by_role("group", name="Protection plans")).to_be_visible(timeout=PATIENCE)
    settled(view)


def test_two_cars_stand_beside_each_other_with_the_same_terms_or_say_so(
    bridge: Bridge, gateway: Gateway, open_page: OpenPage
) -> None:
    with shown(bridge, open_page, QUOTE, {**AT_CAR, "term_months": 36}) as (_page, view):
        view.get_by_label("Compare with VIN").fill(OTHER_CAR.lower())
        put = change(view, gateway, lambda: view.get_by_role("button", name="Put beside").click())
        assert (put["vin"], put["term_months"]) == (OTHER_CAR, 36)
        expect(view.locator(".car")).to_have_count(2)
        expect(view.locator(".warning")).to_have_count(0)
        changed = change(view, gateway, lambda: view.get_by_role("combobox", name="Term").select_option("48"))
        assert changed["vin"] == OTHER_CAR
        expect(view.locator(".car").first).to_contain_text("Quoted with other terms")
        again = change(view, gateway, lambda: view.get_by_role("button", name="Quote with the same terms").click())
        assert (again["vin"], again["term_months"]) == (CAR, 48)
        expect(view.locator(".warning")).to_have_count(0)
        view.get_by_role("button", name="Take away").first.click()
        expect(view.locator(".car")).to_have_count(1)
        expect(view.locator(".car")).to_contain_text(OTHER_CAR)


def test_incentives_and_plans_are_offered_by_the_names_that_work(
    bridge: Bridge, gateway: Gateway, open_page: OpenPage
) -> None:
    with shown(bridge, open_page, QUOTE, AT_CAR) as (_page, view):
        view.get_by_role("button", name="Show incentives and plans").click()
        plans = view.get_by_role("group", name="Protection plans")
        expect(plans.get_by_role("combobox", name="Vehicle Service Contract")).to_be_visible(timeout=PATIENCE)
        settled(view)
        arguments = change(
            view, gateway, lambda: plans.get_by_role("combobox", name="Vehicle Service Contract").select_option("5R")
        )
        assert arguments["plans"] == [{"id": 6160, "tier": "5R"}]
        expect(view.locator("main")).to_contain_text("Plans in these figures")
        view.get_by_role("button", name="Customer looks on").click()
        expect(view.get_by_text("Vehicle Service Contract, 5R: $1,849.00")).to_be_visible()
        view.get_by_role("button", name="Customer looks on").click()
        boxes = view.get_by_role("group", name="Incentives").get_by_role("checkbox")
        name = boxes.first.get_attribute("value")
        arguments = change(view, gateway, boxes.first.check)
        assert arguments["incentives"] == [name]
        expect(view.get_by_role("alert")).to_be_empty()


def test_second_car_has_the_terms_and_those_incentives_and_plans_that_fit(
    bridge: Bridge, gateway: Gateway, open_page: OpenPage
) -> None:
    """Each car keeps its own offers, and a choice for one changes nothing of the other one's."""
    chosen = {
        "term_months": 36,
        "incentives": ["loyalty", "military"],
        "plans": [{"id": 6160, "tier": "5R"}, {"id": 1614}],
    }

    def limit(answer: dict[str, Any]) -> None:
        """Lets the other car have no loyalty, and only the first plan, in a tier of another name too."""
        if answer.get("vin") == OTHER_CAR and "details" in answer:
            rows = answer["details"]["incentives"]
            answer["details"]["incentives"] = [row for row in rows if row["name"] != "loyalty"]
        if "plans" in answer and "vin" not in answer and gateway.calls[-1][1]["vin"] == OTHER_CAR:
            answer["plans"] = [{**answer["plans"][0], "title": "Contract of the other car"}]

    gateway.alter = limit
    with shown(bridge, open_page, QUOTE, {**AT_CAR, **chosen}) as (_page, view):
        load_offers(view)
        expect(view.get_by_role("combobox", name="Prepaid Maintenance")).to_have_value("any tier")
        put_beside(view, OTHER_CAR)
        expect(view.locator(".car")).to_have_count(2, timeout=PATIENCE)
        settled(view)
        other = gateway.calls_of(QUOTE)[-1]
        assert (other["vin"], other["term_months"]) == (OTHER_CAR, 36)
        assert other["incentives"] == ["military"]
        assert other["plans"] == [{"id": 6160, "tier": "5R"}]
        first, second = view.locator(".car").first, view.locator(".car").last
        expect(second).to_contain_text("Not on offer for this car: Owner Loyalty Program; Prepaid Maintenance.")
        expect(view.locator(".warning")).to_have_count(0)
        expect(view.get_by_role("combobox", name="Contract of the other car")).to_have_value("5R")
        expect(view.get_by_role("combobox", name="Prepaid Maintenance")).to_have_count(0)
        first.get_by_role("button", name="Change this car", exact=True).click()
        expect(view.get_by_role("combobox", name=SERVICE, exact=True)).to_have_value("5R")
        expect(view.get_by_role("checkbox", name=re.compile("Loyalty"))).to_be_checked()
        changed = change(view, gateway, lambda: view.get_by_label("Money down", exact=True).fill("1000"))
        assert {name: changed[name] for name in chosen} == chosen
        assert changed["vin"] == CAR
        expect(second).to_contain_text("Quoted with other terms")
        again = change(view, gateway, lambda: view.get_by_role("button", name="Quote with the same terms").click())
        assert (again["vin"], again["customer_cash"], again["incentives"]) == (OTHER_CAR, 1000, ["military"])
        expect(view.locator(".warning")).to_have_count(0)


def test_plan_without_a_tier_can_be_chosen(bridge: Bridge, gateway: Gateway, open_page: OpenPage) -> None:
    def take_tiers(answer: dict[str, Any]) -> None:
        if "plans" in answer and "vin" not in answer:
            answer["plans"][0]["tiers"] = [{"price": 1849}]
            answer["plans"][1]["tiers"] = []

    gateway.alter = take_tiers
    with shown(bridge, open_page, QUOTE, AT_CAR) as (_page, view):
        load_offers(view)
        plan = view.get_by_role("combobox", name=SERVICE)
        assert change(view, gateway, lambda: plan.select_option("Included, $1,849.00"))["plans"] == [{"id": 6160}]
        expect(plan).to_have_value("any tier")
        other = view.get_by_role("combobox", name="Prepaid Maintenance")
        assert change(view, gateway, lambda: other.select_option("Included"))["plans"] == [{"id": 6160}, {"id": 1614}]
        assert change(view, gateway, lambda: plan.select_option("Without"))["plans"] == [{"id": 1614}]


@pytest.mark.parametrize("operation", [PLANS, QUOTE])
def test_failure_to_read_the_offers_stands_at_its_button(
    operation: str, bridge: Bridge, gateway: Gateway, open_page: OpenPage
) -> None:
    with shown(bridge, open_page, QUOTE, AT_CAR) as (_page, view):
        expect(deal(view, "finance").locator(".figure")).to_be_visible(timeout=PATIENCE)
        gateway.fail("list_plans" if operation == PLANS else "quote_payments", 500)
        view.get_by_role("button", name="Show incentives and plans").click()
        alert = view.get_by_role("alert").filter(has_text="The incentives and plans could not be read.")
        expect(alert).to_contain_text("failed with 500", timeout=PATIENCE)
        settled(view)
        expect(view.get_by_text("The figures below are of the terms before")).to_have_count(0)
        button = view.get_by_role("button", name="Show incentives and plans").bounding_box()
        place, term = alert.bounding_box(), view.get_by_role("combobox", name="Term").bounding_box()
        assert button is not None
        assert place is not None
        assert term is not None
        assert button["y"] < place["y"] < term["y"]
        gateway.reset()
        load_offers(view)
        expect(alert).to_have_count(0)


def test_wrong_second_vin_is_told_where_it_was_written_and_adds_no_car(
    bridge: Bridge, gateway: Gateway, open_page: OpenPage
) -> None:
    with shown(bridge, open_page, QUOTE, AT_CAR) as (_page, view):
        expect(deal(view, "finance").locator(".figure")).to_be_visible(timeout=PATIENCE)
        put_beside(view, "123")
        second = view.get_by_role("group", name="Second car")
        expect(second.get_by_role("alert")).to_contain_text("This car could not be put beside.", timeout=PATIENCE)
        expect(second.get_by_role("alert")).to_contain_text("17 letters and digits")
        expect(view.locator(".car")).to_have_count(1)
        changed = change(view, gateway, lambda: view.get_by_label("Money down", exact=True).fill("500"))
        assert changed["vin"] == CAR
        put_beside(view, OTHER_CAR)
        expect(view.locator(".car")).to_have_count(2, timeout=PATIENCE)
        expect(second.get_by_role("alert")).to_have_count(0)


def test_customer_reads_words_and_no_names_of_arguments(bridge: Bridge, gateway: Gateway, open_page: OpenPage) -> None:
    wishes = {
        "term_months": 30,
        "customer_cash": 30_000,
        "annual_miles": 15_000,
        "incentives": ["loyalty", "unheard_of", "never_heard_of"],
    }
    wishes = {**wishes, "plans": [{"id": 6160}], "trade_in": {"value": 9000, "payoff": 4000}}
    with shown(bridge, open_page, QUOTE, {**AT_CAR, **wishes}) as (_page, view):
        expect(view.locator("main")).to_contain_text("Not applied", timeout=PATIENCE)
        view.get_by_role("button", name="Customer looks on").click()
        expect(view.get_by_text("Cash: no money down, term, miles a year")).to_be_visible()
        expect(view.get_by_text("Lease: money down cut to")).to_be_visible()
        expect(view.get_by_text("Zip code: as the dealer's system assumes")).to_be_visible()
        expect(view.get_by_text("Unheard of, never heard of: unknown")).to_be_visible()
        expect(view.get_by_text("Whether the rate may be increased later")).to_be_visible()
        gateway.fail("quote_payments", 500)
        change(view, gateway, lambda: view.get_by_label("Money down", exact=True).fill("1000"))
        expect(view.get_by_role("alert")).to_contain_text("There are no figures for these terms right now.")
        text = view.locator("main").inner_text()
    assert re.findall(r"[a-z]+_[a-z_]+|(?:incentives|plans)\.\d|upstream|Roadster", text) == []


def test_button_and_a_control_wait_for_each_other(bridge: Bridge, gateway: Gateway, open_page: OpenPage) -> None:
    """Neither is lost, and the server never has two calls of the page at once."""
    with shown(bridge, open_page, QUOTE, AT_CAR) as (_page, view):
        expect(deal(view, "finance").locator(".figure")).to_be_visible(timeout=PATIENCE)
        count, down = len(gateway.calls), view.get_by_label("Money down", exact=True)
        gateway.seconds = 1
        down.fill("1000")
        until(lambda: len(gateway.calls) > count)
        put_beside(view, OTHER_CAR)
        down.fill("2000")
        expect(view.locator(".car")).to_have_count(2, timeout=PATIENCE)
        settled(view)
        calls = [(arguments["vin"], arguments["customer_cash"]) for _tool, arguments in gateway.calls[count:]]
        assert calls == [(CAR, 1000), (OTHER_CAR, 2000), (CAR, 2000)]
        assert gateway.most_at_once == 1
        expect(view.locator(".warning")).to_have_count(0)


def test_change_during_a_buttons_call_is_the_last_word(bridge: Bridge, gateway: Gateway, open_page: OpenPage) -> None:
    with shown(bridge, open_page, QUOTE, AT_CAR) as (page, view):
        expect(deal(view, "finance").locator(".figure")).to_be_visible(timeout=PATIENCE)
        put_beside(view, OTHER_CAR)
        expect(view.locator(".car")).to_have_count(2, timeout=PATIENCE)
        change(view, gateway, lambda: view.get_by_label("Money down", exact=True).fill("3000"))
        count = len(gateway.calls)
        gateway.seconds = 1
        view.get_by_role("button", name="Quote with the same terms").click()
        until(lambda: len(gateway.calls) > count)
        view.get_by_role("button", name="Change this car", exact=True).click()
        view.get_by_label("Money down", exact=True).fill("9000")
        settled(view)
        calls = [(arguments["vin"], arguments["customer_cash"]) for _tool, arguments in gateway.calls[count:]]
        assert calls == [(CAR, 3000), (CAR, 9000)]
        assert '"customer_cash":9000' in bridge.contexts(page)[-1]
        expect(view.get_by_label("Money down", exact=True)).to_have_value("9000")
        expect(deal(view, "finance")).to_contain_text("$9,000.00")


def test_focus_stays_at_a_control_that_is_drawn_anew(bridge: Bridge, open_page: OpenPage) -> None:
    with shown(bridge, open_page, QUOTE, AT_CAR) as (_page, view):
        expect(deal(view, "finance").locator(".figure")).to_be_visible(timeout=PATIENCE)
        put_beside(view, OTHER_CAR)
        expect(view.locator(".car")).to_have_count(2, timeout=PATIENCE)
        settled(view)
        view.get_by_role("button", name="Change this car", exact=True).press("Enter")
        expect(view.locator(".car").first.get_by_role("button", name="The controls change this car")).to_be_focused()


def test_change_just_before_the_other_car_is_chosen_is_asked_too(
    bridge: Bridge, gateway: Gateway, open_page: OpenPage
) -> None:
    with shown(bridge, open_page, QUOTE, AT_CAR) as (_page, view):
        expect(deal(view, "finance").locator(".figure")).to_be_visible(timeout=PATIENCE)
        put_beside(view, OTHER_CAR)
        expect(view.locator(".car")).to_have_count(2, timeout=PATIENCE)
        settled(view)
        count = len(gateway.calls)
        view.get_by_label("Money down", exact=True).evaluate(
            """(field) => {
                const write = (value) => {
                    field.value = value;
                    field.dispatchEvent(new Event("input", { bubbles: true }));
                };
                write("1000");
                document.querySelector('.car button[aria-pressed="false"]').click();
                write("3000");
            }"""
        )
        until(lambda: len(gateway.calls) > count + 1)
        settled(view)
        calls = {arguments["vin"]: arguments["customer_cash"] for _tool, arguments in gateway.calls[count:]}
        assert calls == {OTHER_CAR: 1000, CAR: 3000}
        assert len(gateway.calls) == count + 2


def test_what_is_owed_on_a_trade_in_waits_for_its_value(bridge: Bridge, gateway: Gateway, open_page: OpenPage) -> None:
    with shown(bridge, open_page, QUOTE, {**AT_CAR, "trade_in": {"value": 9000, "payoff": 12000}}) as (_page, view):
        expect(deal(view, "finance").locator(".figure")).to_be_visible(timeout=PATIENCE)
        value, owed = view.get_by_label("Trade-in value"), view.get_by_label("Owed on the trade-in")
        assert "trade_in" not in change(view, gateway, lambda: value.fill(""))
        expect(owed).to_have_value("12000")
        expect(view.get_by_text("Counts once the trade-in value is given.")).to_be_visible()
        assert change(view, gateway, lambda: value.fill("8000"))["trade_in"] == {"value": 8000, "payoff": 12000}
        expect(view.get_by_text("Counts once the trade-in value is given.")).to_have_count(0)


def test_incentive_of_some_deals_is_offered_once_and_names_them(
    bridge: Bridge, gateway: Gateway, open_page: OpenPage
) -> None:
    def split(answer: dict[str, Any]) -> None:
        for row in answer.get("details", {}).get("incentives", []):
            if row["name"] == "loyalty":
                row.update(amount=500, deals=["cash", "finance"])
                answer["details"]["incentives"].append({**row, "amount": 750, "deals": ["lease"]})
                break

    gateway.alter = split
    with shown(bridge, open_page, QUOTE, AT_CAR) as (_page, view):
        load_offers(view)
        box = view.get_by_role("checkbox", name=re.compile("Loyalty"))
        expect(box).to_have_count(1)
        expect(view.get_by_text("$500.00 (cash, finance), $750.00 (lease)")).to_be_visible()


def test_total_that_is_in_doubt_is_shown_to_nobody(bridge: Bridge, gateway: Gateway, open_page: OpenPage) -> None:
    def lower(quote: dict[str, Any]) -> None:
        for name in ("cash", "finance"):
            quote[name]["total_cost"] = 1000
            quote[name]["doubts"] = {"total_cost": "is not the total because due_at_signing is more"}
        quote["disclosures"]["missing"].insert(0, "total_cost (finance)")

    gateway.alter = lower
    with shown(bridge, open_page, QUOTE, AT_CAR) as (_page, view):
        expect(deal(view, "lease").locator(".disclosures")).to_contain_text("Total:", timeout=PATIENCE)
        for _audience in ("dealer", "customer"):
            for name in ("cash", "finance"):
                assert "1,000" not in deal(view, name).inner_text()
                oddity = "total is not the total because what is due at signing is more"
                expect(view.get_by_text(f"{name.capitalize()}: {oddity}")).to_be_visible()
            view.get_by_role("button", name="Customer looks on").click()


def test_next_step_has_the_terms_of_the_quote(bridge: Bridge, gateway: Gateway, open_page: OpenPage) -> None:
    def use_up(quote: dict[str, Any]) -> None:
        """Lets a part of the money down pay other parts of what is due at signing."""
        quote["lease"]["down_payment"] = 1000

    gateway.alter = use_up
    with shown(bridge, open_page, QUOTE, {**AT_CAR, "customer_cash": 2000}) as (page, view):
        expect(deal(view, "lease").locator(".figure")).to_be_visible(timeout=PATIENCE)
        deal(view, "lease").get_by_role("button").press("Enter")
        until(lambda: bridge.messages(page))
        assert '"customer_cash":2000' in bridge.messages(page)[0]


def test_rebates_and_plans_of_some_deals_name_them(bridge: Bridge, gateway: Gateway, open_page: OpenPage) -> None:
    def split(quote: dict[str, Any]) -> None:
        quote["rebates"] = [{"name": "Manufacturer Rebate", "amount": 750, "deals": ["lease"]}]
        quote["plans"] = [{"title": "Service", "tier": "5R", "price": 1849, "deals": ["finance"]}]

    gateway.alter = split
    with shown(bridge, open_page, QUOTE, AT_CAR) as (_page, view):
        expect(view.get_by_text("Manufacturer Rebate: $750.00 (lease only)")).to_be_visible(timeout=PATIENCE)
        expect(view.get_by_text("Service, 5R: $1,849.00 (finance only)")).to_be_visible()


def test_button_waits_for_that_of_another(bridge: Bridge, gateway: Gateway, open_page: OpenPage) -> None:
    with shown(bridge, open_page, QUOTE, AT_CAR) as (_page, view):
        expect(deal(view, "finance").locator(".figure")).to_be_visible(timeout=PATIENCE)
        gateway.seconds = 1
        view.get_by_role("button", name="Show incentives and plans").press("Enter")
        put_beside(view, OTHER_CAR)
        expect(view.locator(".car")).to_have_count(2, timeout=PATIENCE)
        settled(view)
        assert gateway.most_at_once == 1


def test_focus_never_falls_on_a_button_with_another_effect(bridge: Bridge, open_page: OpenPage) -> None:
    with shown(bridge, open_page, QUOTE, AT_CAR) as (page, view):
        expect(deal(view, "finance").locator(".figure")).to_be_visible(timeout=PATIENCE)
        view.get_by_role("button", name="Show incentives and plans").press("Enter")
        expect(view.get_by_role("group", name="Incentives").get_by_role("checkbox").first).to_be_focused(
            timeout=PATIENCE
        )
        put_beside(view, OTHER_CAR)
        expect(view.locator(".car")).to_have_count(2, timeout=PATIENCE)
        settled(view)
        view.get_by_role("button", name="Take away").first.press("Enter")
        expect(view.get_by_label("Compare with VIN")).to_be_focused()
        assert bridge.messages(page) == []


def test_model_can_find_the_name_of_an_incentive_that_it_is_not_told(
    bridge: Bridge, gateway: Gateway, open_page: OpenPage
) -> None:
    """A name of several words could be a sentence, so the model is told where to read it."""
    with shown(bridge, open_page, QUOTE, AT_CAR) as (page, view):
        load_offers(view)
        boxes = view.get_by_role("group", name="Incentives").get_by_role("checkbox")
        names = [box.get_attribute("value") or "" for box in boxes.all()]
        name = next(each for each in names if " " in each)
        change(view, gateway, boxes.nth(names.index(name)).check)
        until(lambda: bridge.contexts(page))
        text = bridge.contexts(page)[-1]
        assert name not in text
        assert f"details.incentives.{names.index(name)}," in text
        deal(view, "lease").get_by_role("button").press("Enter")
        until(lambda: bridge.messages(page))
        assert f"details.incentives.{names.index(name)}," in bridge.messages(page)[0]


def test_car_that_is_shown_is_not_put_beside_itself(bridge: Bridge, gateway: Gateway, open_page: OpenPage) -> None:
    with shown(bridge, open_page, QUOTE, AT_CAR) as (_page, view):
        expect(deal(view, "finance").locator(".figure")).to_be_visible(timeout=PATIENCE)
        put_beside(view, CAR.lower())
        expect(view.get_by_role("alert").filter(has_text="It is shown already.")).to_be_visible()
        expect(view.locator(".car")).to_have_count(1)


def test_fields_that_say_nothing_show_what_the_figures_are_for(bridge: Bridge, open_page: OpenPage) -> None:
    with shown(bridge, open_page, QUOTE, AT_CAR) as (_page, view):
        expect(deal(view, "lease")).to_contain_text("12,000", timeout=PATIENCE)
        expect(view.get_by_label("Miles a year (lease), slider")).to_have_value("12000")
        expect(view.get_by_label("Miles a year (lease)", exact=True)).to_have_value("")
        expect(view.get_by_placeholder("Not said: 12,000")).to_be_visible()


def test_customer_reads_what_is_wrong_with_the_terms(bridge: Bridge, gateway: Gateway, open_page: OpenPage) -> None:
    with shown(bridge, open_page, QUOTE, AT_CAR) as (_page, view):
        expect(deal(view, "finance").locator(".figure")).to_be_visible(timeout=PATIENCE)
        view.get_by_role("button", name="Customer looks on").click()
        change(view, gateway, lambda: view.get_by_label("Money down", exact=True).fill("-5"))
        expect(view.get_by_role("alert")).to_contain_text("at least 0")


@pytest.mark.parametrize("width", [320, 1200])
def test_two_cars_are_comparable_and_nothing_scrolls_sideways(width: int, bridge: Bridge, open_page: OpenPage) -> None:
    """Where there is room, a deal stands beside the same deal of the other car, and both begin at one height."""
    with shown(bridge, open_page, QUOTE, {**AT_CAR, "plans": [{"id": 6160}]}, width) as (page, view):
        expect(deal(view, "finance").locator(".figure")).to_be_visible(timeout=PATIENCE)
        put_beside(view, OTHER_CAR)
        expect(view.locator(".car")).to_have_count(2, timeout=PATIENCE)
        settled(view)
        assert not scrolls_sideways(frame_of(page))
        assert serious_findings(frame_of(page)) == []
        for name in ("cash", "finance", "lease"):
            cards = view.locator(f'[data-deal="{name}"]')
            one, other = cards.first.bounding_box(), cards.last.bounding_box()
            assert one is not None
            assert other is not None
            if width == 320:
                assert one["x"] == other["x"]
            else:
                assert one["y"] == pytest.approx(other["y"], abs=1)
                assert one["x"] + one["width"] <= other["x"]
                assert one["width"] > 400

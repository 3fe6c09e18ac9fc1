"""The lists of approvals, where more wait and more were decided than one page has."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import pytest

from roadster_server.calls.approvals.content import Sealed, ShownWrite
from roadster_server.calls.keys import Keys
from roadster_server.settings.live import LiveSettings
from roadster_server.store import Approval
from roadster_server.store.sql import SqlStore
from tests.server.store.databases import RECORD

from .browser import PageBrowser

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC)


async def add_waiting(store: SqlStore, live: LiveSettings, count: int) -> list[str]:
    """Adds approvals that wait, each for a minute less than the one before it. Returns their ids."""
    seals = Sealed(Keys.derive(live.current.roadster.api_key.get_secret_value()).approvals)
    ids = [f"{number:032x}" for number in range(count)]
    for number, id_ in enumerate(ids):
        approval = Approval(
            id=id_,
            call=id_,
            principal=f"work:{number}",
            dealer="umazda",
            tool="create_customer",
            customer=None,
            created=int(NOW.timestamp() * 1000) + number,
            expires=int((NOW + timedelta(hours=10) - timedelta(minutes=number)).timestamp() * 1000),
            question=seals.seal(id_, "question", ShownWrite("Create?", (), "local", "test")),
            content=b"",
        )
        assert await store.approvals.add(approval, now=NOW, most=count)
    return ids


async def list_pages(browser: PageBrowser, link: str) -> list[list[str]]:
    """Returns the ids on each page of a list, which has a link with this text to its next page."""
    pages: list[list[str]] = []
    await browser.open("/people/approvals")
    while True:
        waiting, _, decided = browser.page.text.partition("Decided in the last day</h2>")
        part = waiting if link == "More that wait" else decided
        pages.append(re.findall(r'href="/people/approvals/([0-9a-f]{32})"', part))
        more = re.search(rf'href="([^"]*)">{link}</a>', part)
        if more is None:
            return pages
        await browser.open(more[1])


async def test_all_that_wait_can_be_reached_the_first_to_expire_first(
    browser: PageBrowser, live: LiveSettings, store: SqlStore
) -> None:
    ids = await add_waiting(store, live, 120)
    await browser.sign_in(live.current)
    assert "120 wait, the first to expire first." in await browser.open("/people/approvals")
    pages = await list_pages(browser, "More that wait")
    assert [len(page) for page in pages] == [50, 50, 20]
    assert [*chain.from_iterable(pages)] == ids[::-1]
    assert "Back to the first ones" in browser.page.text
    assert "Writes that you may approve: 120" in await browser.open("/people/console")


async def test_all_decisions_can_be_reached_the_newest_first(
    browser: PageBrowser, live: LiveSettings, store: SqlStore
) -> None:
    ids = await add_waiting(store, live, 101)
    for number, id_ in enumerate(ids):
        record = replace(RECORD, phase="decided", outcome="declined", approval=id_)
        time = NOW + timedelta(milliseconds=number)
        assert await store.approvals.decide(id_, "declined", "work:eva", None, record, now=time)
    await browser.sign_in(live.current)
    pages = await list_pages(browser, "Older decisions")
    assert [len(page) for page in pages] == [50, 50, 1]
    assert [*chain.from_iterable(pages)] == ids[::-1]


async def test_a_list_opens_no_answer(
    browser: PageBrowser, live: LiveSettings, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id_,) = await add_waiting(store, live, 1)
    record = replace(RECORD, phase="decided", outcome="approved", approval=id_)
    assert await store.approvals.decide(id_, "approved", "work:eva", None, record, now=NOW)
    seals = Sealed(Keys.derive(live.current.roadster.api_key.get_secret_value()).approvals)
    answer = seals.seal(id_, "outcome", [{}, "done", {"customer_id": 1650260}])
    assert await store.approvals.finish(id_, "done", answer, None)
    await browser.sign_in(live.current)
    read, opened = Sealed.answer, list[str]()

    def answer_of(self: Sealed, approval: Approval) -> Any:
        opened.append(approval.id)
        return read(self, approval)

    monkeypatch.setattr(Sealed, "answer", answer_of)
    assert id_ in await browser.open("/people/approvals")
    assert opened == []
    assert "1650260" in await browser.open(f"/people/approvals/{id_}")
    assert opened == [id_]


@pytest.mark.parametrize("place", ["x", "0" * 31, "f" * 32, "%00", "..", "'"])
async def test_a_place_that_is_made_up_is_the_first_page(
    place: str, browser: PageBrowser, live: LiveSettings, store: SqlStore
) -> None:
    (id_,) = await add_waiting(store, live, 1)
    await browser.sign_in(live.current)
    assert id_ in await browser.open(f"/people/approvals?waiting={place}&decided={place}")

"""What people at the console cannot do: check the chain many times at once, and act on callers that are not theirs."""

from __future__ import annotations

import anyio
import pytest

from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import CallerSettings
from roadster_server.store import Verification
from roadster_server.store.rows.audit.verification import OnProgress
from roadster_server.store.sql import SqlStore
from tests.servers import PATIENCE

from .browser import PageBrowser, page_browser

pytestmark = pytest.mark.anyio


async def test_the_chain_is_checked_once_at_a_time(
    browser: PageBrowser, origin: str, live: LiveSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check reads the whole audit. Others see how far the one that runs is, and its result."""
    has_begun, may_end = anyio.Event(), anyio.Event()
    verify = SqlStore.verify

    async def verify_slowly(store: SqlStore, on_progress: OnProgress = lambda _count, _total: None) -> Verification:
        assert not has_begun.is_set(), "a second check has begun"
        on_progress(1_000, 2_000)
        has_begun.set()
        await may_end.wait()
        return await verify(store, on_progress)

    monkeypatch.setattr(SqlStore, "verify", verify_slowly)
    await browser.sign_in(live.current)
    await browser.open("/people/console/audit")
    async with page_browser(origin) as other, anyio.create_task_group() as tasks:
        tasks.start_soon(browser.submit, "/people/console/audit/check")
        try:
            with anyio.fail_after(PATIENCE):
                await has_begun.wait()
                await other.sign_in(live.current)
                await other.open("/people/console/audit")
                page = " ".join((await other.submit("/people/console/audit/check")).split())
        finally:
            may_end.set()
    assert "A check is running: 1,000 of 2,000 records." in page
    assert "Whole" not in page
    assert "Whole" in browser.page.text
    page = await browser.open("/people/console")
    assert "Whole" in page, "the result is there for the next view"
    assert "A check is running" not in page


async def test_a_caller_without_dealers_is_revoked_by_who_has_all_dealers(
    browser: PageBrowser, live: LiveSettings, store: SqlStore
) -> None:
    idle = CallerSettings(token_sha256=["8" * 64])
    live.current = live.current.model_copy(update={"callers": {**live.current.callers, "idle": idle}})
    await browser.sign_in(live.current)
    assert 'value="idle"' not in await browser.open("/people/console/actions")
    await browser.submit("/people/console/revoke", who="idle")
    assert browser.page.status_code == 400
    assert (await store.revocations(0)).times == {}
    manager = live.current.callers["manager"].model_copy(update={"dealers": [*live.current.dealers]})
    live.current = live.current.model_copy(update={"callers": {**live.current.callers, "manager": manager}})
    await browser.open("/people/console/actions")
    assert "Revoked: the tokens of idle" in await browser.submit("/people/console/revoke", who="idle")


async def test_an_operator_without_dealers_does_not_see_everything(browser: PageBrowser, live: LiveSettings) -> None:
    manager = live.current.callers["manager"].model_copy(update={"dealers": []})
    callers = {**live.current.callers, "manager": manager}
    live.current = live.current.model_copy(update={"callers": callers, "dealers": {}})
    await browser.sign_in(live.current)
    await browser.open("/people/console/configuration")
    assert browser.page.status_code == 403

"""The pages for people of a trial, and the writes that wait there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from secrets import token_bytes
from typing import Any

import anyio
from mcp_types import CallToolResult

from roadster_evals.scenario_files.scenario import Scenario
from roadster_sandbox import SandboxTransport
from roadster_server.calls.approvals.approvals import Approvals
from roadster_server.calls.calls import Calls
from roadster_server.calls.page_links import PageLinks
from roadster_server.calls.results import WAITING_META
from roadster_server.identity.keys import IssuerKeys
from roadster_server.identity.revocations import Revocations
from roadster_server.people.app import people_app
from roadster_server.people.context import People
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import CallerSettings, RoleSettings
from roadster_server.settings.sections.people import ApprovalSettings, PeopleSettings
from roadster_server.transports.loopback_pages import LoopbackPages
from roadster_tools import Caller
from roadster_tools.gate.approvals import ApprovalStatus

from .played_person import OpenLink
from .visits import AGENT, COLLEAGUE, PAGES, PageKey, at_pages, open_browser

_DECIDED: tuple[ApprovalStatus, ...] = ("sending", "done", "failed", "outcome_unknown", "declined")

_APPROVER = "approver"
"""The role of who may approve."""


def desk_settings(scenario: Scenario) -> Mapping[str, Any]:
    """Returns the sections of the configuration that say who the agent is, and who approves its writes."""
    agent, pages = scenario.caller.settings(), scenario.pages
    if pages is None:
        return {"callers": {AGENT: agent}}
    visitor = COLLEAGUE if pages.colleague else AGENT
    colleague = CallerSettings(dealers=agent.dealers)
    callers = {AGENT: agent.model_copy(update={"confirm_by": ["page"]}), COLLEAGUE: colleague}
    callers[visitor] = callers[visitor].model_copy(update={"role": _APPROVER})
    return {
        "callers": callers,
        "roles": {_APPROVER: RoleSettings(approves=[*pages.approves])},
        "people": PeopleSettings(local_caller=visitor),
        "approvals": ApprovalSettings(two_person=[*pages.two_person]),
    }


class WaitingWrites:
    """The writes of the agent that wait for a person or have waited, and what became of them."""

    def __init__(self, approvals: Approvals, agent: Callable[[], Caller]) -> None:
        self._approvals = approvals
        self._agent = agent
        self._statuses: dict[str, ApprovalStatus] = {}
        self._change = anyio.Event()
        approvals.on_change(lambda _id: self._change.set())

    @property
    def statuses(self) -> tuple[ApprovalStatus, ...]:
        """The state of each, in the order in which they were asked for."""
        return tuple(self._statuses.values())

    @property
    def decided(self) -> tuple[str, ...]:
        """The ids of those about which a person has decided."""
        return tuple(each for each, status in self._statuses.items() if status in _DECIDED)

    async def add(self, result: CallToolResult) -> None:
        """Adds the write of a call that waits for an approval, and looks at all of them anew."""
        approval_id = (result.meta or {}).get(WAITING_META, {}).get("approval_id")
        if approval_id is not None:
            self._statuses.setdefault(approval_id, "waiting")
        await self.refresh()

    async def refresh(self) -> None:
        reader = self._approvals.of_caller(self._agent())
        for approval_id in self._statuses:
            report = await reader.report(approval_id)
            if report is not None:
                self._statuses[approval_id] = report.status

    async def change(self) -> None:
        """Waits until something has become of one of them."""
        await self._change.wait()
        self._change = anyio.Event()
        await self.refresh()


class Desk:
    """The pages of a trial. They are in this process, and have a port of this machine only if the trial `listens`."""

    def __init__(self, scenario: Scenario, live: LiveSettings, *, listens: bool) -> None:
        self._scenario = scenario
        self._live = live
        self._loopback = LoopbackPages(live) if listens and scenario.pages else None
        self.links: PageLinks | None = None
        self.key: PageKey | None = None
        """The key of the person in another process, once the pages listen."""
        if self._loopback:
            self.links = self._loopback.links
        elif scenario.pages:
            self.links = PageLinks(lambda: live.current, _own_address, is_public=False)

    @asynccontextmanager
    async def open(self, calls: Calls, writes: WaitingWrites) -> AsyncIterator[OpenLink | None]:
        """Serves the pages. Yields the function with which a person in this process opens a link.

        The key of the pages is none of the configuration's, which everybody knows in the sandbox.
        """
        secret = token_bytes(32)
        keys = replace(calls.services.keys, people=secret)
        calls = Calls(replace(calls.services, keys=keys))
        if self._loopback:
            self.key = PageKey(await self._loopback.links.origin() or "", secret)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._loopback.run, calls)
                yield None
                tasks.cancel_scope.cancel()
        elif self.links:
            revocations = Revocations(calls.services.store.revocations)
            pages = people_app(People(calls, self._live, revocations, IssuerKeys(), is_local=True))
            key = PageKey(PAGES, secret)
            async with open_browser(self._scenario, key, SandboxTransport(pages)) as browser:

                async def open_link(link: str, choice: Any) -> str:
                    # In a replay of a served world the port is that of before, and nothing listens at either.
                    words = await browser.visit(at_pages(link), choice)
                    await writes.refresh()
                    return words

                yield open_link
        else:
            yield None


async def _own_address() -> str:
    return PAGES

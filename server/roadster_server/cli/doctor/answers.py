"""Reads one page of each Roadster read that the configuration allows, to find what cannot be read of the answers.

Reads that need a customer are left out, because a check must not look at people.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from roadster_client import (
    ChannelPolicy,
    ClientError,
    DealerApi,
    LeftOut,
    NotConfigured,
    Origin,
    Reader,
    Request,
    RoadsterApi,
    Upstream,
)
from roadster_client.models.links import LinkRequest
from roadster_client.models.payments import PaymentRequest, QuotedVehicle
from roadster_client.models.vehicles import VehicleRequest
from roadster_server.settings.settings import Settings
from roadster_tools import TOOLS, verdict

_PAGE = 100
"""Vehicles. The largest page, to see as many as one request shows."""

_Read = Callable[[DealerApi, str], Awaitable[Any]]

_READS_OF_A_VEHICLE: Mapping[str, _Read] = {
    "get_vehicle": lambda api, vin: api.get_vehicle(vin),
    "quote_payments": lambda api, vin: api.quote_payments(PaymentRequest(vehicle=QuotedVehicle(vin=vin))),
    "list_protection_plans": lambda api, vin: api.list_plans(vin, "cash"),
    "build_deep_link": lambda api, vin: api.create_link(LinkRequest(vehicle=VehicleRequest(vin=vin))),
}
"""The request of each tool about one vehicle."""


@dataclass
class AnswersOfDealer:
    """The tools whose reads at one dealer succeeded, the values that were left out, and the errors."""

    dealer: str
    tools: list[str] = field(default_factory=list)
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    errors: list[ClientError] = field(default_factory=list)
    ignores_updates: bool = False
    """Says that the feed does not honour `updated_since`."""

    async def attempt(self, tool: str, read: Awaitable[Any]) -> Any:
        """Returns the answer, or None where it failed or a setting for it is missing."""
        try:
            answer = await read
        except NotConfigured:
            return None
        except ClientError as error:
            self.errors.append(error)
            return None
        if tool not in self.tools:
            self.tools.append(tool)
        return answer


async def read_answers(
    upstream: Upstream, settings: Settings, dealers: Collection[str]
) -> AsyncIterator[AnswersOfDealer]:
    """Yields what became of the reads at each of `dealers` at which somebody may read anything."""
    api = RoadsterApi(upstream, settings.operations())
    tools_by_dealer = _tools_by_dealer(settings)
    for dpid in sorted(dealers):
        answers = AnswersOfDealer(dpid)
        ref = settings.dealer_ref(dpid)
        tools = tools_by_dealer.get(dpid, set())
        if ref is None or not tools:
            continue
        policy = ChannelPolicy(
            _refuse,
            # A figure that is kept from its reader cannot be found to be odd. Here nobody reads any.
            reader=lambda: Reader(dealer_figures=True),
            origin=Origin(dealer=answers.dealer),
            on_left_out=answers.left_out.update,
        )
        keeps_vehicles = settings.inventory.fresh_for > 0
        await _read_all(api.for_dealer(ref, policy), tools, answers, keeps_vehicles=keeps_vehicles)
        if answers.tools or answers.errors:
            yield answers


async def _read_all(api: DealerApi, tools: set[str], answers: AnswersOfDealer, *, keeps_vehicles: bool) -> None:
    if "get_dealer" in tools:
        await answers.attempt("get_dealer", api.get_dealer())
    if tools & {"list_inventory", *_READS_OF_A_VEHICLE}:
        page = await answers.attempt("list_inventory", api.list_inventory(size=_PAGE))
        if page and keeps_vehicles:
            honours_updates = await answers.attempt("list_inventory", api.honours_updated_since(int(time.time())))
            answers.ignores_updates = honours_updates is False
        for vehicle in page.vehicles[:1] if page else ():
            for tool, read in _READS_OF_A_VEHICLE.items():
                if tool in tools:
                    await answers.attempt(tool, read(api, vehicle.vin))
    if tools & {"list_templates", "get_template"}:
        templates = await answers.attempt("list_templates", api.list_templates())
        for template in templates[:1] if templates and "get_template" in tools else ():
            await answers.attempt("get_template", api.get_template(str(template.id)))


def _tools_by_dealer(settings: Settings) -> Mapping[str, set[str]]:
    """Returns the tools that some caller or some person may use, by dealer."""
    by_dealers = defaultdict[tuple[str, ...], set[str]](set)  # many callers share the same dealers
    for caller in (*map(settings.caller, settings.callers), *settings.rights.of_rules()):
        by_dealers[caller.dealers] |= {tool.name for tool in TOOLS.values() if verdict(caller, tool).is_allowed}
    by_dealer = defaultdict[str, set[str]](set)
    for dealers, tools in by_dealers.items():
        for dpid in dealers:
            by_dealer[dpid] |= tools
    return by_dealer


async def _refuse(_request: Request) -> None:
    raise RuntimeError("doctor only reads")

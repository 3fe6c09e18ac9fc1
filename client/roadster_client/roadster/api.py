"""Roadster, bound to one dealer, one order, or an account. No method takes a dealer, so none takes the wrong one."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from anyio import CapacityLimiter, create_task_group

from roadster_client import errors
from roadster_client.channel import Api, Channel, ChannelPolicy, read
from roadster_client.dealer_ref import DealerRef
from roadster_client.identity import read_id
from roadster_client.leniency import OnLeftOut, ignore_left_out
from roadster_client.models.dealers import Dealer
from roadster_client.upstream.exchange import Origin, Request

from .dealer import DealerApi
from .order import OrderApi


@dataclass(frozen=True)
class RoadsterApi(Api):
    """The Roadster API. It makes clients that are bound to one dealer, one order, or an account's dealers."""

    random: Callable[[int], bytes] = os.urandom
    """Returns that many bytes, for the encryption of customers' links."""

    def for_dealer(self, dealer: DealerRef, policy: ChannelPolicy) -> DealerApi:
        return DealerApi(Channel(self.with_key(dealer.api_key), policy), dealer, self.random)

    def for_order(self, dealer: DealerRef, order_id: str, policy: ChannelPolicy) -> OrderApi:
        """Returns a client for an order. Check first that it is the dealer's, because the upstream does not."""
        return OrderApi(Channel(self.with_key(dealer.api_key), policy), dealer, order_id)

    def for_account(
        self,
        dpids: Collection[str],
        origin: Origin,
        on_left_out: OnLeftOut = ignore_left_out,
        own_keys: Mapping[str, str] = MappingProxyType({}),
    ) -> AccountApi:
        """Returns a client for some dealers. `own_keys` has the keys of those with an account of their own, by dpid."""
        return AccountApi(self, frozenset(dpids), origin, on_left_out, own_keys)

    def with_key(self, key: str | None) -> RoadsterApi:
        """Returns the API with a dealer's own key, or as it is for None."""
        return self if key is None else replace(self, upstream=self.upstream.with_key(key))


@dataclass(frozen=True)
class ListedDealers:
    """The dealers of one or more accounts."""

    dealers: list[Dealer]
    errors: Mapping[str, errors.ClientError]
    """The errors of accounts that did not answer, by the dpids that are therefore missing."""


class AccountApi:
    """Operations of no single dealer, limited to the bound dealers."""

    def __init__(
        self,
        api: RoadsterApi,
        dpids: frozenset[str],
        origin: Origin,
        on_left_out: OnLeftOut,
        own_keys: Mapping[str, str],
    ) -> None:
        self._api = api
        self._dpids = dpids
        self._origin = origin
        self._on_left_out = on_left_out
        self._own_keys = own_keys

    async def list_dealers(self) -> ListedDealers:
        """GET /dealers, once for each key: its dealers, without those that are not bound. Raises if all of them fail.

        A row without a dpid counts as left out where a bound dealer is missing, which it may be.
        """
        dpids = self._by_key()
        results: dict[str | None, list[Dealer] | errors.ClientError] = {key: [] for key in dpids}
        places = CapacityLimiter(_KEYS_AT_ONCE)

        async def ask(key: str | None) -> None:
            async with places:
                try:
                    results[key] = await self._list(key, dpids[key])
                except errors.ClientError as error:
                    results[key] = error

        async with create_task_group() as tasks:
            for key in results:
                tasks.start_soon(ask, key)
        failures = {key: result for key, result in results.items() if isinstance(result, errors.ClientError)}
        if len(failures) == len(results):
            raise next(iter(failures.values()))
        return ListedDealers(
            [dealer for result in results.values() if isinstance(result, list) for dealer in result],
            {dpid: error for key, error in failures.items() for dpid in sorted(dpids[key])},
        )

    def _by_key(self) -> dict[str | None, frozenset[str]]:
        """Returns the bound dealers by their own key. None is the key of the account that most dealers share."""
        with_own = self._own_keys.keys() & self._dpids
        by_key: dict[str | None, set[str]] = {}
        for dpid in sorted(with_own):
            by_key.setdefault(self._own_keys[dpid], set()).add(dpid)
        shared = self._dpids - with_own
        of_account = {None: shared} if shared or not by_key else {}
        return of_account | {key: frozenset(dpids) for key, dpids in by_key.items()}

    async def _list(self, key: str | None, dpids: frozenset[str]) -> list[Dealer]:
        # Another account has a breaker of its own: that of one of its dealers.
        first = min(dpids) if key is not None else None
        origin = replace(self._origin, dealer=first)
        request = Request(self._api.operations["list_dealers"], account=first)
        answer = await self._api.with_key(key).upstream.send(request, origin)
        # Chosen as received: without its invisible characters, another dealer's id may read like a bound one.
        own = _rows_of(dpids, answer.json) if isinstance(answer.json, list) else answer.json
        dealers: tuple[Dealer, ...] = read(replace(answer, json=own), on_left_out=self._on_left_out)
        return [*dealers]


_KEYS_AT_ONCE = 8
"""Requests of one list of dealers. A group may have hundreds of accounts."""


def _rows_of(bound: frozenset[str], rows: list[Any]) -> list[Any]:
    """Returns the rows of bound dealers, and those of no readable dealer without what they have in its place."""
    dpids = [read_id(row.get("dpid")) if isinstance(row, dict) else None for row in rows]
    is_complete = bound <= set(dpids)
    return [
        row | {"dpid": dpid} if isinstance(row, dict) else row
        for row, dpid in zip(rows, dpids, strict=True)
        if dpid in bound or (dpid is None and not is_complete)
    ]

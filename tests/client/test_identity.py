"""Ids are read in each way in which programs write them, and no answer brings another dealer's."""

from __future__ import annotations

import json
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadster_client import (
    OPERATIONS,
    ChannelPolicy,
    ClientError,
    DealerRef,
    ForeignDealer,
    ListedDealers,
    Origin,
    RoadsterApi,
)
from roadster_client.identity import comparable_id, read_id, read_number_id
from roadster_client.models.dealers import Dealer
from roadster_client.upstream.upstream import open_upstream
from roadster_sandbox import API_KEY
from tests.upstreams import WatchedNetwork, approve, reply

OTHER_UUID = "5b0c7d1e-6a3f-4c52-9e0d-7f1a2b3c4d53"
UMAZDA = DealerRef(
    "umazda",
    partner_id="51101",
    mykaarma_dealer_uuid="5b0c7d1e-6a3f-4c52-9e0d-7f1a2b3c4d51",
    configured_ids=frozenset({"umazda", "51101", "toyotademo", "12345", OTHER_UUID}),
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (7.0, "7"),
        (" 7\n", "7"),
        ("umazda", "umazda"),
        ("07", "07"),
        (7.5, None),
        (1e300, None),
        (float("nan"), None),
        (float("inf"), None),
        (True, None),
        (None, None),
        ("  ", None),
        (["7"], None),
        ({"id": 7}, None),
        ("7\u200b", "7\u200b"),
    ],
    ids=repr,
)
def test_read_id_takes_every_spelling_of_one_id(value: Any, text: str | None) -> None:
    assert read_id(value) == text


def test_read_number_id_takes_every_spelling_of_one_number() -> None:
    spellings = [123, 123.0, "123", "123.0", " 123", "0123", "123.00 "]
    assert {read_number_id(spelling) for spelling in spellings} == {"123"}
    assert [read_number_id(text) for text in ("123.5", "x1", "1 2")] == ["123.5", "x1", "1 2"]


def test_comparable_id_of_something_else_is_no_id() -> None:
    assert {comparable_id(value) for value in (None, "", 7.5, [7], {"a": 7}, "7\u200b")}.isdisjoint({"7", "umazda"})


def api_call(answer: Any, call: Any) -> Any:
    """Returns the result of `call` with an API whose upstream answers everything with `answer`."""

    async def answer_all(_request: httpx2.Request) -> httpx2.Response:
        return reply(json.dumps(answer).encode())

    async def run() -> Any:
        async with open_upstream(
            "http://sandbox/v1", api_key=API_KEY, transport=WatchedNetwork(answer_all)
        ) as upstream:
            return await call(RoadsterApi(upstream, OPERATIONS))

    return anyio.run(run)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["umazda", "UMAZDA", "47"]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.sampled_from(["id", "dpid"]), values, max_size=2),
    max_leaves=4,
)


def listed(rows: list[Any], bound: set[str]) -> list[Dealer]:
    answer: ListedDealers = api_call(rows, lambda api: api.for_account(bound, Origin("tester")).list_dealers())
    return answer.dealers


@given(st.lists(JSON, max_size=4), st.sets(st.sampled_from(["umazda", "47"]), min_size=1))
@settings(max_examples=100, deadline=None)
def test_list_dealers_shows_no_dealer_outside_the_bound_ones(dpids: list[Any], bound: set[str]) -> None:
    """Whatever JSON value stands in the place of a dpid."""
    rows = [{"dpid": dpid, "name": "Motors"} for dpid in dpids]
    try:
        dealers = api_call(
            rows, lambda api: api.for_account(dict.fromkeys(bound), Origin("tester")).list_dealers()
        ).dealers
    except ClientError:
        return
    assert {dealer.dpid for dealer in dealers} <= bound


@pytest.mark.parametrize("dpid", [4711.5, 4711, "toyotademo", "umazda\u200b", "Umazda", True, ["umazda"]], ids=repr)
def test_list_dealers_drops_a_row_with_another_dpid(dpid: Any) -> None:
    rows = [{"dpid": dpid, "name": "Foreign Motors"}, {"dpid": "umazda"}]
    dealers = api_call(
        rows, lambda api: api.for_account(dict.fromkeys(["umazda", "hyundaidemo"]), Origin("tester")).list_dealers()
    ).dealers
    assert [dealer.dpid for dealer in dealers] == ["umazda"]


def error_about(node: Any) -> type[ClientError] | None:
    """Returns the error of a read whose answer holds `node`."""

    async def read(api: RoadsterApi) -> None:
        await api.for_dealer(UMAZDA, ChannelPolicy(approve)).list_inventory(size=1)

    try:
        api_call({"vehicles": [], "more": [node]}, read)
    except ClientError as error:
        return type(error)
    return None


@pytest.mark.parametrize(
    "node",
    [
        {"dpid": "toyotademo"},
        {"DPID": "toyotademo"},
        {"dealer_dpid": "toyotademo"},
        {"dealerDpid": "ToyotaDemo"},
        {"dealer": {"dealer_id": "toyotademo"}},
        {"dealer": {"id": 12345}},
        {"dealer": {"id": 12345.0}},
        {"dealer": {"id": " 12345"}},
        {"Dealer-ID": "12345"},
        {"dealers": ["umazda", "toyotademo"]},
        {"dealers": [{"id": "umazda"}, {"id": "toyotademo"}]},
        {"dealer_info": {"ids": ["12345"]}},
        {"dealer": {"info": {"uuid": OTHER_UUID}}},
        {"selling_dealer": "toyotademo"},
        {"dealership": {"code": "12345"}},
    ],
    ids=str,
)
def test_answer_that_names_another_configured_dealer_is_withheld(node: Any) -> None:
    assert error_about(node) is ForeignDealer


@pytest.mark.parametrize(
    "node",
    [
        {"dealer": {"dealer_id": "umazda", "id": 51101, "name": "Toyotademo", "uuid": UMAZDA.mykaarma_dealer_uuid}},
        {"DPID": "umazda", "dealer_id": "51101", "dealers": ["umazda", {"id": 51101.0}]},
        {"dealer_comment": "not as good as toyotademo", "dealer_phone": "12345", "dealer": {"zip_code": "12345"}},
        {"dealer": {"dealer_fees": [{"name": "Documents", "amount": 12345}], "fees": [{"id": 12345}]}},
        {"dealer_order_id": "12345", "dealerAssociate": {"id": "12345"}},
        {"id": 12345, "vehicle": {"id": "toyotademo"}},
        {"dealer": {"id": 99}, "dealer_id": "somebody"},
        {"dealer": None, "dealer_id": "", "dpid": None},
    ],
    ids=str,
)
def test_answer_with_the_own_ids_and_free_texts_passes(node: Any) -> None:
    assert error_about(node) is None

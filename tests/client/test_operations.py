"""The table of operations, and the client's methods for them."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

import pytest

from roadster_client import (
    OPERATIONS,
    AccountApi,
    ChannelPolicy,
    CustomerRecordsApi,
    DealerApi,
    DeliveriesApi,
    NotFound,
    OrderApi,
    RoadsterApi,
    open_upstream,
    operations_with,
)
from roadster_sandbox import API_KEY, SandboxTransport
from tests.conftest import World
from tests.upstreams import UMAZDA, approve

METHODS: dict[str, Any] = {
    name: method
    for api in (AccountApi, CustomerRecordsApi, DealerApi, DeliveriesApi, OrderApi)
    for name, method in inspect.getmembers(api, inspect.iscoroutinefunction)
}
OTHER_RETURN_TYPES = {"list_dealers", "get_document", "get_template_file", "cancel_shipment"}
"""These methods filter a list, decode a file, or return nothing."""


def test_operations_all_have_a_method() -> None:
    assert OPERATIONS.keys() <= METHODS.keys()


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - OTHER_RETURN_TYPES))
def test_operation_method_returns_its_answer_type(name: str) -> None:
    """The client looks the type up by the operation's name, so mypy cannot check it."""
    assert get_type_hints(METHODS[name])["return"] == OPERATIONS[name].answer_type


@pytest.mark.anyio
async def test_operation_can_have_another_route(world: World) -> None:
    operations = operations_with({"list_inventory": "GET /inventory"})
    async with open_upstream("http://sandbox/v1", api_key=API_KEY, transport=SandboxTransport(world.app)) as upstream:
        with pytest.raises(NotFound):
            await RoadsterApi(upstream, operations).for_dealer(UMAZDA, ChannelPolicy(approve)).list_inventory(size=1)


@pytest.mark.parametrize(
    "route", ["vehicles", "GET vehicles", "FETCH /vehicles", "GET /v/{stock_number}", "GET /vehicles"]
)
def test_operation_refuses_an_unusable_route(route: str) -> None:
    with pytest.raises(ValueError, match=r"METHOD /path|\{vin\}"):
        OPERATIONS["get_vehicle"].with_route(route)

"""The endpoints for graders: log, state, reset, faults."""

from __future__ import annotations

import pytest

from roadster_client import OPERATIONS

from .conftest import (
    CUSTOMER,
    add_fault,
    first_vin,
    get,
    post,
    read_log,
    read_state,
    read_stock,
)

pytestmark = pytest.mark.anyio

KINDS = ("customers", "documents", "trade_offers", "links", "templates", "forms", "shipments")
"""The collections of the state."""


async def test_log_has_every_request_in_order(http):
    """An entry names the dealer, by any id of the request. Refused requests are logged, and answers carry a number."""
    vin = await first_vin(http)
    await get(http, f"/vehicles/{vin}", **{"dealer[partner_id]": "51101"})
    last = await http.post("/v1/customers", json={"dealer": {"dpid": "hyundaidemo"}})
    log = await read_log(http)
    assert [(entry["n"], entry["operation"], entry["dealer"], entry["status"]) for entry in log] == [
        (1, "list_inventory", "umazda", 200),
        (2, "get_vehicle", "umazda", 200),
        (3, "create_customer", "hyundaidemo", 400),
    ]
    assert log[1] == {
        "n": 2,
        "operation": "get_vehicle",
        "method": "GET",
        "path": f"/v1/vehicles/{vin}",
        "query": {"dealer[partner_id]": "51101"},
        "dealer": "umazda",
        "body": None,
        "status": 200,
    }
    assert last.headers["x-request-id"] == "sandbox-000003"


async def test_reset_restores_the_initial_world(http):
    """No record, request or fault remains, and ids start again. Another seed makes another world."""
    before = await read_stock(http)
    await post(http, "/customers", customer=CUSTOMER)
    await add_fault(http, "*", "status", times=9)
    assert (await http.post("/__sandbox/reset", json={"seed": 8})).json() == {"seed": 8}
    assert await read_stock(http) != before
    assert (await http.post("/__sandbox/reset")).json() == {"seed": 7}
    assert await read_state(http) == {"seed": 7, **{kind: [] for kind in KINDS}}
    assert await read_log(http) == []
    assert await read_stock(http) == before
    assert (await post(http, "/customers", customer=CUSTOMER))["customer"]["id"] == 1650260


async def test_unknown_fault_is_refused_with_the_valid_ones(http):
    """Unknown operations and fields are refused as well."""
    unknown = await http.post("/__sandbox/faults", json={"operation": "*", "fault": "earthquake"})
    assert unknown.status_code == 400
    assert "gzip_bomb" in unknown.json()["error"]
    unknown = await http.post("/__sandbox/faults", json={"operation": "sell_car", "fault": "html"})
    assert unknown.status_code == 400
    assert all(operation in unknown.json()["error"] for operation in OPERATIONS)
    for content in (b"", b"{", b"[]", b'{"operation": "*"}', b'{"operation":"*","fault":"html","x":1}'):
        assert (await http.post("/__sandbox/faults", content=content)).status_code == 400
    assert (await http.post("/__sandbox/reset", content=b"{")).status_code == 400

"""The sandbox's Roadie: shipments in their documented states, and the documented refusals."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import httpx2
import pytest

from roadster_sandbox import API_KEY, BASE_PATHS, SandboxTransport, create_app
from roadster_sandbox.apis.roadie import EVENTS
from tests.conftest import SAMPLES

pytestmark = pytest.mark.anyio

SHIPMENTS = f"{BASE_PATHS['roadie']}/shipments"
ORDER = json.loads((SAMPLES / "shipment.req.json").read_text())
FIRST = 152040

PATHS = {
    "scheduled": [],
    "assigned": ["driver_assigned"],
    "en_route": ["driver_assigned", "pickup_confirmed"],
    "delivered": ["driver_assigned", "pickup_confirmed", "delivery_confirmed"],
    "attempted": ["driver_assigned", "pickup_confirmed", "delivery_attempted"],
    "returned": ["driver_assigned", "pickup_confirmed", "delivery_attempted", "return_created"],
    "canceled": ["canceled"],
    "expired": ["expired"],
}
"""The events that lead to each documented state."""
ALLOWED = {
    ("scheduled", "driver_assigned"),
    ("scheduled", "canceled"),
    ("scheduled", "expired"),
    ("assigned", "pickup_confirmed"),
    ("assigned", "canceled"),
    ("en_route", "delivery_confirmed"),
    ("en_route", "delivery_attempted"),
    ("attempted", "return_created"),
}


def client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url="http://sandbox",
        headers={"authorization": f"Bearer {API_KEY}"},
        transport=SandboxTransport(create_app()),
    )


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with client() as opened:
        yield opened


def order(path: str, value: Any) -> Any:
    """The sample with the value at `path`, or without it for ..."""
    changed = copy.deepcopy(ORDER)
    *steps, last = path.split(".")
    node = changed
    for step in steps:
        node = node[int(step) if step.isdigit() else step]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return changed


async def made(http: httpx2.AsyncClient, *events: str) -> str:
    """The path of a new shipment to which `events` have happened."""
    answer = await http.post(SHIPMENTS, json=ORDER)
    assert answer.status_code == 200, answer.text
    for event in events:
        assert (await move(http, answer.json()["id"], event)).status_code == 200
    return f"{SHIPMENTS}/{answer.json()['id']}"


async def move(http: httpx2.AsyncClient, shipment_id: int, event: str) -> httpx2.Response:
    return await http.post(f"/__sandbox/shipments/{shipment_id}", json={"event": event})


def codes(answer: httpx2.Response) -> list[tuple[int, str]]:
    assert all(error["message"] for error in answer.json()["errors"])
    return [(error["code"], error["parameter"]) for error in answer.json()["errors"]]


async def test_a_new_shipment_has_every_field_of_the_reference(http):
    """And no driver before one is assigned; two worlds make the same one."""
    path = await made(http)
    shipment = (await http.get(path)).json()
    sample = json.loads((SAMPLES / "shipment.resp.json").read_text())
    assert shipment.keys() == (sample.keys() - {"driver"}) | {"price"}
    assert {name: shipment[name] for name in ORDER} == ORDER
    assert (shipment["id"], shipment["state"]) == (FIRST, "scheduled")
    async with client() as other:
        assert (await other.get(await made(other))).json() == shipment
    assert (await http.get("/__sandbox/state")).json()["shipments"] == [shipment]


@pytest.mark.parametrize(("state", "event"), list(product(PATHS, EVENTS)))
async def test_each_event_happens_only_where_it_can(state, event, http):
    path = await made(http, *PATHS[state])
    assert (await http.get(path)).json()["state"] == state
    moved = await move(http, FIRST, event)
    assert moved.status_code == (200 if (state, event) in ALLOWED else 400)
    if moved.status_code == 400:
        assert (await http.get(path)).json()["state"] == state


@pytest.mark.parametrize("state", PATHS)
async def test_a_shipment_is_changed_and_canceled_until_it_is_picked_up(state, http):
    path = await made(http, *PATHS[state])
    open_still = state in ("scheduled", "assigned")
    changed = await http.patch(path, json={"reference_id": "other"})
    canceled = await http.delete(path)
    assert changed.status_code == (200 if open_still else 400)
    assert canceled.status_code == (204 if open_still else 400)
    if open_still:
        assert canceled.content == b""
        assert changed.json()["reference_id"] == "other"
        assert (await http.get(path)).json()["state"] == "canceled"
    else:
        assert codes(changed) == codes(canceled) == [(1003, "state")]


@pytest.mark.parametrize("names", [("driver_assigned",), ("driver_assigned", "pickup_confirmed")])
async def test_a_driver_is_named_from_the_assignment_on(names, http):
    shipment = (await http.get(await made(http, *names))).json()
    assert shipment["driver"].keys() == {"name", "phone"}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("items", ..., [(1001, "items")]),
        ("items", [], [(1002, "items")]),
        ("items.0.description", "", [(1001, "items.0.description")]),
        ("items.0.weight", -1, [(1002, "items.0.weight")]),
        ("reference_id", "x" * 101, [(1002, "reference_id")]),
        ("options", ..., [(1001, "options")]),
        ("pickup_location.contact", {}, [(1001, f"pickup_location.contact.{name}") for name in ("name", "phone")]),
        ("pickup_location.contact.phone", "+14155556666", [(1002, "pickup_location.contact.phone")]),
        ("pickup_after", "2017-12-26T06:00:00", [(1002, "pickup_after")]),
        ("deliver_between.end", "2017-12-26T06:00:00-06:00", [(1003, "deliver_between")]),
        ("pickup_after", "2017-12-27T06:00:00-06:00", [(1003, "deliver_between")]),
        ("delivery_location.address.zip", "00000", [(1004, "delivery_location.address")]),
        ("delivery_location.address.state", "HI", [(1005, "delivery_location")]),
    ],
)  # fmt: skip
async def test_each_refusal_has_its_code_and_its_parameter(path, value, expected, http):
    """On creation and, but for what may be left out there, on a change."""
    refused = await http.post(SHIPMENTS, json=order(path, value))
    assert refused.status_code == 400
    assert codes(refused) == expected
    assert (await http.get("/__sandbox/state")).json()["shipments"] == []
    if value is not ...:
        changed = await http.patch(await made(http), json=order(path, value))
        assert codes(changed) == expected


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_unknown_shipment_is_1006(method, http):
    for unknown in ("1", "abc", str(FIRST)):
        answer = await http.request(method, f"{SHIPMENTS}/{unknown}", json={})
        assert answer.status_code == 404
        assert codes(answer) == [(1006, "id")]


async def test_what_is_no_json_is_refused_in_roadies_words(http):
    for content in (b"{", b"[]", b"7"):
        answer = await http.post(SHIPMENTS, content=content)
        assert (answer.status_code, codes(answer)) == (400, [(1002, "body")])


async def test_a_bearer_token_is_needed(http):
    for credentials in ("", API_KEY, f"Token {API_KEY}", "Bearer other"):
        answer = await http.post(SHIPMENTS, json=ORDER, headers={"authorization": credentials})
        assert (answer.status_code, answer.content) == (401, b"")


async def test_a_grader_is_told_what_it_can_send(http):
    await made(http)
    assert (await move(http, 1, "canceled")).status_code == 404
    unknown = await move(http, FIRST, "crashed")
    assert unknown.status_code == 400
    assert all(event in unknown.json()["error"] for event in EVENTS)
    assert (await http.post(f"/__sandbox/shipments/{FIRST}", content=b"{")).status_code == 400


async def test_the_price_grows_with_weight_and_value(http):
    prices = [
        (await http.post(SHIPMENTS, json=order(path, value))).json()["price"]
        for path, value in (("items.0.weight", 1), ("items.0.weight", 100), ("items.0.value", 5000))
    ]
    assert prices[0] < prices[1]
    assert prices[0] < prices[2]

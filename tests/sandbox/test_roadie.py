"""Roadie's shipments in their documented states, and the documented refusals."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import httpx2
import pytest

from roadster_sandbox import API_KEY, BASE_PATHS
from roadster_sandbox.apis.roadie import EVENTS
from tests.conftest import SAMPLES
from tests.documents import changed_document

from .conftest import open_client, read_state

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


def order_with(path: str, value: Any) -> Any:
    """Returns the sample with the value at `path`. The value ... leaves the field out."""
    return changed_document(ORDER, path, value)


async def new_shipment(http: httpx2.AsyncClient, *events: str) -> str:
    """Returns the path of a new shipment after `events`."""
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


async def test_new_shipment_has_every_field_of_the_sample(http):
    """It has no driver before one is assigned. Two worlds make the same shipment."""
    path = await new_shipment(http)
    shipment = (await http.get(path)).json()
    sample = json.loads((SAMPLES / "shipment.resp.json").read_text())
    assert shipment.keys() == (sample.keys() - {"driver"}) | {"price"}
    assert {name: shipment[name] for name in ORDER} == ORDER
    assert (shipment["id"], shipment["state"]) == (FIRST, "scheduled")
    async with open_client() as other:
        assert (await other.get(await new_shipment(other))).json() == shipment
    assert (await read_state(http))["shipments"] == [shipment]


@pytest.mark.parametrize(("state", "event"), list(product(PATHS, EVENTS)))
async def test_event_happens_only_in_its_states(state, event, http):
    path = await new_shipment(http, *PATHS[state])
    assert (await http.get(path)).json()["state"] == state
    answer = await move(http, FIRST, event)
    assert answer.status_code == (200 if (state, event) in ALLOWED else 400)
    if answer.status_code == 400:
        assert (await http.get(path)).json()["state"] == state


@pytest.mark.parametrize("state", PATHS)
async def test_shipment_can_change_until_its_pickup(state, http):
    path = await new_shipment(http, *PATHS[state])
    open_still = state in ("scheduled", "assigned")
    update = await http.patch(path, json={"reference_id": "other"})
    cancellation = await http.delete(path)
    assert update.status_code == (200 if open_still else 400)
    assert cancellation.status_code == (204 if open_still else 400)
    if open_still:
        assert cancellation.content == b""
        assert update.json()["reference_id"] == "other"
        assert (await http.get(path)).json()["state"] == "canceled"
    else:
        assert codes(update) == codes(cancellation) == [(1003, "state")]


@pytest.mark.parametrize("names", [("driver_assigned",), ("driver_assigned", "pickup_confirmed")])
async def test_driver_appears_after_the_assignment(names, http):
    shipment = (await http.get(await new_shipment(http, *names))).json()
    assert shipment["driver"].keys() == {"name", "phone"}


@pytest.mark.parametrize(
    ("path", "value", "problems"),
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
async def test_refusal_has_its_code_and_parameter(path, value, problems, http):
    """Tries a new shipment, and a change unless the mistake is a missing field."""
    refusal = await http.post(SHIPMENTS, json=order_with(path, value))
    assert refusal.status_code == 400
    assert codes(refusal) == problems
    assert (await read_state(http))["shipments"] == []
    if value is not ...:
        update = await http.patch(await new_shipment(http), json=order_with(path, value))
        assert codes(update) == problems


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_unknown_shipment_is_1006(method, http):
    for unknown in ("1", "abc", str(FIRST)):
        answer = await http.request(method, f"{SHIPMENTS}/{unknown}", json={})
        assert answer.status_code == 404
        assert codes(answer) == [(1006, "id")]


async def test_body_that_is_no_json_is_refused_with_1002(http):
    for content in (b"{", b"[]", b"7"):
        answer = await http.post(SHIPMENTS, content=content)
        assert (answer.status_code, codes(answer)) == (400, [(1002, "body")])


async def test_bearer_token_is_needed(http):
    for credentials in ("", API_KEY, f"Token {API_KEY}", "Bearer other"):
        answer = await http.post(SHIPMENTS, json=ORDER, headers={"authorization": credentials})
        assert (answer.status_code, answer.content) == (401, b"")


async def test_unknown_event_is_refused_with_the_valid_ones(http):
    await new_shipment(http)
    assert (await move(http, 1, "canceled")).status_code == 404
    unknown = await move(http, FIRST, "crashed")
    assert unknown.status_code == 400
    assert all(event in unknown.json()["error"] for event in EVENTS)
    assert (await http.post(f"/__sandbox/shipments/{FIRST}", content=b"{")).status_code == 400


async def test_price_grows_with_weight_and_value(http):
    prices = [
        (await http.post(SHIPMENTS, json=order_with(path, value))).json()["price"]
        for path, value in (("items.0.weight", 1), ("items.0.weight", 100), ("items.0.value", 5000))
    ]
    assert prices[0] < prices[1]
    assert prices[0] < prices[2]
